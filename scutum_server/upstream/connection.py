"""One HTTP/1.1 connection to a provider: an asyncio protocol around httptools' response parser.

A connection carries one exchange at a time. Nothing here creates tasks or timers: the pool's sweep enforces deadlines,
and a streamed body is pushed into a callback from `data_received`, so that a chunk costs no wake-up of a task.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import TYPE_CHECKING

import httptools

from scutum_server.errors import UpstreamError
from scutum_server.infra.outbox import outbox_of
from scutum_server.upstream.errors import UpstreamBadAnswer, UpstreamDisconnected

if TYPE_CHECKING:
    from scutum_server.upstream.transport import Origin

MAX_HEAD_BYTES = 64 * 1024
HIGH_WATER_BYTES = 256 * 1024
Feed = Callable[[bytes], bool]


class StaleConnectionError(Exception):
    """A pooled connection was closed by the server before it answered anything: another one may be tried."""


class Connection(asyncio.Protocol):
    """Reads one answer at a time. `complete`, `status` and `headers` describe the answer in progress."""

    transport: asyncio.Transport

    def __init__(self, origin: Origin, loop: asyncio.AbstractEventLoop) -> None:
        self.origin = origin
        self.loop = loop
        self.created = loop.time()
        self._outbox = outbox_of(loop)
        self.parser = httptools.HttpResponseParser(self)
        self.used = False
        self.lost = False
        self.busy = False
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.reusable = False
        self.dropping = False
        self.lingering = False
        self.deadline = 0.0
        self.total_deadline = 0.0
        self._idle_s = 0.0
        self.error: UpstreamError | StaleConnectionError | None = None
        # Bytes since the last one of the body: head, interim answers, trailers, chunk extensions.
        self._framing = 0
        self._head_bytes = 0
        self._head_done = False
        self._received = False
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._limit = 0
        self._feed: Feed | None = None
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._wake_on_head = False
        self.draining = False
        self._write_paused = False

    # -- the exchange, as the pool and the response drive it

    def send(self, payload: bytes, first_byte_s: float, idle_s: float, total_s: float) -> None:
        """Starts an exchange; deadlines count from now, `idle_s` from each piece of the answer."""
        self.busy = True
        now = self.loop.time()
        self._idle_s = idle_s
        self.total_deadline = now + total_s
        self.deadline = min(now + first_byte_s, self.total_deadline)
        self._outbox.put(self.transport, payload)

    def open(self, head: bytes, idle_s: float) -> None:
        """Starts an exchange whose request comes in pieces: no deadline runs while the provider waits for us."""
        self.busy = True
        self._idle_s = idle_s
        self.deadline = self.total_deadline = float("inf")
        self._wake_on_head = True
        self.transport.write(head)

    @property
    def answered(self) -> bool:
        """Whether the answer has begun; before the request is complete, that makes its rest superfluous."""
        return self._head_done

    async def write(self, data: bytes) -> None:
        """A piece of the request; waits while the provider is slow to take it. After `answered` it does nothing."""
        if self.error is not None:
            raise self.error
        if self._head_done or self.lost:
            return
        self.transport.write(data)
        if self._write_paused:
            self.draining = True
            self.deadline = self.loop.time() + self._idle_s
            try:
                while self._write_paused and not self._head_done:
                    await self._wait()
            finally:
                self.draining = False
                self.deadline = float("inf")

    def close_request(self, data: bytes, first_byte_s: float, total_s: float) -> None:
        """The last piece of the request; deadlines for the answer count from now."""
        now = self.loop.time()
        self.total_deadline = now + total_s
        self.deadline = min(now + first_byte_s, self.total_deadline)
        if self.error is None and not self._head_done and not self.lost:
            self.transport.write(data)

    async def head(self) -> None:
        """Waits for the answer's status and headers."""
        self._wake_on_head = True
        if not self._head_done:
            await self._wait()

    async def body(self, limit: int) -> bytes:
        """Waits for the whole answer (status and headers too); over `limit` bytes it is an UpstreamBadAnswer."""
        self._wake_on_head = False
        self._limit = limit
        self._resume()
        self._check_limit()
        if self.error is not None or not self.complete:
            await self._wait()
        chunks = self._chunks
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def pump(self, feed: Feed) -> None:
        """Pushes the body into `feed` until the answer ends; `feed` returns False to be paused until `resume()`."""
        self._wake_on_head = False
        self._feed = feed
        self._deliver()
        if self.error is not None:
            raise self.error
        if not self.complete and not self.dropping:
            await self._wait()

    def resume(self) -> None:
        """Takes up a body that `feed` had paused."""
        if self._feed is not None:
            self._resume()

    def stop(self) -> None:
        """Ends `pump()` before the answer ends: its rest is of no interest."""
        self._feed = None
        self.dropping = True
        self._resume()
        self._wake()

    async def _wait(self) -> None:
        if self.error is not None:
            raise self.error
        self._waiter = self.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self.error is not None:
            raise self.error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, error: UpstreamError | StaleConnectionError) -> None:
        """Ends the exchange with `error` and drops the connection."""
        if self.error is None:
            self.error = error
        self.abort()
        self._wake()

    def rest(self) -> None:
        """Forgets the exchange that ended: an idle connection must not keep a request's objects alive."""
        self.used = True
        self._reset()

    def silent(self) -> bool:
        """Whether nothing has come since the last answer, not even what the loop has yet to read.

        What lies there would be taken for the next request's answer: its client would see another's. 1 µs.
        """
        return not self.lost and not self._poll.poll(0)

    @property
    def sent(self) -> bool:
        """Whether the provider has taken the whole request; one that answers earlier may never do so."""
        return not self.transport.get_write_buffer_size()

    def abort(self) -> None:
        self.reusable = False
        if not self.lost:
            self.transport.abort()

    def _resume(self) -> None:
        if self._paused and not self.lost:
            self._paused = False
            self.transport.resume_reading()
            self._heard()

    def _pause(self) -> None:
        if not self._paused and not self.lost and not self.complete:
            self._paused = True
            self.transport.pause_reading()
            self.deadline = self.total_deadline  # the silence is ours

    def _heard(self) -> None:
        if not self.lingering:
            self.deadline = min(self.loop.time() + self._idle_s, self.total_deadline)

    def header(self, name: bytes) -> bytes | None:
        """The value of the answer's header `name` (lower case), or None."""
        for key, value in self.headers:
            if len(key) == len(name) and key.lower() == name:
                return value
        return None

    # -- asyncio

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self.draining:
            self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if not self.busy:
            self.abort()  # bytes that nobody asked for
            return
        self._received = True
        self._heard()
        self._framing += len(data)
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.complete:
                self.fail(UpstreamBadAnswer("The provider answered with something that is not HTTP/1.1."))
                return
            self.reusable = False
        if self._framing > MAX_HEAD_BYTES and not self.complete:
            self.fail(UpstreamBadAnswer("The provider's answer has too large a head, or too large a frame."))
            return
        if not self._head_done:
            return
        if self._feed is not None:
            self._deliver()
        elif self.dropping:
            self._chunks.clear()
            if self.complete and self.lingering:
                self.origin.release(self)
                return
        else:
            self._check_limit()
        if self.complete or self._wake_on_head:
            self._wake()

    def _deliver(self) -> None:
        chunks = self._chunks
        if chunks and self._feed is not None:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            self._buffered = 0
            try:
                more = self._feed(data)
            except UpstreamError as error:
                self.fail(error)
                return
            if not more:
                self._pause()
                return
        self._resume()

    def _check_limit(self) -> None:
        if self._limit:
            if self._buffered > self._limit:
                self.fail(UpstreamBadAnswer(f"The provider's answer is larger than {self._limit} bytes."))
        elif self._buffered > HIGH_WATER_BYTES and self._wake_on_head:
            self._pause()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.busy:
            self.origin.forget(self)
            return
        if self.complete or self.error is not None:
            pass
        elif self._head_done and exc is None and self._ends_with_connection():
            self.complete = True
        elif self._received:
            self.error = UpstreamDisconnected("The provider's connection ended before its answer did.")
        elif self.used:
            self.error = StaleConnectionError()
        else:
            self.error = UpstreamDisconnected("The provider closed the connection without an answer.")
        if self.lingering:
            self.origin.release(self)
        self._wake()

    def _ends_with_connection(self) -> bool:
        coding = self.header(b"transfer-encoding")
        return self.header(b"content-length") is None and (coding is None or b"chunked" not in coding.lower())

    # -- httptools

    def on_message_begin(self) -> None:
        if self.complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # a trailer, or the head of what nobody asked for
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("head too large")
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        self.status = self.parser.get_status_code()
        if not 100 <= self.status < 600 or self.status == 101:  # nobody asked for an upgrade
            raise ValueError(self.status)
        self._head_done = self.status >= 200
        if self._head_done:
            self._framing = 0

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self._framing = 0
            self._chunks.append(body)
            self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self.complete:
            return
        if self.status < 200:
            self.headers.clear()  # an interim answer: the real one follows
            return
        self.complete = True
        self.reusable = self.parser.should_keep_alive()
