"""A request whose body comes in pieces: each waits until the provider has taken the one before, and none is kept.

What was sent cannot be sent again, so an upload has a connection of its own: a pooled one might be dead already.
"""

from __future__ import annotations

from scutum_server.upstream.connection import Connection
from scutum_server.upstream.forward_proxy import refused
from scutum_server.upstream.options import Timeouts
from scutum_server.upstream.transport import Origin, Response, Transport

_LAST = b"0\r\n\r\n"


class Upload:
    """Exactly one of `finish()` and `abort()` ends it."""

    __slots__ = ("_connection", "_timeouts", "_transport")

    def __init__(self, transport: Transport, connection: Connection, head: bytes, timeouts: Timeouts) -> None:
        self._transport = transport
        self._connection = connection
        self._timeouts = timeouts
        transport.active.add(connection)
        connection.open(head, timeouts.idle_ms / 1000)

    @property
    def answered(self) -> bool:
        """Whether the provider answers already: it does not want the rest."""
        return self._connection.answered

    async def send(self, data: bytes) -> None:
        """Raises UpstreamTimeout when the provider stops taking it, UpstreamDisconnected, UpstreamBadAnswer."""
        if data:
            await self._connection.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def finish(self) -> Response:
        """Returns once the head of the answer is there; raises the errors of `upstream.errors`."""
        connection, timeouts = self._connection, self._timeouts
        early = connection.answered
        connection.close_request(_LAST, timeouts.first_byte_ms / 1000, timeouts.total_ms / 1000)
        try:
            await connection.head()
        except BaseException:
            self.abort()
            raise
        response = Response(connection, keep=not early)
        if response.status == 407 and connection.origin.proxy is not None:
            response.close()
            raise refused(connection.origin.proxy)
        return response

    def abort(self) -> None:
        """Drops the connection, so that the provider sees the end of it at once."""
        connection = self._connection
        connection.abort()
        connection.origin.release(connection)


async def begin(transport: Transport, origin: Origin, head: bytes, timeouts: Timeouts) -> Upload:
    """Connects and sends `head`, which ends with its empty line; raises UpstreamTimeout, UpstreamRefused."""
    return Upload(transport, await transport.connect(origin, timeouts), head, timeouts)
