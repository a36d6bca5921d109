"""The proxy's usage records on disk until the stream holds them: append before the answer ends, flush behind.

Memory stays bounded while Valkey is away, since the flusher reads the files again from what was acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from scutum_server.errors import Unavailable
from scutum_server.infra.tasks import Heed
from scutum_server.usage.segment import SUFFIX, Segment

log = logging.getLogger(__name__)

BATCH_LINES = 500
BATCH_BYTES = 512 * 1024
ROTATE_BYTES = 8 * 1024 * 1024
LIMIT_BYTES = 2 * 1024**3
"""On disk per process: a longer outage must not fill the disk that Postgres lives on."""
MEMORY_BYTES = 16 * 1024 * 1024
"""Records that no disk took, waiting in memory."""

GATHER_SECONDS = 0.05
SETTLE_SECONDS = 1.0
ADOPT_SECONDS = 10.0
WARN_SECONDS = 60.0
BACKOFF_SECONDS = (0.1, 2.0)


class Stream(Protocol):
    """Where batches go; every call raises Unavailable when the server cannot be reached or refuses."""

    async def server(self) -> str:
        """Names the run of the server: another name after every restart."""

    async def add(self, lines: bytes) -> None:
        """Newline-ended records as one entry."""

    async def settle(self) -> str:
        """As `server()`, after waiting until all that was added before is safe from a crash of the server."""


class Counters(msgspec.Struct):
    """Records since this process started, repeats included in `sent`; `failed` went to memory, `dropped` are lost.

    `adopted` counts files.
    """

    appended: int = 0
    sent: int = 0
    failed: int = 0
    dropped: int = 0
    adopted: int = 0


class Journal:
    """One per process and directory: `open()`, `append()` per request, `run()` as a task, `close()`."""

    def __init__(
        self,
        directory: Path,
        stream: Stream,
        *,
        clock: Callable[[], float] = time.monotonic,
        rotate_bytes: int = ROTATE_BYTES,
        limit_bytes: int = LIMIT_BYTES,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.counters = Counters()
        self._directory = directory
        self._stream = stream
        self._clock = clock
        self._rotate_bytes = rotate_bytes
        self._limit_bytes = limit_bytes
        self._memory_bytes = memory_bytes
        self._current: Segment | None = None
        self._full: list[Segment] = []
        self._memory: deque[bytes] = deque()
        self._held = 0
        self._wake = asyncio.Event()
        self._server: str | None = None
        self._warned_at = -WARN_SECONDS

    def open(self) -> None:
        """Makes the directory (0700) and this process's file, and adopts what dead processes left.

        Raises OSError when the directory cannot be used: better at the start than on the first request.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._current = Segment.create(self._directory)
        self._adopt()

    def append(self, lines: Sequence[bytes]) -> None:
        """Puts records, each with its newline, on disk (not synced) and wakes the flusher.

        Never raises because of the disk.
        """
        self.counters.appended += len(lines)
        segment = self._current
        if segment is None:
            self._keep(lines, None)
        else:
            try:
                segment.write(b"".join(lines))
            except OSError as error:
                self._keep(lines, error)
            else:
                if segment.size >= self._rotate_bytes:
                    self._rotate(segment)
        self._wake.set()

    @property
    def pending_bytes(self) -> int:
        """What the stream does not hold for certain yet."""
        return sum(segment.size - segment.acked for segment in self._segments()) + self._held

    def send_again(self) -> Callable[[], bool]:
        """Sends again what may not be safe, after a loss of the stream; says whether all of it is by now."""
        mine = [(segment, segment.emptied, segment.size) for segment in self._segments()]
        for segment, _, _ in mine:
            segment.rewind()
        self._wake.set()
        return lambda: not self._memory and not any(segment.holds(emptied, size) for segment, emptied, size in mine)

    def _segments(self) -> list[Segment]:
        return self._full if self._current is None else [*self._full, self._current]

    def _rotate(self, segment: Segment) -> None:
        if sum(each.size for each in self._full) + segment.size > self._limit_bytes:
            self._current = None
        else:
            try:
                self._current = Segment.create(self._directory)
            except OSError as error:
                # The file may grow past its size until there is room for another one.
                self._warn(f"A new usage journal cannot be made: {error}")
                return
        self._full.append(segment)

    def _keep(self, lines: Sequence[bytes], error: OSError | None) -> None:
        self.counters.failed += len(lines)
        for line in lines:
            if self._held + len(line) > self._memory_bytes:
                self.counters.dropped += 1
            else:
                self._memory.append(line)
                self._held += len(line)
        reason = str(error) if error else f"the stream is away and {self._limit_bytes} bytes wait already"
        self._warn(f"Usage records cannot be written to the journal: {reason}")

    def _warn(self, message: str) -> None:
        if self._clock() - self._warned_at >= WARN_SECONDS:
            self._warned_at = self._clock()
            log.error(message, extra={"in_memory": len(self._memory), "dropped": self.counters.dropped})

    def _adopt(self) -> None:
        own = {segment.path for segment in self._segments()}
        for path in sorted(self._directory.glob("*" + SUFFIX)):
            try:
                segment = None if path in own else Segment.adopt(path)
            except OSError as error:
                self._warn(f"A left-over usage journal cannot be read: {error}")
                continue
            if segment is not None:
                self.counters.adopted += 1
                self._full.append(segment)
                self._wake.set()
                log.info("Adopted a usage journal", extra={"file": path.name, "bytes": segment.size})

    async def run(self) -> None:
        """The flusher: runs until cancelled, whatever happens to the stream or the disk."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._send_forever())
                    group.create_task(self._settle_forever())
            except* Exception as errors:
                # A flusher that ended would fill the disk unseen.
                log.error("The flusher of usage records failed and starts again", exc_info=errors)  # noqa: TRY400
                self._wake.set()
                await asyncio.sleep(BACKOFF_SECONDS[1])

    async def _send_forever(self) -> None:
        first, longest = BACKOFF_SECONDS
        heed = Heed()
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(GATHER_SECONDS)
            pause = 0.0
            while True:
                heed()
                try:
                    await self._flush(heed)
                    break
                except Unavailable as error:
                    if pause == 0.0:
                        log.warning("The usage stream is away: %s", error, extra={"pending_bytes": self.pending_bytes})
                    pause = min(longest, pause * 2 or first)
                    await asyncio.sleep(pause)
            heed()
            if pause:
                log.info("The usage stream is back", extra={"pending_bytes": self.pending_bytes})

    async def _flush(self, heed: Heed) -> None:
        if self._server is None:
            self._server = await self._stream.server()
        await self._flush_memory()
        for segment in self._segments():
            while segment.unsent:
                position = segment.position()
                try:
                    lines = segment.read(BATCH_BYTES, BATCH_LINES)
                except OSError as error:
                    self._warn(f"A usage journal cannot be read: {error}")
                    break
                await self._stream.add(lines)
                self.counters.sent += lines.count(b"\n")
                segment.advance(position, len(lines))
                heed()

    async def _flush_memory(self) -> None:
        """What the disk refused goes to the disk if it has room again, else straight to the stream."""
        if not self._memory:
            return
        if self._current is None and sum(segment.size for segment in self._full) <= self._limit_bytes:
            with contextlib.suppress(OSError):
                self._current = Segment.create(self._directory)
        while self._memory and self._current is not None:
            try:
                self._current.write(self._memory[0])
            except OSError:
                break
            self._held -= len(self._memory.popleft())
        while self._memory:
            batch = list(itertools.islice(self._memory, BATCH_LINES))
            await self._stream.add(b"".join(batch))
            self.counters.sent += len(batch)
            for line in batch:
                self._memory.popleft()
                self._held -= len(line)

    async def _settle_forever(self) -> None:
        adopted_at = self._clock()
        heed = Heed()
        while True:
            heed()
            await asyncio.sleep(SETTLE_SECONDS)
            if self._clock() - adopted_at >= ADOPT_SECONDS:
                adopted_at = self._clock()
                self._adopt()
            # The sender says it when the stream is away.
            with contextlib.suppress(Unavailable):
                await self._settle()

    async def _settle(self) -> None:
        marks = [(segment, segment.position()) for segment in self._segments() if segment.acked < segment.sent]
        if not marks:
            return
        server = await self._stream.settle()
        if server != self._server:
            log.warning("The usage stream's server was restarted; sending again what it may not have kept")
            self._server = server
            for segment in self._segments():
                segment.rewind()
            self._wake.set()
            return
        for segment, position in marks:
            if segment.acknowledge(position):
                self._finish(segment)

    def _finish(self, segment: Segment) -> None:
        try:
            if segment is self._current:
                segment.reset()
            else:
                self._full.remove(segment)
                segment.remove()
        except OSError as error:
            self._warn(f"A usage journal cannot be emptied: {error}")

    async def close(self, seconds: float = 5.0) -> None:
        """Flushes for at most that long; the rest stays on disk for the next process. Cancel `run()` before."""
        try:
            async with asyncio.timeout(seconds):
                heed = Heed()
                while self.pending_bytes:
                    await self._flush(heed)
                    await self._settle()
                    heed()
                    await asyncio.sleep(GATHER_SECONDS)
        except (TimeoutError, Unavailable) as error:
            log.warning("Usage records wait on disk for the next start: %s", error or "no answer in time")
        if self._memory:
            self.counters.dropped += len(self._memory)
            log.error("Usage records that no disk and no stream took are lost", extra={"records": len(self._memory)})
        for segment in self._segments():
            if segment.acked == segment.size:
                segment.remove()
            else:
                segment.close()
        self._current, self._full = None, []
