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
from scutum_server.upstream.upload import Upload, begin

CHAT: Final = "chat"
COMPLETIONS: Final = "completions"
EMBEDDINGS: Final = "embeddings"
RESPONSES: Final = "responses"
MESSAGES: Final = "messages"
COUNT_TOKENS: Final = "count_tokens"
FILES: Final = "files"
BATCHES: Final = "batches"
PASSED: Final = frozenset({
    "moderations", "rerank", "images/generations", "images/edits", "images/variations",
    "audio/speech", "audio/transcriptions", "audio/translations", FILES, BATCHES,
})  # fmt: skip
"""What goes to a provider as it is or not at all; each is its own path."""

_JSON: Final = b"Content-Type: application/json\r\n"


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
    `tells_dropped` says that an answer's header x-scutum-dropped names fields that were left out on the way.
    """

    paths: dict[str, str]
    max_tokens: int = 4096
    cap_field: str = "max_tokens"
    has_schemas: bool = False
    tells_dropped: bool = False


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
        self._fields += f"User-Agent: scutum/{__version__}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
        self._heads: dict[str, bytes] = {}

    async def call(self, path: str, body: bytes, *, stream: bool, fields: bytes = b"") -> Response:
        """POSTs `body` to `path` below the base URL; `fields` are further header lines, each with its line end.

        Raises the errors of `upstream.errors`.
        """
        head = self._heads.get(path)
        if head is None:
            head = self._heads[path] = self._head("POST", path) + _JSON
        payload = b"%b%bContent-Length: %d\r\n\r\n%b" % (head, fields, len(body), body)
        reply = await self._transport.request(self._origin, payload, self._timeouts, whole=not stream)
        return self._unless_refused(reply)

    async def ask(self, method: str, path: str, *, query: str = "", body: bytes = b"", fields: bytes = b"") -> Response:
        """One request with a JSON `body` or none; returns once the head of the answer is there.

        `path` and `query` are percent-encoded. Raises the errors of `upstream.errors`.
        """
        head = self._head(method, path, query) + fields
        if body or method == "POST":
            head += b"%bContent-Length: %d\r\n" % (_JSON, len(body))
        reply = await self._transport.request(self._origin, head + b"\r\n" + body, self._timeouts, whole=False)
        return self._unless_refused(reply)

    async def upload(self, path: str, content_type: bytes, fields: bytes = b"") -> Upload:
        """Begins a POST whose body comes in pieces; raises UpstreamTimeout, UpstreamRefused."""
        head = b"%b%bContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
        head %= (self._head("POST", path), fields, content_type)
        return await begin(self._transport, self._origin, head, self._timeouts)

    def _head(self, method: str, path: str, query: str = "") -> bytes:
        """The request line, with the provider's own query and ours, and the headers that all requests have."""
        own = self._query.removeprefix("?")
        target = "?".join(filter(None, (f"{self._base}/{path}", "&".join(filter(None, (own, query))))))
        return f"{method} {target} HTTP/1.1\r\n{self._fields}".encode("ascii")

    def _unless_refused(self, reply: Response) -> Response:
        """Raises ForwardProxyFailed for what the proxy on the way there says."""
        if reply.status == 407 and self._origin.proxy is not None:
            reply.close()
            raise refused(self._origin.proxy)
        return reply
