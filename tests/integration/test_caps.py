"""An event when a budget's soft and hard cap is passed: one for each cap and period."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest

from scutum_server.infra.ids import uuid7
from scutum_server.infra.redis import make_redis
from scutum_server.leases.store import LeaseStore
from scutum_server.settings import DatabaseSettings, RedisSettings
from scutum_server.usage.models import UsageRecord
from scutum_server.usage.store import SpendStore
from scutum_server.worker.caps import Caps

Row = tuple[dt.datetime, UsageRecord]


def sql(database: DatabaseSettings, query: str, *params: Any) -> list[tuple]:
    with psycopg.connect(**database.conninfo()) as conn:
        cursor = conn.execute(query, params)
        return cursor.fetchall() if cursor.description else []


async def spend(database: DatabaseSettings, team: str, cost: int) -> list[Row]:
    store = SpendStore(database)
    identity = uuid7()
    ts = dt.datetime.fromtimestamp((identity.int >> 80) / 1000, dt.UTC)
    rows = [(ts, UsageRecord(request_id=str(identity), status=200, org_id="org_1", team_id=team, cost_nano_usd=cost))]
    await store.write(rows, [])
    await store.close()
    return rows


def told(database: DatabaseSettings) -> list[tuple]:
    return sql(
        database,
        "SELECT payload->>'name', payload->>'cap', severity FROM events_outbox WHERE type = 'budget.exceeded' ORDER BY id",
    )


@pytest.fixture
async def watch(database: DatabaseSettings, redis_settings: RedisSettings) -> AsyncIterator[Callable[[], Caps]]:
    sql(database, "INSERT INTO orgs (id, name, time_zone) VALUES ('org_1', 'o', 'Asia/Kolkata')")
    for team in ("one", "two"):
        sql(database, "INSERT INTO teams (id, org_id, name) VALUES (%s, 'org_1', %s)", f"team_{team}", team)
        sql(database, "INSERT INTO budgets (id, scope, org_id, team_id, period, amount_nano_usd, soft_percent, output_tokens, on_failure) "
            "VALUES (%s, 'team', 'org_1', %s, 'month', 10000000000, 80, 16, 'closed')", f"budget_{team}", f"team_{team}")  # fmt: skip
    redis = make_redis(redis_settings, name="test")
    yield lambda: Caps(database, LeaseStore(redis))
    await redis.aclose()


async def test_each_cap_is_told_once_a_period(database: DatabaseSettings, watch: Callable[[], Caps]) -> None:
    caps = watch()
    await spend(database, "team_one", 7_999_999_999)
    assert await caps.once() == 0
    await spend(database, "team_one", 500_000_001)
    assert sum(await asyncio.gather(*(watch().once() for _ in range(4)))) == 1, "whoever looks first"
    ((kind, severity, org, payload),) = sql(database, "SELECT type, severity, org_id, payload FROM events_outbox")
    assert (kind, severity, org, payload["cap"]) == ("budget.exceeded", "warning", "org_1", "soft")
    assert payload["name"] == "one" and (payload["spent_usd"], payload["amount_usd"]) == ("8.5", "10")
    assert payload["since"].endswith("18:30:00+00:00"), "midnight in the org's time zone"
    await spend(database, "team_one", 2_500_000_000)
    assert await watch().once() == 1 and await watch().once() == 0, "also after a restart"
    await spend(database, "team_two", 10_000_000_000)
    assert await caps.once() == 2, "both at once"
    assert told(database) == [
        ("one", "soft", "warning"), ("one", "hard", "high"), ("two", "soft", "warning"), ("two", "hard", "high"),
    ]  # fmt: skip
    sql(database, "UPDATE budgets SET soft_told = soft_told - interval '1 month' WHERE id = 'budget_one'")
    assert await caps.once() == 1, "another period"


async def test_what_arrives_is_looked_at_at_once_and_nothing_else(
    database: DatabaseSettings, watch: Callable[[], Caps], monkeypatch: pytest.MonkeyPatch
) -> None:
    caps = watch()
    await caps.once()
    caps.offer(await spend(database, "team_one", 7_000_000_000))
    with monkeypatch.context() as patch:
        patch.setattr("scutum_server.worker.caps.connect", None)
        assert await caps.look() == 0, "the database is not asked below the caps"
    caps.offer(await spend(database, "team_one", 1_500_000_000))
    assert await caps.look() == 1
    caps.offer(await spend(database, "team_one", 5_000_000_000))
    caps.offer(await spend(database, "team_two", 1))
    assert await caps.look() == 1
    assert told(database) == [("one", "soft", "warning"), ("one", "hard", "high")]


async def test_a_cap_is_reached_when_requests_are_turned_away(
    database: DatabaseSettings, watch: Callable[[], Caps], redis_settings: RedisSettings
) -> None:
    await spend(database, "team_one", 9_999_000_000)
    caps = watch()
    assert await caps.once() == 1
    redis = make_redis(redis_settings, name="test")
    since = int(caps._watched["budget_one"].since.timestamp() * 1000)
    await redis.hset(f"scutum:lease:budget_one.month:{since}", "!", "1")
    await redis.aclose()
    assert await caps.once() == 1
    assert told(database)[1][1] == "hard"


async def test_a_cap_that_was_moved_is_told_of_again(database: DatabaseSettings, watch: Callable[[], Caps]) -> None:
    from scutum_server.infra.db import connect
    from scutum_server.limits.store import LimitStore

    await spend(database, "team_one", 10_000_000_000)
    assert await watch().once() == 2
    connection = await connect(database, name="test")
    store = LimitStore(connection)
    for amount, number in ((20_000_000_000, 0), (12_000_000_000, 1), (9_000_000_000, 2)):
        budget = await store.budget("budget_one")
        assert budget is not None
        import msgspec

        await store.update_budget(msgspec.structs.replace(budget, amount_nano_usd=amount))
        assert await watch().once() == number, amount
    await connection.close()
