"""The native lane: JSON over HTTP, forwarded as bytes to a server that speaks one of the wire formats itself."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from scutum_server import __version__
from scutum_server.errors import UpstreamError
from scutum_server.upstream.forward_proxy import bracketed, refused
from scutum_server.upstream.options import HttpOptions
from scutum_server.upstream.transport import Response, Transport

CHAT: Final = "chat"
COMPLETIONS: Final = "completions"
EMBEDDINGS: Final = "embeddings"
RESPONSES: Final = "responses"
MESSAGES: Final = "messages"
COUNT_TOKENS: Final = "count_tokens"


class ProviderMisconfigured(UpstreamError):
    """The provider's row cannot be used: a wrong URL, an unreadable key or bundle."""

    code = "provider_misconfigured"
    status = 503
    retryable = False


class Traits(Struct, frozen=True):
    """What a provider takes as it is; everything else is translated to what it takes.

    `paths` maps wire formats to paths below the base URL. `max_tokens` is put into requests whose wire format demands a
    bound when the client gave none; `cap_field` is the name under which OpenAI-wire servers know that bound.
    `has_schemas` says that an Anthropic-wire server takes a JSON schema for its answer.
    """

    paths: dict[str, str]
    max_tokens: int = 4096
    cap_field: str = "max_tokens"
    has_schemas: bool = False


class NativeLane:
    """Calls one provider account at `base_url` (http or https, no query); `query` goes after every path."""

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        api_key: str | None,
        scheme: str,
        options: HttpOptions,
        traits: Traits,
        query: str = "",
    ) -> None:
        url = urlsplit(base_url)
        try:
            port = url.port
        except ValueError:
            port = -1
        if url.scheme not in {"http", "https"} or not url.hostname or port == -1 or not url.path.isascii():
            raise ProviderMisconfigured("The provider's base_url is not an http(s) address.")
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ProviderMisconfigured("The provider's key holds characters that a header cannot carry.")
        tls = url.scheme == "https"
        try:
            proxy = transport.outgoing.choose(options.proxy, options.proxy_secret, url.hostname)
            self._origin = transport.origin(
                url.hostname, port or (443 if tls else 80), tls=tls, ca_bundle=options.ca_bundle, proxy=proxy
            )
        except ValueError as error:
            raise ProviderMisconfigured(f"The provider's proxy {error}.") from None
        except OSError as error:
            raise ProviderMisconfigured(f"The provider's ca_bundle cannot be read: {error.strerror}.") from None
        self.traits = traits
        self._transport = transport
        self._timeouts = options.timeouts
        self._base = url.path.rstrip("/")
        self._query = query
        host = f"{bracketed(url.hostname)}{'' if port is None else f':{port}'}"
        self._fields = f"Host: {host}\r\n"
        if proxy is not None and not tls:
            self._base = f"http://{host}{self._base}"
            self._fields += proxy.authorization
        if api_key:
            self._fields += f"{scheme}{api_key}\r\n"
        self._fields += (
            f"User-Agent: scutum/{__version__}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
            "Content-Type: application/json\r\n"
        )
        self._heads: dict[str, bytes] = {}

    async def call(self, path: str, body: bytes, *, stream: bool, fields: bytes = b"") -> Response:
        """POSTs `body` to `path` below the base URL; `fields` are further header lines, each with its line end.

        Raises the errors of `upstream.errors`.
        """
        head = self._heads.get(path)
        if head is None:
            line = f"POST {self._base}/{path}{self._query} HTTP/1.1\r\n"
            head = self._heads[path] = f"{line}{self._fields}".encode("ascii")
        payload = b"%b%bContent-Length: %d\r\n\r\n%b" % (head, fields, len(body), body)
        reply = await self._transport.request(self._origin, payload, self._timeouts, whole=not stream)
        if reply.status == 407 and self._origin.proxy is not None:
            reply.close()
            raise refused(self._origin.proxy)
        return reply
