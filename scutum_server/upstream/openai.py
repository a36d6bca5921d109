"""The native lane: any server that speaks OpenAI's wire format."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from scutum_server import __version__
from scutum_server.errors import UpstreamError
from scutum_server.upstream.options import OpenAIOptions
from scutum_server.upstream.transport import Response, Transport

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"


class ProviderMisconfigured(UpstreamError):
    """The provider's row cannot be used: a wrong URL, an unreadable key or bundle."""

    code = "provider_misconfigured"
    status = 503
    retryable = False


class OpenAILane:
    """Calls one provider account. `base_url` includes the version path, as `https://api.openai.com/v1`."""

    def __init__(self, transport: Transport, base_url: str | None, api_key: str | None, options: OpenAIOptions) -> None:
        url = urlsplit(base_url or DEFAULT_BASE_URL)
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
            self._origin = transport.origin(
                url.hostname, port or (443 if tls else 80), tls=tls, ca_bundle=options.ca_bundle
            )
        except OSError as error:
            raise ProviderMisconfigured(f"The provider's ca_bundle cannot be read: {error.strerror}.") from None
        self._transport = transport
        self._timeouts = options.timeouts
        self._base = url.path.rstrip("/")
        host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
        self._fields = f"Host: {host}{'' if port is None else f':{port}'}\r\n"
        if api_key:
            self._fields += f"Authorization: Bearer {api_key}\r\n"
        self._fields += (
            f"User-Agent: scutum/{__version__}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )
        self._heads: dict[str, bytes] = {}

    async def call(self, path: str, body: bytes, *, stream: bool) -> Response:
        """POSTs `body` to `path` below the base URL; raises the errors of `upstream.errors`."""
        head = self._heads.get(path)
        if head is None:
            head = self._heads[path] = f"POST {self._base}/{path} HTTP/1.1\r\n{self._fields}".encode("ascii")
        payload = b"%b%d\r\n\r\n%b" % (head, len(body), body)
        return await self._transport.request(self._origin, payload, self._timeouts, whole=not stream)
