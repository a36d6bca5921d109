"""A host that is gone with what it had leased of budgets: given back once, by the spend log."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator

import msgspec
import psycopg
import pytest
from redis.asyncio import Redis

from scutum_server.infra.ids import uuid7
from scutum_server.infra.redis import make_redis
from scutum_server.leases.store import LOST_MS, PREFIX, Ask, Beat, Holding, LeaseStore
from scutum_server.settings import DatabaseSettings, RedisSettings
from scutum_server.usage.models import STREAM
from scutum_server.usage.store import UsageStream
from scutum_server.worker.reclaim import Reclaim

CAPACITY = 1_000_000


@pytest.fixture
async def client(redis_settings: RedisSettings) -> AsyncIterator[Redis]:
    redis = make_redis(redis_settings, name="test")
    await redis.set(f"{PREFIX}epoch", "test@1000")
    yield redis
    await redis.aclose()


def spend(database: DatabaseSettings, *rows: tuple[str, str, int, dt.timedelta]) -> None:
    """Rows of (worker, key, cost, how long ago)."""
    with psycopg.connect(**database.conninfo()) as conn:
        for worker, key, cost, ago in rows:
            conn.execute(
                "INSERT INTO spend_logs (ts, request_id, key_id, status, cost_nano_usd, worker) "
                "VALUES (now() - %s, %s, %s, 200, %s, %s)", (ago, str(uuid7()), key, cost, worker),
            )  # fmt: skip


def budget(database: DatabaseSettings) -> None:
    with psycopg.connect(**database.conninfo()) as conn:
        conn.execute("INSERT INTO orgs (id, name) VALUES ('org_1', 'o')")
        conn.execute("INSERT INTO teams (id, org_id, name) VALUES ('team_1', 'org_1', 't')")
        conn.execute("INSERT INTO api_keys (id, team_id, name, hash, hint) VALUES ('key_1', 'team_1', 'k', sha256('k'), 'hint')")
        conn.execute(
            "INSERT INTO budgets (id, scope, key_id, period, amount_nano_usd, soft_percent, output_tokens, on_failure) "
            "VALUES ('budget_1', 'key', 'key_1', 'day', %s, 80, 16, 'closed'), "
            "('budget_2', 'global', NULL, 'month', %s, 80, 16, 'closed')", (CAPACITY, CAPACITY),
        )  # fmt: skip


@pytest.fixture
async def leased(database: DatabaseSettings, client: Redis) -> tuple[LeaseStore, Beat, Ask, Reclaim]:
    """Two workers with slices of a day's budget that began half an hour ago; `gone` fell silent long since."""
    budget(database)
    store = LeaseStore(client)
    beat = await store.beat("gone", "x")
    await store.beat("here", "x")
    start = (beat.now // 900_000 - 2) * 900_000
    ask = Ask(meter="budget_1.day", start=start, end=beat.now + 10**7, capacity=CAPACITY, need=10_000, least=0, unit="money",
              reserved=0)  # fmt: skip
    await store.seed(key(ask), ask.end, 0)
    month = msgspec.structs.replace(ask, meter="budget_2.month", start=start - 7_200_000)
    await store.seed(key(month), ask.end, 0)
    for worker in ("gone", "here"):
        await store.lease(worker, beat.epoch, [ask, month])
    await client.zadd(f"{PREFIX}workers", {"gone": beat.now - LOST_MS - 1000})
    spend(database, ("gone", "key_1", 30_000, dt.timedelta()), ("here", "key_1", 5_000, dt.timedelta()),
          ("gone", "key_2", 700, dt.timedelta()), ("gone", "key_1", 9, dt.timedelta(hours=1)))  # fmt: skip
    return store, beat, ask, Reclaim(store, UsageStream(client), database)


def key(ask: Ask) -> str:
    return f"{ask.meter}:{ask.start}"


async def counted(client: Redis, ask: Ask) -> dict[bytes, int]:
    return {name: int(units) for name, units in (await client.hgetall(f"{PREFIX}{key(ask)}")).items()}


async def test_what_was_not_spent_comes_back_once(leased: tuple[LeaseStore, Beat, Ask, Reclaim], client: Redis) -> None:
    store, beat, ask, reclaim = leased
    before = await counted(client, ask)
    assert before[b"gone"] == 250_000, "a quarter of what was free"
    assert await reclaim.once() == 1
    assert await counted(client, ask) == before | {b"gone": 30_000}
    month = await client.hget(f"{PREFIX}budget_2.month:{ask.start - 7_200_000}", "gone")
    assert int(month) == 30_000 + 700 + 9, "each budget counts its own keys since its own beginning"
    _, answers = await store.lease("here", beat.epoch, [ask])
    assert answers[0].left + answers[0].units == CAPACITY - 30_000 - before[b"here"]
    assert await reclaim.once() == 0


async def test_records_on_their_way_are_waited_for(leased: tuple[LeaseStore, Beat, Ask, Reclaim], client: Redis) -> None:
    _, beat, ask, reclaim = leased
    await client.xadd(STREAM, {"b": b"{}"}, id=f"{beat.now - LOST_MS - 2000}-0")
    assert await reclaim.once() == 0
    assert (await counted(client, ask))[b"gone"] == 250_000
    await client.xtrim(STREAM, maxlen=0)
    assert await reclaim.once() == 1


async def test_who_comes_back_in_time_keeps_what_it_has(leased: tuple[LeaseStore, Beat, Ask, Reclaim], client: Redis) -> None:
    store, _, ask, reclaim = leased
    lost = await store.lost()
    assert list(lost) == ["gone"]
    held = await store.held_by(["gone"], "budget_")
    await store.beat("gone", "x")
    await store.reconcile([(each, 1) for each in held])
    assert (await counted(client, ask))[b"gone"] == 250_000
    assert await reclaim.once() == 0


async def test_what_it_says_when_it_comes_back_late_counts(leased: tuple[LeaseStore, Beat, Ask, Reclaim], client: Redis) -> None:
    store, beat, ask, reclaim = leased
    await reclaim.once()
    again = await store.beat("gone", "x")
    assert not again.alive, "so it gives back what it did not spend, and says what it did"
    await store.put("gone", beat.epoch, [Holding(key(ask), ask.end, 42_000, 0)])
    assert (await counted(client, ask))[b"gone"] == 42_000
