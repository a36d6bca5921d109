"""From the stream into Postgres: every record exactly once, and nothing that cannot be stored holds up the rest."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
from msgspec.structs import asdict

from scutum_server.errors import Unavailable
from scutum_server.infra.tasks import Heed
from scutum_server.usage.models import UsageRecord
from scutum_server.usage.store import Entry, Reject, UnstorableError

log = logging.getLogger(__name__)

ENTRIES = 20
"""A read, each of at most 500 records."""
WAIT_MS = 500
GATHER_SECONDS = 0.1
"""Between two small batches: a commit a request would cost more than the delay is worth."""
CLAIM_SECONDS = 15.0
CLAIM_IDLE_MS = 30_000
BACKOFF_SECONDS = (0.1, 2.0)

_TEXT = 512
_SUSPECT = 1_500
_MOST = 10**15
"""Of any count or sum of money: far above what is real, far below what would overflow the rollups."""
_COUNTS = (
    "tokens_in", "tokens_out", "tokens_cached", "tokens_reasoning", "cost_nano_usd", "latency_us", "ttft_us",
    "overhead_us",
)  # fmt: skip
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLIS = (1_577_836_800_000, 7_258_118_400_000)
"""The years 2020 to 2199."""

_decoder = msgspec.json.Decoder(UsageRecord)

Row = tuple[dt.datetime, UsageRecord]


class Queue(Protocol):
    """See `store.UsageQueue`; every call raises Unavailable."""

    async def create(self) -> None: ...
    async def own(self, count: int, after: str) -> list[Entry]: ...
    async def new(self, count: int, wait_ms: int) -> list[Entry]: ...
    async def claim(self, count: int, idle_ms: int) -> list[Entry]: ...
    async def done(self, ids: Sequence[str]) -> None: ...


class Store(Protocol):
    """See `store.SpendStore`."""

    async def write(self, rows: Sequence[Row], rejects: Sequence[Reject]) -> int: ...
    async def ensure_partition(self, moment: dt.datetime) -> None: ...


class Progress(msgspec.Struct):
    """Since this process started; `waiting` says for what, while it cannot go on."""

    stored: int = 0
    repeated: int = 0
    rejected: int = 0
    waiting: str | None = None


def parse(line: bytes) -> Row:
    """A record and its time; raises ValueError with the reason when it can never be stored."""
    try:
        record = _decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    if record.request_id[14:15] != "7":
        raise ValueError("the request id is not a UUID of version 7")
    millis = int(record.request_id[:8] + record.request_id[9:13], 16)
    if not _MILLIS[0] <= millis < _MILLIS[1]:
        raise ValueError("the time in the request id is out of range")
    if not 0 <= record.status <= 999 or not 0 <= record.attempts <= 10_000:
        raise ValueError("status or attempts are out of range")
    for name in _COUNTS:
        value = getattr(record, name)
        if value is not None and not 0 <= value <= _MOST:
            raise ValueError(f"{name} is out of range")
    if len(line) > _SUSPECT or b"\\u0000" in line:
        _mend_text(record)
    return _EPOCH + dt.timedelta(milliseconds=millis), record


def _mend_text(record: UsageRecord) -> None:
    """Clients choose some of these texts; what Postgres does not take must not cost the record."""
    for name, value in asdict(record).items():
        if isinstance(value, str):
            setattr(record, name, value.replace("\0", "")[:_TEXT])


def parse_entries(entries: Iterable[Entry]) -> tuple[list[Row], list[Reject]]:
    rows: list[Row] = []
    rejects: list[Reject] = []
    for _, lines in entries:
        for line in (lines or b"").split(b"\n"):
            if line:
                try:
                    rows.append(parse(line))
                except ValueError as error:
                    rejects.append((str(error), line))
    return rows, rejects


class Ingest:
    """One consumer of the stream; `run()` until cancelled, or until `stop` is set and the batch in hand is stored.

    `on_stored` is told of records that Postgres holds, after a crash perhaps again; it must neither fail nor block.
    """

    def __init__(
        self, queue: Queue, store: Store, stop: asyncio.Event, on_stored: Callable[[Sequence[Row]], None] | None = None
    ) -> None:
        self.progress = Progress()
        self._queue = queue
        self._store = store
        self._stop = stop
        self._on_stored = on_stored
        self._claimed_at = time.monotonic()

    async def run(self) -> None:
        first, longest = BACKOFF_SECONDS
        pause = first
        heed = Heed()
        while not self._stop.is_set():
            heed()
            try:
                await self._queue.create()
                await self._catch_up()
                pause = first
                while not self._stop.is_set():
                    heed()
                    await self._step()
            except Unavailable as error:
                self._wait_for("redis", error)
                await self._rest(pause)
                pause = min(longest, pause * 2)

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    def _wait_for(self, what: str, error: Exception) -> None:
        if self.progress.waiting != what:
            log.warning("Usage records wait: %s", error)
            self.progress.waiting = what

    def _go_on(self) -> None:
        if self.progress.waiting is not None:
            log.info("Usage records flow again")
            self.progress.waiting = None

    async def _catch_up(self) -> None:
        """What was read before a crash, or committed but not acknowledged."""
        after = "0"
        while not self._stop.is_set() and (entries := await self._queue.own(ENTRIES, after)):
            await self.take(entries)
            after = entries[-1][0]

    async def _step(self) -> None:
        started = time.monotonic()
        if started - self._claimed_at >= CLAIM_SECONDS:
            self._claimed_at = started
            while not self._stop.is_set() and (entries := await self._queue.claim(ENTRIES, CLAIM_IDLE_MS)):
                await self.take(entries)
        entries = await self._queue.new(ENTRIES, WAIT_MS)
        if not entries:
            self._go_on()
            return
        began = time.monotonic()
        await self.take(entries)
        if len(entries) < ENTRIES:
            await self._rest(max(0.0, began + GATHER_SECONDS - time.monotonic()))

    async def take(self, entries: list[Entry]) -> None:
        """Stores the entries' records, however long Postgres is away, and acknowledges them; raises Unavailable for
        the queue only. Gives up between two tries once it is to stop: the entries stay this consumer's.
        """
        rows, rejects = parse_entries(entries)
        first, longest = BACKOFF_SECONDS
        pause = first
        while True:
            try:
                await self._save(rows, rejects)
                break
            except Unavailable as error:
                self._wait_for("database", error)
                await self._rest(pause)
                if self._stop.is_set():
                    return
                pause = min(longest, pause * 2)
        self._go_on()
        if self._on_stored is not None:
            self._on_stored(rows)
        await self._queue.done([entry_id for entry_id, _ in entries])

    async def _save(self, rows: Sequence[Row], rejects: Sequence[Reject], *, partitions: bool = True) -> None:
        try:
            stored = await self._store.write(rows, rejects)
        except UnstorableError as error:
            if partitions:
                # The usual reason is the first record of a month that was not foreseen.
                for month in {(ts.year, ts.month): ts for ts, _ in rows}.values():
                    await self._store.ensure_partition(month)
                await self._save(rows, rejects, partitions=False)
            elif len(rows) > 1:
                middle = len(rows) // 2
                await self._save(rows[:middle], rejects, partitions=False)
                await self._save(rows[middle:], (), partitions=False)
            else:
                refused = [(error.detail, msgspec.json.encode(record)) for _, record in rows]
                await self._save((), [*rejects, *refused], partitions=False)
            return
        self.progress.stored += stored
        self.progress.repeated += len(rows) - stored
        self.progress.rejected += len(rejects)
        if rejects:
            log.error(
                "Usage records cannot be stored and were put into spend_rejects",
                extra={"records": len(rejects), "reason": rejects[0][0]},
            )
