"""What a worker counts, and how the workers of a host put their counts together.

Plain dicts and lists: prometheus_client with several processes costs 10 µs a counter, all of this 1 µs a request.
Every second each worker writes its counts to a file of its own (a slot), and any worker merges them for `/metrics`. The
slot of a worker that is gone is added to a file of past counts, so that no counter ever goes down.
Labels are route, model, provider and status: their number is bounded by the configuration. Never keys or teams.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import struct
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

import msgspec
from msgspec import Struct

from scutum_server.usage.models import Reading

log = logging.getLogger(__name__)

WRITE_S: Final = 1.0
MILLI: Final = 1000
DURATION_US: Final = tuple(
    ms * MILLI for ms in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000, 300_000)
)
OVERHEAD_US: Final = (100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 1_000_000)

# A row of numbers per (route, model, provider): four sums, then three histograms, each its sum and its buckets.
TOKENS_IN, TOKENS_OUT, TOKENS_CACHED, COST, DURATION = range(5)
FIRST: Final = DURATION + 2 + len(DURATION_US)
OVERHEAD: Final = FIRST + 2 + len(DURATION_US)
WIDTH: Final = OVERHEAD + 2 + len(OVERHEAD_US)

_HEAD: Final = struct.Struct(">II")


class Counts(Struct):
    """Counts of one worker, or of several merged. `gauges` are of now and add up, `ages` are of now and do not."""

    width: int = WIDTH
    requests: dict[tuple[str, str, str, int], int] = msgspec.field(default_factory=dict)
    work: dict[tuple[str, str, str], list[int]] = msgspec.field(default_factory=dict)
    attempts: dict[tuple[str, str], int] = msgspec.field(default_factory=dict)
    upstream_errors: dict[tuple[str, str], int] = msgspec.field(default_factory=dict)
    plain: dict[str, int] = msgspec.field(default_factory=dict)
    gauges: dict[str, float] = msgspec.field(default_factory=dict)
    ages: dict[str, float] = msgspec.field(default_factory=dict)

    def merge(self, other: Counts, *, alive: bool) -> None:
        """Adds the counts of `other`, and what is of now if its worker is `alive`."""
        for mine, theirs in (
            (self.requests, other.requests),
            (self.attempts, other.attempts),
            (self.upstream_errors, other.upstream_errors),
            (self.plain, other.plain),
        ):
            _add(mine, theirs)
        for key, row in other.work.items():
            known = self.work.get(key)
            self.work[key] = row if known is None else [a + b for a, b in zip(known, row, strict=True)]
        if alive:
            _add(self.gauges, other.gauges)
            for name, age in other.ages.items():
                self.ages[name] = max(age, self.ages.get(name, 0.0))


def _add(into: dict[Any, Any], more: dict[Any, Any]) -> None:
    for key, value in more.items():
        into[key] = into.get(key, 0) + value


class Labels(Protocol):
    """What a request is counted under; "" where there is none."""

    @property
    def route(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def provider(self) -> str: ...


class Metrics:
    """One per worker: `observe()` per recorded request, `other()` for the rest, `attempt()` and `failed()` per call to
    a provider, `run()` as a task, `gather()` to read.

    `now` returns this worker's gauges and ages and its plain counters.
    """

    def __init__(
        self, directory: Path, now: Callable[[], tuple[dict[str, float], dict[str, float], dict[str, int]]]
    ) -> None:
        self._directory = directory
        self._now = now
        self._counts = Counts()
        self._slot: int | None = None
        self._encoder = msgspec.msgpack.Encoder()

    def observe(self, whose: Labels, record: Reading) -> None:
        """Counts one request that has a usage record."""
        counts = self._counts
        route, model, provider = whose.route, whose.model, whose.provider
        status = (route, model, provider, record.status)
        counts.requests[status] = counts.requests.get(status, 0) + 1
        key = (route, model, provider)
        row = counts.work.get(key)
        if row is None:
            row = counts.work[key] = [0] * WIDTH
        row[TOKENS_IN] += record.tokens_in
        row[TOKENS_OUT] += record.tokens_out
        row[TOKENS_CACHED] += record.tokens_cached
        row[COST] += record.cost_nano_usd
        duration = record.latency_us
        row[DURATION] += duration
        row[DURATION + 1 + bisect_left(DURATION_US, duration)] += 1
        if record.ttft_us is not None:
            row[FIRST] += record.ttft_us
            row[FIRST + 1 + bisect_left(DURATION_US, record.ttft_us)] += 1
        if record.overhead_us is not None:
            row[OVERHEAD] += record.overhead_us
            row[OVERHEAD + 1 + bisect_left(OVERHEAD_US, record.overhead_us)] += 1

    def attempt(self, model: str, provider: str) -> None:
        """Counts one call to a provider, of which a request may need several."""
        counts, key = self._counts.attempts, (model, provider)
        counts[key] = counts.get(key, 0) + 1

    def failed(self, provider: str, kind: str) -> None:
        """Counts one call that failed at its provider."""
        counts, key = self._counts.upstream_errors, (provider, kind)
        counts[key] = counts.get(key, 0) + 1

    def other(self, route: str, status: int) -> None:
        """Counts one request that leaves no usage record: refused before its key was known, or a list of models."""
        key = (route, "", "", status)
        self._counts.requests[key] = self._counts.requests.get(key, 0) + 1

    # -- the host's workers together

    def open(self) -> None:
        """Makes this worker's slot; raises OSError when the directory cannot be used."""
        # `parents` would make the one above for everybody to enter.
        for directory in (self._directory.parent, self._directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{os.getpid()}-{uuid4().hex[:12]}.slot"
        with self._alone():
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
        self._slot = fd
        self.write()

    async def run(self) -> None:
        """Writes the slot every second, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_S)
            try:
                self.write()
            except OSError as error:
                log.warning("the counters cannot be written to %s: %s", self._directory, error.strerror)
                await asyncio.sleep(60)

    def write(self) -> None:
        """Writes this worker's counts to its slot; raises OSError."""
        counts = self._counts
        counts.gauges, counts.ages, counts.plain = self._now()
        if self._slot is not None:
            payload = self._encoder.encode(counts)
            os.pwrite(self._slot, _HEAD.pack(len(payload), zlib.crc32(payload)) + payload, 0)

    def close(self) -> None:
        """Leaves the last counts to whoever merges next."""
        if self._slot is not None:
            with contextlib.suppress(OSError):
                self.write()
            os.close(self._slot)
            self._slot = None

    async def gather(self) -> Counts:
        """The counts of all workers of this host, past and present."""
        self.write()
        if self._slot is None:
            merged = Counts()
            merged.merge(self._counts, alive=True)
            return merged
        return await asyncio.to_thread(self._gather)

    def _gather(self) -> Counts:
        with self._alone():
            past = self._directory / "past"
            merged = _read(past) or Counts()
            living: list[Counts] = []
            gone: list[Path] = []
            for path in sorted(self._directory.glob("*.slot")):
                counts = _read(path)
                if _has_owner(path):
                    living += [counts] if counts else []
                else:
                    gone.append(path)
                    merged.merge(counts or Counts(), alive=False)
            if gone:
                _replace(past, self._encoder.encode(merged))
                for path in gone:
                    path.unlink()
            for counts in living:
                merged.merge(counts, alive=True)
        return merged

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time makes, reads and removes slots."""
        fd = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _has_owner(path: Path) -> bool:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _read(path: Path) -> Counts | None:
    """None for a file that is not there, torn, or of a release that counts other things."""
    for _ in range(5):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        if len(content) >= _HEAD.size:
            length, checksum = _HEAD.unpack_from(content)
            payload = content[_HEAD.size : _HEAD.size + length]
            if zlib.crc32(payload) == checksum:
                try:
                    counts = msgspec.msgpack.decode(payload, type=Counts)
                except msgspec.ValidationError:
                    return None
                return counts if counts.width == WIDTH else None
        # Its owner is writing it just now.
    log.warning("counters cannot be read: %s", path.name)
    return None


def _replace(path: Path, payload: bytes) -> None:
    partial = path.with_suffix(".partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, _HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
    finally:
        os.close(fd)
    partial.rename(path)
