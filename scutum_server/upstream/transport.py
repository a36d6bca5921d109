"""The data plane's HTTP/1.1 client: a pool of keep-alive connections per origin.

Deadlines are enforced by one sweep every 100 ms over the connections in use: a timer per request would cost more than
the request's own bookkeeping. A pooled connection that the server closed before answering is retried once, on a fresh
connection; anything else is the caller's decision.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from scutum_server.upstream.connection import Connection, Feed, StaleConnectionError
from scutum_server.upstream.errors import ForwardProxyFailed, UpstreamDisconnected, UpstreamRefused, UpstreamTimeout
from scutum_server.upstream.forward_proxy import ForwardProxy, Outgoing, Tunnel, secured
from scutum_server.upstream.options import Timeouts
from scutum_server.upstream.resolver import Resolver

MAX_AGE_S: Final = 300.0
MAX_IDLE: Final = 512
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
SWEEP_S: Final = 0.1
LINGER_S: Final = 2.0

P = TypeVar("P", bound=asyncio.BaseProtocol)


class Response:
    """A provider's answer. The caller must `close()` it, whatever happened; that alone frees the connection.

    Without `keep` the connection serves nobody else: the provider answered before it had the whole request.
    """

    __slots__ = ("_closed", "_connection", "_keep")

    def __init__(self, connection: Connection, *, keep: bool = True) -> None:
        self._connection = connection
        self._closed = False
        self._keep = keep

    @property
    def status(self) -> int:
        return self._connection.status

    def header(self, name: bytes) -> bytes | None:
        """The value of the header `name` (lower case), or None."""
        return self._connection.header(name)

    def body(self, limit: int) -> Awaitable[bytes]:
        """The whole body; more than `limit` bytes is an UpstreamBadAnswer."""
        return self._connection.body(limit)

    def pump(self, feed: Feed) -> Awaitable[None]:
        """Pushes the body into `feed` as it comes; `feed` returns False to be paused until `resume()`."""
        return self._connection.pump(feed)

    def resume(self) -> None:
        self._connection.resume()

    def stop(self) -> None:
        """Ends `pump()` early: the rest of the answer is read and dropped so that the connection can be kept."""
        self._connection.stop()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if not self._keep:
                self._connection.abort()
            self._connection.origin.finish(self._connection)


class Origin:
    """One scheme, host and port, and the way there, with its idle connections, newest last; or a Unix socket."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        transport: Transport,
        proxy: ForwardProxy | None,
        path: str | None = None,
    ) -> None:
        self.path = path
        self.host = host
        self.port = port
        self.tls = tls
        self.proxy = proxy
        self._transport = transport
        self._idle: list[Connection] = []

    def take(self, now: float) -> Connection | None:
        """An idle connection that is not too old, or None."""
        while self._idle:
            connection = self._idle.pop()
            if now - connection.created < MAX_AGE_S and connection.silent():
                return connection
            connection.abort()
        return None

    def finish(self, connection: Connection) -> None:
        """Frees a connection after an exchange; an unfinished one is dropped, or lingers for its last bytes."""
        if connection.dropping and not connection.complete and connection.error is None and not connection.lost:
            connection.lingering = True
            connection.deadline = connection.loop.time() + LINGER_S
            return
        self.release(connection)

    def release(self, connection: Connection) -> None:
        self._transport.active.discard(connection)
        connection.busy = False
        reusable = connection.reusable and connection.complete and not connection.lost and connection.sent
        if reusable and len(self._idle) < MAX_IDLE:
            connection.rest()
            self._idle.append(connection)
        else:
            connection.abort()

    def forget(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def expire(self, now: float) -> None:
        """Drops idle connections that are past their age."""
        old = [connection for connection in self._idle if now - connection.created >= MAX_AGE_S]
        for connection in old:
            connection.abort()


class Transport:
    """All connections of this process to providers. Belongs to one event loop."""

    def __init__(self, outgoing: Outgoing = Outgoing()) -> None:  # noqa: B008 - it cannot change
        self.outgoing = outgoing
        self.active: set[Connection] = set()
        self._origins: dict[tuple[str, int, str | None, bool, ForwardProxy | None], Origin] = {}
        self._contexts: dict[str | None, ssl.SSLContext] = {}
        self._loop = asyncio.get_running_loop()
        self._resolver = Resolver()
        self._sweeper: asyncio.TimerHandle | None = self._loop.call_later(SWEEP_S, self._sweep)
        self._sweeps = 0

    def origin(
        self, host: str, port: int, *, tls: bool, ca_bundle: str | None = None, proxy: ForwardProxy | None = None
    ) -> Origin:
        """The one Origin for these; raises OSError when the CA bundle cannot be read."""
        key = (host, port, ca_bundle, tls, proxy)
        if key not in self._origins:
            self._origins[key] = Origin(host, port, self._context(ca_bundle) if tls else None, self, proxy)
        return self._origins[key]

    def unix_origin(self, path: str) -> Origin:
        """A server on this host at the socket `path`."""
        made = self._origins[path, 0, None, False, None] = Origin("", 0, None, self, None, path)
        return made

    def drop(self, origin: Origin) -> None:
        """Closes the idle connections of a Unix origin that will not be used again."""
        origin.expire(float("inf"))
        self._origins.pop((origin.path or "", 0, None, False, None), None)

    def _context(self, ca_bundle: str | None) -> ssl.SSLContext:
        if ca_bundle not in self._contexts:
            context = ssl.create_default_context(cafile=ca_bundle)
            context.set_alpn_protocols(["http/1.1"])
            self._contexts[ca_bundle] = context
        return self._contexts[ca_bundle]

    async def request(self, origin: Origin, payload: bytes, timeouts: Timeouts, *, whole: bool) -> Response:
        """Sends one request and returns once its head is there, or (`whole`) its body too, buffered.

        Raises UpstreamRefused, UpstreamTimeout, UpstreamDisconnected or UpstreamBadAnswer.
        """
        connection = origin.take(self._loop.time())
        if connection is not None:
            try:
                return await self._exchange(connection, payload, timeouts, whole=whole)
            except StaleConnectionError:
                pass
        connection = await self.connect(origin, timeouts)
        try:
            return await self._exchange(connection, payload, timeouts, whole=whole)
        except StaleConnectionError:
            raise UpstreamDisconnected("The provider closed the connection without an answer.") from None

    async def _exchange(self, connection: Connection, payload: bytes, timeouts: Timeouts, *, whole: bool) -> Response:
        self.active.add(connection)
        try:
            total = timeouts.total_ms / 1000
            # An answer in one piece may begin with its head, long before its body is ready.
            connection.send(payload, timeouts.first_byte_ms / 1000, total if whole else timeouts.idle_ms / 1000, total)
            if whole:
                await connection.body(MAX_ANSWER_BYTES)
            else:
                await connection.head()
        except BaseException:
            connection.reusable = False
            connection.origin.release(connection)
            raise
        return Response(connection)

    async def connect(self, origin: Origin, timeouts: Timeouts) -> Connection:
        """A new connection, not in use yet; raises UpstreamTimeout, UpstreamRefused."""
        limit = timeouts.connect_ms / 1000
        try:
            async with asyncio.timeout(limit):
                if origin.path is not None:
                    connection = await self._local(origin, origin.path)
                elif origin.proxy is None:
                    connection = await self._direct(origin)
                else:
                    connection = await self._through(origin, origin.proxy)
        except TimeoutError:
            way = "" if origin.proxy is None else f" through the proxy {origin.proxy.name}"
            raise UpstreamTimeout(f"The provider did not accept a connection{way} within {limit:g} s.") from None
        except ssl.SSLCertVerificationError as error:
            raise UpstreamRefused(f"The provider's certificate is not trusted: {error.verify_message}.") from None
        except ssl.SSLError as error:
            raise UpstreamRefused(f"The provider does not speak TLS with us: {error.reason}.") from None
        except OSError as error:
            reason = error.strerror or "no connection"
            raise UpstreamRefused(f"The provider cannot be reached: {reason.lower()}.") from None
        return connection

    async def _local(self, origin: Origin, path: str) -> Connection:
        _, connection = await self._loop.create_unix_connection(lambda: Connection(origin, self._loop), path)
        return connection

    async def _direct(self, origin: Origin) -> Connection:
        name = origin.host if origin.tls else None
        _, connection = await self._dial(
            lambda: Connection(origin, self._loop), origin.host, origin.port, ssl=origin.tls, server_hostname=name
        )
        return connection

    async def _through(self, origin: Origin, proxy: ForwardProxy) -> Connection:
        """Names of providers are looked up by the proxy: this host may know none of the outside."""
        tunnel = None if origin.tls is None else Tunnel(proxy, origin.host, origin.port)
        connection = Connection(origin, self._loop)
        try:
            transport, _ = await self._dial(lambda: tunnel or connection, proxy.host, proxy.port)
        except OSError as error:
            reason = (error.strerror or "no connection").lower()
            raise ForwardProxyFailed(f"The proxy {proxy.name} cannot be reached: {reason}.") from None
        if tunnel is not None and origin.tls is not None:
            await secured(transport, tunnel, connection, origin.tls, origin.host)
        return connection

    async def _dial(self, make: Callable[[], P], host: str, port: int, **tls: Any) -> tuple[asyncio.Transport, P]:
        """The first of the name's addresses that takes a connection; with none, the last one's OSError."""
        addresses = await self._resolver.addresses(host)
        for left, address in enumerate(addresses, 1 - len(addresses)):
            try:
                return await self._loop.create_connection(make, address, port, **tls)
            except ssl.SSLError:
                raise
            except OSError:
                if left == 0:
                    self._resolver.forget(host)
                    raise
        raise OSError("no address")

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [c for c in self.active if now >= c.deadline and not c.complete]:
            if connection.lingering:
                connection.origin.release(connection)
            else:
                what = "go on with its answer" if connection.status else "begin to answer"
                if connection.draining:
                    what = "take the request"
                if connection.deadline >= connection.total_deadline:
                    what = "answer"
                connection.fail(UpstreamTimeout(f"The provider did not {what} in time."))
        self._sweeps += 1
        if self._sweeps % 50 == 0:
            for origin in self._origins.values():
                origin.expire(now)
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def close(self) -> None:
        """Drops every connection, in use or idle."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self.active):
            connection.fail(UpstreamDisconnected("The gateway is stopping."))
        for origin in self._origins.values():
            origin.expire(float("inf"))
