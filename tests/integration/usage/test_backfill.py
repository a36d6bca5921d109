"""What the log held before days were kept: told exactly meanwhile, and built by the worker, also by one that is killed."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator

import psycopg
import pytest

from scutum_server.infra import migrate
from scutum_server.infra.db import connect
from scutum_server.settings import DatabaseSettings
from scutum_server.usage.report_store import ReportStore
from scutum_server.usage.rollup_store import RollupStore
from scutum_server.usage.service import Ask, ReportService
from scutum_server.worker.rollups import Rollups
from tests.fixtures.migrations import revisions, upgrade_to
from tests.fixtures.servers import Postgres

BEFORE = "0010"
NOW = dt.datetime.now(dt.UTC).replace(hour=13, minute=20)
ROWS = """
INSERT INTO spend_logs (ts, request_id, org_id, team_id, key_id, user_id, model, provider, route, status, tokens_in,
    cost_nano_usd, price_source)
SELECT %(now)s::timestamptz - make_interval(mins => n * 37), gen_random_uuid(), CASE WHEN mod(n, 7) > 0 THEN 'org_1' END, 'team_' || mod(n, 3),
    'key_' || mod(n, 5), 'user-' || mod(n, 4), 'model-' || mod(n, 2), 'p', 'chat', 200, n, n * 1000,
    CASE WHEN mod(n, 9) = 0 THEN 'unknown' END
FROM generate_series(1, 300) n
"""
HOURS = """
INSERT INTO spend_rollups (hour, org_id, team_id, key_id, model, provider, requests, errors, tokens_in, tokens_out,
    tokens_cached, cost_nano_usd)
SELECT date_trunc('hour', ts, 'UTC'), coalesce(org_id, ''), team_id, key_id, model, provider, count(*), 0, sum(tokens_in), 0, 0,
    sum(cost_nano_usd)
FROM spend_logs GROUP BY 1, 2, 3, 4, 5, 6
"""


@pytest.fixture
def former(postgres: Postgres) -> Iterator[DatabaseSettings]:
    """A database with three hundred requests, which was then brought to the head."""
    assert BEFORE in revisions()
    name = f"t_{secrets.token_hex(6)}"
    migrate.prepare_cluster(postgres.migrate_settings(name))
    owner = postgres.owner(name)
    upgrade_to(owner, BEFORE)
    with psycopg.connect(**owner.conninfo()) as conn:  # type: ignore[arg-type]
        conn.execute("INSERT INTO orgs (id, name, time_zone) VALUES ('org_1', 'default', 'Asia/Kolkata')")
        for back in (0, 15):
            conn.execute("SELECT ensure_month_partition('spend_logs', %s)", (NOW - dt.timedelta(days=back),))
        conn.execute(ROWS, {"now": NOW})
        conn.execute(HOURS)
    migrate.upgrade(owner)
    yield postgres.app(name)
    postgres.drop(name)


async def told(database: DatabaseSettings, by: str) -> list[dict]:
    connection = await connect(database, name="test")
    report = await ReportService(ReportStore(connection), lambda: NOW).report(Ask(by=by, since="20d"), 500, None)
    await connection.close()
    assert report["total"]["requests"] == 300 and report["zone"] == "Asia/Kolkata"
    return report["items"]


async def test_the_days_before_are_built_and_reports_are_right_meanwhile(former: DatabaseSettings) -> None:
    pairs = ("day,user", "user,route", "day,key")
    before = {by: await told(former, by) for by in pairs}
    connection = await connect(former, name="test")

    async def count(table: str) -> int:
        row = await (await connection.execute(f"SELECT count(*) AS n FROM {table}")).fetchone()
        return int(row["n"]) if row else 0

    assert await count("spend_days") == 0 and await count("spend_zones WHERE NOT ready") == 2
    days = await count("spend_todo")
    await RollupStore(connection).build_next()
    assert {by: await told(former, by) for by in pairs} == before, "half-way"
    assert await Rollups(former, breath=0).once() == days - 1
    assert await count("spend_todo") == 0 and await count("spend_zones WHERE NOT ready") == 0
    assert {by: await told(former, by) for by in pairs} == before
    assert await Rollups(former, breath=0).once() == 0
    connection_rows = await (await connection.execute("SELECT sum(requests)::int AS n FROM spend_user_days")).fetchone()
    assert connection_rows is not None and connection_rows["n"] == 300
    await connection.close()
