"""Forward proxies between the gateway and its providers: which one a call takes, and how a tunnel through it is made.

What goes to an https provider goes through a tunnel (CONNECT), so that the proxy sees a host name and nothing else;
what goes to an http provider is handed to the proxy whole, in the absolute form.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from scutum_server.errors import SettingsError
from scutum_server.upstream.errors import ForwardProxyFailed

DIRECT: Final = "direct"
_MAX_HEAD: Final = 16 * 1024


class ForwardProxy(Struct, frozen=True):
    """`authorization` is a header line with its line end, or empty; it is a secret."""

    host: str
    port: int
    authorization: str = ""

    def __repr__(self) -> str:
        return f"ForwardProxy({self.name})"

    @property
    def name(self) -> str:
        return f"http://{bracketed(self.host)}:{self.port}"

    def whole(self, host: str, request: bytes) -> bytes:
        """A request to an http provider as the proxy wants it: in the absolute form, with our credentials for it."""
        method, _, rest = request.partition(b" ")
        line, _, fields = rest.partition(b"\r\n")
        return b"%b http://%b%b\r\n%b%b" % (method, host.encode(), line, self.authorization.encode(), fields)


def parse(url: str, password: str | None = None) -> ForwardProxy:
    """http://[USER[:PASSWORD]@]HOST[:PORT], percent-encoded; raises ValueError with the reason, never the password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme != "http":
        raise ValueError("must begin with http://")
    if not parts.hostname or port == 0 or not url.isascii() or not url.isprintable():
        raise ValueError("names no host")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must end after the port")
    secret = unquote(parts.password) if parts.password is not None else password
    authorization = ""
    if parts.username is not None:
        credentials = b64encode(f"{unquote(parts.username)}:{secret or ''}".encode()).decode()
        authorization = f"Proxy-Authorization: Basic {credentials}\r\n"
    return ForwardProxy(parts.hostname, port or 80, authorization)


class Exceptions:
    """NO_PROXY: hosts, `.domains`, addresses and networks, with commas; `*` is everything. Loopback always is one."""

    def __init__(self, text: str) -> None:
        self._networks = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
        self._names = ["localhost"]
        for part in filter(None, (part.strip().lower() for part in text.split(","))):
            try:
                self._networks.append(ip_network(part, strict=False))
            except ValueError:
                self._names.append(part.lstrip("."))

    def __contains__(self, host: str) -> bool:
        name = host.lower()
        try:
            address = ip_address(name)
        except ValueError:
            return "*" in self._names or any(f".{name}".endswith(f".{known}") for known in self._names)
        return "*" in self._names or any(address in network for network in self._networks)


class Outgoing(Struct, frozen=True):
    """The proxy for providers that name none of their own, but for those hosts."""

    proxy: ForwardProxy | None = None
    exceptions: Exceptions = Exceptions("")

    def choose(self, own: str | None, password: str | None, host: str) -> ForwardProxy | None:
        """For a provider at `host` with that setting; raises ValueError when it is none."""
        if own == DIRECT:
            return None
        if own is not None:
            return parse(own, password)
        return None if host in self.exceptions else self.proxy


def outgoing(url: str | None, exceptions: str | None) -> Outgoing:
    """What UPSTREAM_PROXY and UPSTREAM_NO_PROXY say; raises SettingsError."""
    try:
        proxy = None if url is None else parse(url)
    except ValueError as error:
        raise SettingsError(f"UPSTREAM_PROXY {error}.", hint="UPSTREAM_PROXY=http://proxy.example.com:3128") from None
    return Outgoing(proxy, Exceptions(exceptions or ""))


class Tunnel(asyncio.Protocol):
    """Asks the proxy for a connection to a provider; `open` ends when it is there."""

    def __init__(self, proxy: ForwardProxy, host: str, port: int) -> None:
        self._proxy = proxy
        self._to = f"{bracketed(host)}:{port}"
        self._head = b""
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        request = f"CONNECT {self._to} HTTP/1.1\r\nHost: {self._to}\r\n{self._proxy.authorization}\r\n"
        transport.write(request.encode("ascii"))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if (not end and len(head) <= _MAX_HEAD) or self._done.done():
            return
        status = head.split(b" ", 2)[1:2] if head.startswith(b"HTTP/1.") else []
        if not status or not status[0].isdigit() or (rest and status[0].startswith(b"2")):
            self._fail("answers with something that is not HTTP")
        elif status[0] == b"407":
            self._fail("does not take our user and password (407)" if self._proxy.authorization else ASKS)
        elif not status[0].startswith(b"2"):
            self._fail(f"does not connect us to {self._to} ({status[0].decode()})")
        else:
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended says no more
        self._fail(f"hung up instead of connecting us to {self._to}")

    def _fail(self, what: str) -> None:
        if not self._done.done():
            self._done.set_exception(ForwardProxyFailed(f"The proxy {self._proxy.name} {what}."))

    async def opened(self) -> None:
        """Raises ForwardProxyFailed."""
        await self._done


ASKS: Final = "asks for a user and a password (407)"


async def secured(
    transport: asyncio.Transport, tunnel: Tunnel, protocol: asyncio.Protocol, context: ssl.SSLContext, host: str
) -> None:
    """Makes the provider's TLS connection inside the tunnel, with `protocol` at its end.

    Raises ForwardProxyFailed or OSError.
    """
    try:
        await tunnel.opened()
        inside = await asyncio.get_running_loop().start_tls(transport, protocol, context, server_hostname=host)
    except BaseException:
        transport.abort()
        raise
    if inside is None:
        raise ConnectionResetError("the provider hung up")
    protocol.connection_made(inside)


def refused(proxy: ForwardProxy) -> ForwardProxyFailed:
    """For a 407 that came as the answer to a whole request."""
    what = "does not take our user and password (407)" if proxy.authorization else ASKS
    return ForwardProxyFailed(f"The proxy {proxy.name} {what}.")


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
