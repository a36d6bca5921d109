"""Uvicorn's httptools protocol, with what the data plane needs beside it.

* Every request gets an `Exchange`, which writes its answer without ASGI's messages.
* A client's disconnect cancels the request's task; a slow client pauses the provider.
* Draining (see DESIGN): a connection without a complete request is kept for 3 s, every answer says `Connection: close`.
* Bounded heads and trailers, bounded waits for what a client sends or takes, and refusals in the client's shape.
* A request that offers an upgrade (`h2c`, as Java's client does with every first one) is answered as if it did not.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sys
import termios
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from scutum_server.errors import InvalidInput, ScutumError
from scutum_server.infra.outbox import outbox_of
from scutum_server.proxy.http.exchange import SCOPE_KEY, Exchange, RequestTimeout
from scutum_server.wire.errors import render, shape_of

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 256
MAX_PIPELINED: Final = 64
"""Requests that wait for one before them on their connection: 256 KiB of them would hold 20 MB."""
DRAIN_GRACE_S: Final = 3.0
_TOO_LARGE: Final = f"The request's head is larger than 64 KiB, or has more than {MAX_FIELDS} fields."
_VERSIONS: Final = frozenset({"1.1", "1.0"})


class HeadTooLarge(InvalidInput):
    code = "request_head_too_large"
    status = 431


class Protocol(HttpToolsProtocol):
    """One client connection.

    `head_seconds` is how long a request's head may take, the first one's from the start; `write_seconds` is how long a
    client may take nothing of what waits for it.
    """

    head_seconds = 60.0
    write_seconds = 300.0
    exchange_class = Exchange

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.running: Exchange | None = None
        self._outbox = outbox_of(self.loop)
        self.draining = False
        self._head_open = False
        # Bytes since the last one of a body, or since a message began: heads, trailers, chunk extensions, blank lines.
        self._framing = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        """When the last answer was complete; 0 while a request is on its way."""
        self._idle_timer: asyncio.TimerHandle | None = None
        self._untaken = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_seconds, self._head_late)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._framing += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
            return
        if self._head_open and (self._framing > MAX_HEAD_BYTES or len(self.headers) > MAX_FIELDS):
            self._refuse(HeadTooLarge(_TOO_LARGE))
        elif self._framing > MAX_HEAD_BYTES:
            self.send_400_response("")
        elif self._head_timer is None and (self._head_open or (self.running is None and not self._idle_since)):
            # A head has begun, or a body that was answered before its end goes on, or it is blank lines.
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_late)

    def _decline(self, rest: bytes) -> None:
        """Reads the request again without its offer: the parser takes a body behind one for another protocol."""
        method: bytes = self.parser.get_method()
        if method == b"CONNECT" or self.running is not None:
            self._refuse(InvalidInput("This server opens no tunnels, and changes protocols for nobody."))
            return
        version = self.parser.get_http_version().encode()
        fields = b"".join(b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._framing = 0
        self.data_received(b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, self.url, version, fields, rest))

    def _head_late(self) -> None:
        self._head_timer = None
        if self._head_open:
            self._refuse(RequestTimeout("The request's head did not arrive in time."))
        elif self.running is None:
            self._close()

    def _head_in_time(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def send_400_response(self, _msg: str) -> None:
        running = self.running
        if self._head_open:
            self._refuse(InvalidInput("This is not a valid HTTP/1.1 request."))
        elif running is not None and running is self.cycle and running.more_body and not running.response_started:
            running.break_body()
        else:
            self._close()  # the request has its answer: another one would be taken for the next one's

    def _refuse(self, error: ScutumError) -> None:
        if self.transport.is_closing():
            return
        self._outbox.flush()
        if self.running is None:
            body = render(error, shape_of(self.url))
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[error.status] + head + body)
        self._close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_open = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_open:
            return  # a trailer: nothing that was checked in the head may come after it
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._framing = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._framing = 0
        cycle = self.cycle
        if self._head_open:
            pass  # an offer of another protocol, which `_decline` reads again
        elif not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()
        elif self.running is None:
            # The answer came first: only now is the connection idle.
            self._head_in_time()
            self._idle()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        version = self.parser.get_http_version()
        if version not in _VERSIONS or len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError(version)  # the parser turns it into its own error
        if len(self.headers) > MAX_FIELDS:
            self._refuse(HeadTooLarge(_TOO_LARGE))
            raise ValueError(MAX_FIELDS)
        url = self.url
        if url[:1] == b"/":
            path, _, query = url.partition(b"?")
        else:
            parsed = httptools.parse_url(url)
            path, query = parsed.path or b"/", parsed.query or b""
        self._head_open = False
        self._framing = 0
        self._head_in_time()
        scope: Any = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["raw_path"], scope["query_string"] = path, query
        scope["path"] = path.decode("latin-1")
        before = self.cycle
        exchange = self.exchange_class(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        exchange.is_head = scope["method"] == "HEAD"
        exchange.outbox = self._outbox
        self.cycle = exchange
        scope[SCOPE_KEY] = exchange
        if before is None or before.response_complete:
            self._start_asgi_task(exchange, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))

    def _start_asgi_task(self, cycle: Exchange, app: Any) -> None:  # type: ignore[override]
        self.running = cycle
        if self.draining:
            cycle.keep_alive = False
        cycle.task = self.loop.create_task(cycle.run_asgi(app))
        cycle.tasks = self.tasks
        self.tasks.add(cycle.task)

    def on_response_complete(self) -> None:
        self.running = None
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._watch_writing()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())  # type: ignore[arg-type]
        else:
            self._idle()

    def _idle(self) -> None:
        """Notes the time; a timer for each answer would cost more than one that looks how long it was."""
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = 0.0

    def timeout_keep_alive_handler(self) -> None:
        self._idle_timer = None
        if not self._idle_since:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            self._close()

    def _close(self) -> None:
        """Closes once the client has taken what was written, but does not wait for ever."""
        if not self.transport.is_closing():
            self._outbox.flush()
            self.transport.close()
        self._watch_writing()

    def _watch_writing(self) -> None:
        if self._write_timer is None and self.transport.get_write_buffer_size():
            self._untaken = self._not_taken()
            self._write_timer = self.loop.call_later(self.write_seconds, self._written)

    def _not_taken(self) -> int:
        """Bytes that the client has not taken, in our buffer and in the kernel's."""
        size = self.transport.get_write_buffer_size()
        with contextlib.suppress(OSError, ValueError):  # the socket is closed already
            file = self.transport.get_extra_info("socket").fileno()
            size += int.from_bytes(fcntl.ioctl(file, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        return size

    def _stop_watching(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _written(self) -> None:
        self._write_timer = None
        if self.transport.get_write_buffer_size() and self._not_taken() == self._untaken:
            self.transport.abort()
        else:
            self._watch_writing()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._head_in_time()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._stop_watching()
        self.pipeline.clear()
        exchange, self.running = self.running, None
        if exchange is not None and not exchange.response_complete:
            exchange.disconnected = True
            exchange.task.cancel()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching()
        if self.running is not None and self.running.on_writable is not None:
            self.running.on_writable()

    def shutdown(self) -> None:
        self.draining = True
        if self.running is not None:
            self.running.keep_alive = False
        else:
            self.loop.call_later(DRAIN_GRACE_S, self._close_if_quiet)

    def _close_if_quiet(self) -> None:
        if self.running is None and not self.transport.is_closing():
            self._close()
