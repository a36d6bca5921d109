"""Reports over records as they come, late ones and repeated ones too, against plain sums of them."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from msgspec import structs

from scutum_server.infra.db import Connection, connect
from scutum_server.settings import DatabaseSettings
from scutum_server.usage.models import UsageRecord
from scutum_server.usage.report_store import ReportStore
from scutum_server.usage.rollup_store import RollupStore
from scutum_server.usage.service import DIMENSIONS, Ask, ReportService, usd
from scutum_server.usage.store import SpendStore
from tests.fixtures.servers import Postgres

ZONES = {"org_in": "Asia/Kolkata", "org_us": "America/New_York", "org_us2": "America/New_York"}
NOW = dt.datetime(2026, 3, 20, 15, 40, 10, tzinfo=dt.UTC)
"""New York put its clocks forward on the 8th."""
UNITS = {"team_0": "unit_0", "team_1": "unit_0", "team_2": "unit_1"}
luck = random.Random(11)


def sql(database: DatabaseSettings, query: str, *params: Any) -> list[tuple]:
    with psycopg.connect(**database.conninfo()) as conn:  # type: ignore[arg-type]
        cursor = conn.execute(query, params)
        return cursor.fetchall() if cursor.description else []


def row(ts: dt.datetime, **fields: Any) -> tuple[dt.datetime, UsageRecord]:
    millis = int(ts.timestamp() * 1000)
    identity = UUID(int=millis << 80 | 0x7 << 76 | 0b10 << 62 | luck.getrandbits(60))
    stamp = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=millis)
    return stamp, UsageRecord(**({"request_id": str(identity), "status": 200} | fields))


def random_row() -> tuple[dt.datetime, UsageRecord]:
    org = luck.choice([*ZONES, None])
    team = luck.choice([*UNITS, "team_3", None])
    return row(
        NOW - dt.timedelta(seconds=luck.randrange(20 * 86_400)),
        org_id=org, team_id=team, key_id=luck.choice(["k1", "k2", None]), user_id=luck.choice(["ann", "bob", None]),
        model=luck.choice(["m", "n", None]), provider=luck.choice(["p", "q"]), route=luck.choice(["chat", "embed"]),
        status=luck.choice([200, 200, 503]), tokens_in=luck.randrange(99), tokens_out=luck.randrange(99),
        tokens_cached=luck.randrange(9), cost_nano_usd=luck.randrange(10**12), simulated=False,
        price_source=luck.choice(["unknown", "operator"]),
    )  # fmt: skip


@pytest.fixture
async def connection(database: DatabaseSettings) -> AsyncIterator[Connection]:
    for org, zone in ZONES.items():
        sql(database, "INSERT INTO orgs (id, name, time_zone) VALUES (%s, %s, %s)", org, org, zone)
    for unit in set(UNITS.values()):
        sql(database, "INSERT INTO units (id, org_id, name) VALUES (%s, 'org_us', %s)", unit, unit)
    for team, unit in UNITS.items():
        sql(database, "INSERT INTO teams (id, org_id, unit_id, name) VALUES (%s, 'org_us', %s, %s)", team, unit, team)
    conn = await connect(database, name="test")
    yield conn
    await conn.close()


def expected(
    rows: list[tuple[dt.datetime, UsageRecord]], dims: list[str], since: dt.datetime, until: dt.datetime, zone: str
) -> dict[tuple, list[int]]:
    found: dict[tuple, list[int]] = defaultdict(lambda: [0] * 7)
    for ts, record in rows:
        if not since <= ts < until:
            continue
        values = {"unit": UNITS.get(record.team_id or ""), "day": ts.astimezone(ZoneInfo(zone)).date()}
        for name in DIMENSIONS:
            if name not in values:
                values[name] = getattr(record, name if hasattr(record, name) else f"{name}_id")
        sums = found[tuple(values[name] for name in dims)]
        unpriced = record.price_source == "unknown" and record.tokens_in + record.tokens_out > 0
        for at, value in enumerate((1, record.status >= 400, record.tokens_in, record.tokens_out, record.tokens_cached,
                                    record.cost_nano_usd, unpriced)):  # fmt: skip
            sums[at] += int(value)
    return dict(found)


def told(item: dict[str, Any], dims: list[str]) -> tuple[tuple, list[Any]]:
    names = ("requests", "errors", "tokens_in", "tokens_out", "tokens_cached", "cost_usd", "requests_unpriced")
    return tuple(item[f"{name}_id" if f"{name}_id" in item else name] for name in dims), [item[name] for name in names]


def plain(sums: list[int]) -> list[Any]:
    return [*sums[:5], usd(sums[5]), sums[6]]


async def store(database: DatabaseSettings, rows: list[tuple[dt.datetime, UsageRecord]]) -> None:
    """In batches that overlap and are not in the order of time."""
    spend = SpendStore(database)
    shuffled = luck.sample(rows, len(rows))
    for ts in {ts.replace(day=1) for ts, _ in rows}:
        await spend.ensure_partition(ts)
    for start in range(0, len(rows), 100):
        await spend.write(shuffled[max(0, start - 30) : start + 100], [])
    await spend.close()


WINDOWS = [
    ("10d", None, None),
    ("2026-03-06", "2026-03-11", "America/New_York"),
    ("2026-03-07", "2026-03-10", "Asia/Kolkata"),
    ("2026-03-05T07:20:00+00:00", "2026-03-17T03:50:30+00:00", "America/New_York"),
    ("2026-03-05T07:20:00+00:00", "2026-03-17T03:50:30+00:00", None),
    ("40h", None, "Asia/Kolkata"),
    ("7h", None, "UTC"),
]


@pytest.mark.timeout(300)
async def test_every_report_is_the_sum_of_its_records(database: DatabaseSettings, connection: Connection) -> None:
    rows = [random_row() for _ in range(1500)]
    await store(database, rows)
    pairs = [[], *([name] for name in DIMENSIONS), *map(list, itertools.permutations(DIMENSIONS, 2))]
    for since, until, zone in WINDOWS:
        for dims in luck.sample(pairs, 30):
            service = ReportService(ReportStore(connection), lambda: NOW)
            ask = Ask(by=",".join(dims) or None, since=since, until=until, zone=zone)
            async with connection.transaction():
                report = await service.report(ask, 5000, None)
            wanted = expected(rows, dims, report["since"], report["until"], report["zone"])
            what = f"{dims} {since} {until} {zone}"
            assert dict(told(item, dims) for item in report["items"]) == {
                group: plain(sums) for group, sums in wanted.items()
            }, what
            total = told(report["total"], [])[1]
            assert total == plain([sum(column) for column in zip(*wanted.values(), strict=True)]), what
            if "day" in dims:
                days = [item["day"] for item in report["items"]]
                assert days == sorted(days), what


async def test_days_are_built_anew_from_the_log(database: DatabaseSettings, connection: Connection) -> None:
    """Of what was there before the days were kept, and after an org has moved to another time zone."""
    rows = [random_row() for _ in range(600)]
    await store(database, rows)
    kept = "SELECT * FROM {} ORDER BY 1, 2, 3, 4, 5, 6, 7, 8"
    tables = ("spend_days", "spend_user_days")
    before = [sql(database, kept.format(table)) for table in tables]
    rollups = RollupStore(connection)
    sql(database, "DELETE FROM spend_days WHERE day < '2026-03-12'")
    sql(database, "DELETE FROM spend_user_days WHERE day >= '2026-03-12'")
    await rollups.begin_anew()
    ask = Ask(by="org,day", since="15d", zone="America/New_York")
    service = ReportService(ReportStore(connection), lambda: NOW)
    half = await service.report(ask, 5000, None)
    assert dict(told(item, ["org", "day"]) for item in half["items"]) == {
        group: plain(sums)
        for group, sums in expected(rows, ["org", "day"], half["since"], half["until"], half["zone"]).items()
    }, "until then the log and the hours tell"
    while await rollups.build_next():
        if luck.random() < 0.2:
            extra = random_row()
            rows.append(extra)
            await store(database, [extra])
    if len(rows) == 600:
        assert [sql(database, kept.format(table)) for table in tables] == before
    sql(database, "UPDATE orgs SET time_zone = 'Asia/Kathmandu' WHERE id = 'org_us'")
    assert await rollups.note_moves() == 1
    while await rollups.build_next():
        pass
    assert sql(database, "SELECT zone, ready FROM spend_zones WHERE org_id = 'org_us'") == [("Asia/Kathmandu", True)]
    for dims in (["day", "team"], ["user", "day"]):
        report = await service.report(Ask(by=",".join(dims), since="15d", org="org_us"), 5000, None)
        mine = [each for each in rows if each[1].org_id == "org_us"]
        assert report["zone"] == "Asia/Kathmandu"
        wanted = expected(mine, dims, report["since"], report["until"], report["zone"])
        assert dict(told(item, dims) for item in report["items"]) == {g: plain(s) for g, s in wanted.items()}
    everything = sum(requests for (requests,) in sql(database, "SELECT requests FROM spend_user_days"))
    assert everything == len(rows) == sum(n for (n,) in sql(database, "SELECT requests FROM spend_days"))


async def test_the_trend_compares_with_as_much_time_before(database: DatabaseSettings, connection: Connection) -> None:
    noon = dt.datetime(2026, 3, 20, 12, tzinfo=dt.UTC)
    day = dt.timedelta(days=1)
    mine = {"org_id": "org_x", "team_id": "team_0"}
    await store(database, [
        row(noon - day, cost_nano_usd=3_000_000_000, **mine), row(noon, cost_nano_usd=1_000_000_000, **mine),
        row(noon - 2 * day, cost_nano_usd=2_000_000_000, **mine), row(noon - 3 * day, cost_nano_usd=10**9, **mine),
        row(noon - 2 * day + 9 * day / 24, cost_nano_usd=7_000_000_000, **mine),
        row(noon, cost_nano_usd=5, org_id="org_x", team_id="team_1"),
    ])  # fmt: skip
    service = ReportService(ReportStore(connection), lambda: NOW)
    for dims in ("team", "team,user"):
        report = await service.report(Ask(by=dims, since="1d", zone="UTC", trend=True), 100, None)
        assert (report["before"]["since"], report["before"]["until"]) == (
            dt.datetime(2026, 3, 17, tzinfo=dt.UTC), NOW - 2 * day,
        )  # fmt: skip
        assert report["before"]["complete"]
        first, second = report["items"]
        assert first["before"] == {"requests": 2, "cost_usd": "3.000000"}, "not what came later on that day"
        assert first["change"] == {
            "requests": 0, "requests_percent": 0.0, "cost_usd": "1.000000", "cost_percent": 33.3,
        }  # fmt: skip
        assert second["change"]["cost_percent"] is None and second["before"]["requests"] == 0
        assert report["total"]["before"]["cost_usd"] == "3.000000"
    earlier = await service.report(Ask(since="30d", zone="UTC", trend=True), 100, None)
    assert not earlier["before"]["complete"] and earlier["total"]["change"]["cost_percent"] is None
    by_day = await service.report(Ask(by="day", since="1d", zone="UTC", trend=True), 100, None)
    assert "change" not in by_day["items"][0] and by_day["total"]["change"]["cost_percent"] == 33.3


async def test_where_the_log_was_archived_only_whole_days_are_told(
    postgres: Postgres, database: DatabaseSettings, connection: Connection
) -> None:
    old = dt.datetime(2026, 1, 10, 9, tzinfo=dt.UTC)
    mine = {"org_id": "org_x", "user_id": "ann", "cost_nano_usd": 10**9}
    await store(database, [row(old, **mine), row(old.replace(hour=20), **mine), row(NOW - dt.timedelta(hours=1), **mine)])
    service = ReportService(ReportStore(connection), lambda: NOW)
    ask = Ask(by="user", since="2026-01-10T12:00:00", until="2026-02-01T00:00:00", zone="UTC")
    assert (await service.report(ask, 10, None))["total"]["requests"] == 1
    with psycopg.connect(**postgres.owner(database.dbname).conninfo()) as conn:  # type: ignore[arg-type]
        conn.execute("DROP TABLE spend_logs_202601")
    report = await service.report(ask, 10, None)
    assert (report["since"], report["total"]["requests"]) == (dt.datetime(2026, 1, 10, tzinfo=dt.UTC), 2)
    late = structs.replace(ask, since="2026-01-10T10:00:00", until="2026-01-10T12:00:00")
    assert (await service.report(late, 10, None))["until"] == dt.datetime(2026, 1, 11, tzinfo=dt.UTC)
    assert (await service.report(Ask(since="3h", zone="UTC"), 10, None))["since"] == NOW - dt.timedelta(hours=3)
