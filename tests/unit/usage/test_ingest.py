"""What of the stream can be stored, and what becomes of the rest."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

import msgspec
import pytest

from scutum_server.errors import Unavailable
from scutum_server.infra.ids import uuid7, uuid7_time
from scutum_server.usage import ingest as ingest_module
from scutum_server.usage import store
from scutum_server.usage.ingest import Ingest, parse, parse_entries
from scutum_server.usage.models import TELEMETRY, UsageRecord
from scutum_server.usage.store import UnstorableError


def line(**fields: object) -> bytes:
    return msgspec.json.encode({"request_id": str(uuid7()), "status": 200} | fields)


def test_the_time_is_the_one_inside_the_request_id() -> None:
    request_id = uuid7()
    ts, record = parse(line(request_id=str(request_id), model="sim"))
    assert ts == uuid7_time(request_id)
    assert (record.request_id, record.model) == (str(request_id), "sim")


def test_the_staging_columns_are_the_record_s_fields_in_order() -> None:
    inside = store.COPY[store.COPY.index("(") + 1 : store.COPY.index(")")]
    assert [name.strip() for name in inside.split(",")] == ["ts", *UsageRecord.__struct_fields__[: -len(TELEMETRY)]]
    assert UsageRecord.__struct_fields__[-len(TELEMETRY) :] == TELEMETRY


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "truncated"),
        (b"\0\0\0\0", "malformed"),
        (line(model="x").replace(b"x", b"\xff"), "utf-8|malformed|decode"),
        (b'{"status":200}', "request_id"),
        (line(status="200"), "status"),
        (line(status=70_000), "status"),
        (line(attempts=-1), "attempts"),
        (line(tokens_in=-1), "tokens_in"),
        (line(cost_nano_usd=2**62), "cost_nano_usd"),
        (line(latency_us=2**70), "latency_us|range"),
        (line(request_id="x"), "version 7"),
        (line(request_id="00000000-0000-4000-8000-000000000000"), "version 7"),
        (line(request_id="zzzzzzzz-zzzz-7zzz-8000-000000000000"), "base 16"),
        (line(request_id="ffffffff-ffff-7000-8000-000000000000"), "out of range"),
        (line(request_id="00000000-0000-7000-8000-000000000000"), "out of range"),
    ],
    ids=["cut off", "zeros", "not utf-8", "no id", "word for a number", "status", "attempts", "tokens", "cost", "latency",
         "short id", "other version", "not hexadecimal", "far future", "far past"],
)
def test_what_can_never_be_stored_says_why(bad: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(bad)
    assert parse_entries([("1-0", bad + b"\n" + (good := line()))])[1][0][1] == bad
    assert len(parse_entries([("1-0", bad + b"\n" + good)])[0]) == 1


def test_a_text_that_postgres_does_not_take_does_not_cost_the_record() -> None:
    _, record = parse(line(requested_model="a\0b", session_id="s" * 5_000, tokens_in=3))
    assert (record.requested_model, record.session_id, record.tokens_in) == ("ab", "s" * 512, 3)


class MemoryQueue:
    def __init__(self, *entries: tuple[str, bytes | None]) -> None:
        self.fresh = list(entries)
        self.given: dict[str, bytes | None] = {}
        self.created = 0
        self.fail_done = 0

    async def create(self) -> None:
        self.created += 1

    async def own(self, count: int, after: str) -> list[tuple[str, bytes | None]]:
        return [(key, value) for key, value in self.given.items() if key > after][:count]

    async def new(self, count: int, wait_ms: int) -> list[tuple[str, bytes | None]]:
        await asyncio.sleep(0)
        taken, self.fresh = self.fresh[:count], self.fresh[count:]
        self.given.update(taken)
        return taken

    async def claim(self, count: int, idle_ms: int) -> list[tuple[str, bytes | None]]:
        return []

    async def done(self, ids: list[str]) -> None:
        if self.fail_done:
            self.fail_done -= 1
            raise Unavailable("away")
        for each in ids:
            del self.given[each]


class MemoryStore:
    def __init__(self) -> None:
        self.rows: dict[str, UsageRecord] = {}
        self.rejects: list[tuple[str, bytes]] = []
        self.away = 0
        self.months: list[dt.datetime] = []
        self.writes = 0

    async def write(self, rows, rejects) -> int:  # type: ignore[no-untyped-def]
        self.writes += 1
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        if any(record.model == "poison" for _, record in rows):
            raise UnstorableError("poison")
        new = {record.request_id: record for _, record in rows if record.request_id not in self.rows}
        self.rows.update(new)
        self.rejects += rejects
        return len(new)

    async def ensure_partition(self, moment: dt.datetime) -> None:
        self.months.append(moment)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(ingest_module, "BACKOFF_SECONDS", (0.001, 0.004))


async def drain(queue: MemoryQueue, store: MemoryStore) -> Ingest:
    stop = asyncio.Event()
    ingest = Ingest(queue, store, stop)
    task = asyncio.create_task(ingest.run())
    async with asyncio.timeout(10):
        while queue.fresh or queue.given:
            await asyncio.sleep(0.001)
        stop.set()
        await task
    return ingest


async def test_one_poisoned_record_holds_up_no_other() -> None:
    lines = [line() for _ in range(100)]
    lines[37] = poison = line(model="poison")
    queue, store = MemoryQueue(("1-0", b"\n".join(lines) + b"\n")), MemoryStore()
    ingest = await drain(queue, store)
    assert len(store.rows) == 99
    ((reason, kept),) = store.rejects
    assert reason == "poison"
    assert msgspec.json.decode(kept) == msgspec.json.decode(poison)
    assert (ingest.progress.stored, ingest.progress.rejected) == (99, 1)
    assert store.writes < 20


async def test_undecodable_lines_are_kept_once_beside_a_poisoned_record() -> None:
    lines = [b"{", line(), line(model="poison"), line()]
    queue, store = MemoryQueue(("1-0", b"\n".join(lines))), MemoryStore()
    await drain(queue, store)
    assert len(store.rows) == 2
    assert len(store.rejects) == 2


async def test_a_store_that_is_away_is_waited_for() -> None:
    queue, store = MemoryQueue(("1-0", line()), ("2-0", line())), MemoryStore()
    store.away = 3
    ingest = await drain(queue, store)
    assert len(store.rows) == 2
    assert ingest.progress.waiting is None


async def test_others_are_told_once_the_store_has_the_records() -> None:
    queue, store, stop = MemoryQueue(("1-0", line())), MemoryStore(), asyncio.Event()
    store.away = 3
    held: list[int] = []

    def told(rows: Sequence[object]) -> None:
        held.append(len(store.rows))
        stop.set()

    async with asyncio.timeout(10):
        await Ingest(queue, store, stop, told).run()
    assert held == [1]


async def test_what_was_stored_and_not_acknowledged_counts_once() -> None:
    queue, store = MemoryQueue(("1-0", line())), MemoryStore()
    queue.fail_done = 2
    ingest = await drain(queue, store)
    assert (ingest.progress.stored, ingest.progress.repeated) == (1, 2)


async def test_a_predecessor_s_entries_come_first_and_deleted_ones_are_acknowledged() -> None:
    queue, store = MemoryQueue(("3-0", line())), MemoryStore()
    queue.given = {"1-0": line(), "2-0": None}
    await drain(queue, store)
    assert len(store.rows) == 2


async def test_stopping_while_the_store_is_away_leaves_the_entries_for_the_next_start() -> None:
    queue, store = MemoryQueue(("1-0", line())), MemoryStore()
    store.away = 10**9
    stop = asyncio.Event()
    ingest = Ingest(queue, store, stop)
    task = asyncio.create_task(ingest.run())
    async with asyncio.timeout(10):
        while ingest.progress.waiting != "database":
            await asyncio.sleep(0.001)
        stop.set()
        await task
    assert list(queue.given) == ["1-0"]
