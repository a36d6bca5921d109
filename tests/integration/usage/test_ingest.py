"""The stream's consumer against a real Valkey and a real Postgres."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import psycopg
import pytest
from redis.asyncio import Redis

from scutum_server.infra.ids import uuid7, uuid7_time
from scutum_server.infra.redis import make_redis
from scutum_server.settings import DatabaseSettings, RedisSettings
from scutum_server.usage.ingest import Ingest
from scutum_server.usage.models import GROUP, STREAM, TELEMETRY, UsageRecord
from scutum_server.usage.store import SpendStore, UsageQueue, UsageStream


@pytest.fixture
async def client(redis_settings: RedisSettings) -> AsyncIterator[Redis]:
    client = make_redis(redis_settings, name="test")
    yield client
    await client.aclose()


def record(**fields: object) -> UsageRecord:
    return UsageRecord(**({"request_id": str(uuid7()), "status": 200} | fields))  # type: ignore[arg-type]


def at(moment: dt.datetime) -> str:
    millis = int(moment.timestamp() * 1000)
    return str(UUID(int=millis << 80 | 0x7 << 76 | 0b10 << 62 | uuid7().int & (2**62 - 1)))


async def put(client: Redis, *records: UsageRecord | bytes) -> None:
    lines = [each if isinstance(each, bytes) else msgspec.json.encode(each) for each in records]
    await UsageStream(client).add(b"".join(line + b"\n" for line in lines))


@asynccontextmanager
async def worker(database: DatabaseSettings, client: Redis, name: str = "one") -> AsyncIterator[Ingest]:
    stop, store = asyncio.Event(), SpendStore(database)
    ingest = Ingest(UsageQueue(client, name), store, stop)
    task = asyncio.create_task(ingest.run())
    try:
        yield ingest
    finally:
        stop.set()
        await task
        await store.close()


async def settled(client: Redis) -> None:
    async with asyncio.timeout(20):
        while await client.xlen(STREAM):
            await asyncio.sleep(0.01)


def rows(database: DatabaseSettings, query: str) -> list[tuple]:
    with psycopg.connect(**database.conninfo()) as conn:
        return conn.execute(query).fetchall()


async def test_every_field_arrives_in_its_column(database: DatabaseSettings, client: Redis) -> None:
    full = record(
        client_request_id="c", org_id="o", team_id="t", key_id="k", user_id="u", route="chat", requested_model="r",
        deployment_id="d", model="m", upstream_model="um", provider="p", simulated=True, stream=True, status=502,
        error_kind="e", tokens_in=1, tokens_out=2, tokens_cached=3, tokens_reasoning=4, usage_source="reported",
        cost_nano_usd=5, price_source="ps", latency_us=6, ttft_us=7, overhead_us=8, cache="hit", session_id="s",
        attempts=9, worker="w", trace="ab" * 16,
    )  # fmt: skip
    bare = record()
    await put(client, full, bare)
    async with worker(database, client):
        await settled(client)
    columns = -len(TELEMETRY)
    names = ", ".join(UsageRecord.__struct_fields__[:columns])
    stored = {str(row[0]): row for row in rows(database, f"SELECT {names}, ts, guard FROM spend_logs")}
    for one in (full, bare):
        row = stored[one.request_id]
        assert (str(row[0]), *row[1:-2]) == msgspec.structs.astuple(one)[:columns]
        assert row[-2] == uuid7_time(UUID(one.request_id))
        assert row[-1] is None


async def test_rollups_are_by_hour_and_dimension_and_count_errors(database: DatabaseSettings, client: Redis) -> None:
    hour = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    first, second = at(hour), at(hour - dt.timedelta(milliseconds=1))
    await put(
        client,
        record(request_id=first, key_id="k", tokens_in=1, tokens_out=2, tokens_cached=1, cost_nano_usd=10),
        record(request_id=second, key_id="k", tokens_in=4, status=404),
    )
    async with worker(database, client):
        await settled(client)
        await put(client, record(request_id=at(hour + dt.timedelta(minutes=1)), key_id="k", tokens_in=8, status=399))
        await put(client, record(request_id=first, key_id="k", tokens_in=1000))
        await settled(client)
    query = """SELECT hour, org_id, key_id, requests, errors, tokens_in, tokens_out, tokens_cached, cost_nano_usd
        FROM spend_rollups ORDER BY hour"""
    assert rows(database, query) == [
        (hour - dt.timedelta(hours=1), "", "k", 1, 1, 4, 0, 0, 0),
        (hour, "", "k", 2, 0, 9, 2, 1, 10),
    ]


async def test_a_record_twice_in_one_batch_counts_once(database: DatabaseSettings, client: Redis) -> None:
    one = record(tokens_in=5)
    await put(client, one, one)
    await put(client, one)
    async with worker(database, client):
        await settled(client)
    assert rows(database, "SELECT requests, tokens_in FROM spend_rollups") == [(1, 5)]


async def test_rejects_are_kept_and_the_rest_is_stored(database: DatabaseSettings, client: Redis) -> None:
    # Three of them pass our own checks, and only Postgres refuses them.
    bad = [
        b"\0\0",
        b'{"request_id":"x","status":200}',
        msgspec.json.encode(record(status=200, tokens_in=2**61)),
        msgspec.json.encode({"request_id": str(uuid7())[:-1] + "g", "status": 200}),
        msgspec.json.encode({"request_id": str(uuid7()) + "00", "status": 200}),
    ]
    good = [record(model="a\0b") for _ in range(20)]
    await put(client, *good[:10], *bad, *good[10:])
    await client.xadd(STREAM, {"other": b"shape"})
    async with worker(database, client) as ingest:
        await settled(client)
        assert (ingest.progress.stored, ingest.progress.rejected) == (20, 6)
        await put(client, bad[0])
        await settled(client)
    kept = {bytes(row[0]) for row in rows(database, "SELECT record FROM spend_rejects")}
    assert {bad[0], bad[1], bad[2]} <= kept
    assert rows(database, "SELECT count(*) FROM spend_rejects") == [(6,)]
    assert rows(database, "SELECT sum(requests) FROM spend_rollups") == [(20,)]
    assert rows(database, "SELECT DISTINCT model FROM spend_logs") == [("ab",)]


async def test_a_month_without_a_partition_gets_one(database: DatabaseSettings, client: Redis) -> None:
    old = at(dt.datetime(2021, 3, 4, tzinfo=dt.UTC))
    await put(client, record(request_id=old), record())
    async with worker(database, client):
        await settled(client)
    query = "SELECT tableoid::regclass::text FROM spend_logs ORDER BY ts LIMIT 1"
    assert rows(database, query) == [("spend_logs_202103",)]
    assert rows(database, "SELECT count(*) FROM spend_rejects") == [(0,)]


async def test_a_lost_group_is_made_again(database: DatabaseSettings, client: Redis) -> None:
    async with worker(database, client):
        await put(client, record())
        await settled(client)
        await client.delete(STREAM)
        await put(client, record())
        await settled(client)
    assert rows(database, "SELECT count(*) FROM spend_logs") == [(2,)]


async def test_a_dead_consumer_s_entries_are_taken_over(
    database: DatabaseSettings, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scutum_server.usage import ingest as module

    monkeypatch.setattr(module, "CLAIM_SECONDS", 0.0)
    monkeypatch.setattr(module, "CLAIM_IDLE_MS", 50)
    for _ in range(50):
        await put(client, record())
    dead = UsageQueue(client, "dead")
    await dead.create()
    assert len(await dead.new(100, 100)) == 50
    async with worker(database, client):
        await settled(client)
    assert rows(database, "SELECT count(*) FROM spend_logs") == [(50,)]
    assert (await client.xpending(STREAM, GROUP))["pending"] == 0


async def test_two_workers_with_the_same_records_agree(database: DatabaseSettings, client: Redis) -> None:
    records = [record(key_id=f"k{number % 7}", tokens_in=1) for number in range(4000)]
    for start in range(0, 4000, 200):
        await put(client, *records[start : start + 200])
        await put(client, *reversed(records[start : start + 200]))
    async with worker(database, client, "one"), worker(database, client, "two"):
        await settled(client)
    assert rows(database, "SELECT count(*) FROM spend_logs") == [(4000,)]
    assert rows(database, "SELECT sum(requests), sum(tokens_in) FROM spend_rollups") == [(4000, 4000)]


async def test_a_stream_without_an_append_only_file_still_settles(
    client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    stream = UsageStream(client)
    await client.config_set("appendonly", "no")
    try:
        assert await stream.settle() == await stream.server()
        assert await stream.settle() == await stream.server()
    finally:
        await client.config_set("appendonly", "yes")
    assert sum("append-only" in line.message for line in caplog.records) == 1
