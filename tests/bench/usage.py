"""How long a 30-day report takes over fifty million requests, for every pair of dimensions: prints figures, asserts nothing.

python -m tests.bench.usage [--requests 50000000] [--users 10000] [--keys 1000] [--log-days 1] [--explain] [--ingest]

Requests are spread evenly over 62 days, so that as many as are asked for lie in the last 31, the window. The last
`--log-days` are rows of spend_logs, inserted in batches, so that the database's trigger rolls them up as in service; for the
days before them only the rollups are made, by the statements that build days from the log, over the groups that such rows
would have had. A report reads the log for the parts of days and hours at a window's edges only: those rows are there.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import itertools
import os
import signal
import statistics
import time
from pathlib import Path
from typing import Any

import psycopg

from scutum_server.infra.db import Connection, connect
from scutum_server.infra.ids import uuid7
from scutum_server.limits.spent_store import spent
from scutum_server.settings import DatabaseSettings
from scutum_server.usage.models import UsageRecord
from scutum_server.usage.report_store import REPORT, USERS_BY_DAY, ReportStore
from scutum_server.usage.rollup_store import BUILD
from scutum_server.usage.service import DIMENSIONS, Ask, ReportService
from scutum_server.usage.store import SpendStore
from tests.fixtures.servers import Postgres, _retry_starting, running_postgres

DAYS, WINDOW = 62, 31
TEAMS, UNITS, MODELS, PROVIDERS = 200, 20, 20, 5
ORG = "org_06h0000000000000000000"

OBJECTS = f"""
INSERT INTO orgs (id, name) VALUES ('{ORG}', 'default');
INSERT INTO units (id, org_id, name) SELECT 'unit_06h000000000000000' || n, '{ORG}', 'unit ' || n FROM generate_series(0, {UNITS - 1}) n;
INSERT INTO teams (id, org_id, unit_id, name)
SELECT 'team_06h000000000000000' || n, '{ORG}', 'unit_06h000000000000000' || n % {UNITS}, 'team ' || n FROM generate_series(0, {TEAMS - 1}) n;
"""
# Every user has one key, every key three models at one route or the other; every second user calls two of them only.
GROUPS = f"""
SELECT 'user-' || u || '@example.com' AS user_id, 'key_06h0000000000000000' || mod(u, %(keys)s) AS key_id,
    'model-' || mod(mod(u, %(keys)s) * 3 + m, {MODELS}) AS model,
    'provider-' || mod(mod(mod(u, %(keys)s) * 3 + m, {MODELS}), {PROVIDERS}) AS provider,
    CASE m WHEN 2 THEN '/v1/embeddings' ELSE '/v1/chat/completions' END AS route,
    'team_06h000000000000000' || mod(mod(u, %(keys)s), {TEAMS}) AS team_id, '{ORG}' AS org_id
FROM generate_series(1, %(users)s) u, generate_series(0, 2) m WHERE m < 2 OR mod(u, 2) = 0
"""
PAST = f"""
INSERT INTO spend_user_days
SELECT day::date, g.user_id, g.key_id, g.model, g.provider, g.route, g.team_id, g.org_id, %(each)s, %(each)s / 50, %(each)s * 900,
    %(each)s * 250, %(each)s * 100, %(each)s * (1000000 + length(g.user_id) * 1000), 0, 0
FROM generate_series(%(first)s::date::timestamp, %(last)s::date::timestamp, '1 day') AS day, ({GROUPS}) AS g
ORDER BY 1, 2, 3, 4
"""
HOURS = """
INSERT INTO spend_rollups
SELECT day::timestamp AT TIME ZONE 'UTC' + make_interval(hours => h), org_id, team_id, key_id, model, provider, sum(requests) / 24,
    sum(errors) / 24, sum(tokens_in) / 24, sum(tokens_out) / 24, sum(tokens_cached) / 24, sum(cost_nano_usd) / 24, false
FROM spend_days, generate_series(0, 23) h WHERE day <= %(last)s GROUP BY 1, 2, 3, 4, 5, 6
"""
LOG = f"""
INSERT INTO spend_logs (ts, request_id, org_id, team_id, key_id, user_id, route, model, upstream_model, provider, status,
    tokens_in, tokens_out, cost_nano_usd, price_source, latency_us)
SELECT %(since)s::timestamptz + (%(until)s::timestamptz - %(since)s::timestamptz) * random(), gen_random_uuid(), g.org_id, g.team_id,
    g.key_id, g.user_id, g.route, g.model, g.model, g.provider, 200, 900, 250, 1000000, 'genai-prices:1', 5000
FROM ({GROUPS}) AS g, generate_series(1, %(each)s) AS n
"""


def fill(owner: DatabaseSettings, args: argparse.Namespace, now: dt.datetime) -> None:
    today = now.date()
    groups = args.users * 5 // 2
    each = max(1, args.requests // WINDOW // groups)
    whole = {"keys": args.keys, "users": args.users, "each": each}
    first = today - dt.timedelta(days=DAYS - 1)
    last = today - dt.timedelta(days=args.log_days)
    with psycopg.connect(**owner.conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        conn.execute(OBJECTS)
        for month in range(-3, 1):
            conn.execute("SELECT ensure_month_partition('spend_logs', now() + make_interval(months => %s))", (month,))
        began = time.perf_counter()
        conn.execute(PAST, whole | {"first": first, "last": last})
        for number in range((last - first).days + 1):
            conn.execute(BUILD, {"day": first + dt.timedelta(days=number), "org": ORG})
        conn.execute(HOURS, {"last": last})
        conn.execute("INSERT INTO spend_zones VALUES (%s, 'UTC', true)", (ORG,))
        print(f"rollups of the past      {time.perf_counter() - began:8.0f} s")
        began, rows = time.perf_counter(), 0
        for number in range(args.log_days):
            day = dt.datetime.combine(today - dt.timedelta(days=number), dt.time.min, dt.UTC)
            until = min(now, day + dt.timedelta(days=1))
            part = round(each * ((until - day) / dt.timedelta(days=1)))
            for start in range(0, part, 4):
                asked = whole | {"each": min(4, part - start), "since": day, "until": until}
                rows += conn.execute(LOG, asked).rowcount
        print(
            f"rows of the log          {rows / max(1e-9, time.perf_counter() - began):8.0f} rows/s ({rows} rows, by the trigger)"
        )
        for table in ("spend_logs", "spend_rollups", "spend_days", "spend_user_days", "teams"):
            conn.execute(f"VACUUM ANALYZE {table}")  # type: ignore[arg-type]
        for table in ("spend_rollups", "spend_days", "spend_user_days"):
            size = conn.execute(
                "SELECT count(*), sum(requests), pg_size_pretty(pg_total_relation_size(%s::regclass)) FROM " + table,
                (table,),  # type: ignore[arg-type]
            ).fetchone()
            assert size is not None
            print(f"{table:24} {size[0]:>9} rows, {size[1]} requests, {size[2]}")


class Timer:
    """Milliseconds by the clock, and of processor time in the server: of the session and of those that help it."""

    def __init__(self, conn: Connection, now: dt.datetime, postmaster: int) -> None:
        self._conn = conn
        self._now = now
        self._postmaster = postmaster

    def _busy(self) -> float:
        own, helpers = (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            for pid in (self._conn.info.backend_pid, self._postmaster)
        )
        return (int(own[11]) + int(own[12]) + int(helpers[13]) + int(helpers[14])) * 10

    async def __call__(self, ask: Ask, runs: int = 4) -> tuple[float, float, float]:
        """The median and the least by the clock, and the least of processor time."""
        clock, busy = [], []
        for _ in range(runs):
            began, before = time.perf_counter(), self._busy()
            async with self._conn.transaction():
                await ReportService(ReportStore(self._conn), lambda: self._now).report(ask, 100, None)
            clock.append((time.perf_counter() - began) * 1000)
            busy.append(self._busy() - before)
        return statistics.median(clock), min(clock), min(busy)


async def measure(database: DatabaseSettings, args: argparse.Namespace, now: dt.datetime, postmaster: int) -> None:
    conn = await connect(database, name="bench")
    timed = Timer(conn, now, postmaster)
    pairs = [(), *((name,) for name in DIMENSIONS), *itertools.combinations(DIMENSIONS, 2)]
    results = []
    for pair in pairs:
        results.append((*await timed(Ask(by=",".join(pair) or None, since="30d")), ",".join(pair) or "(total)"))
    print(f"\n30-day reports, {len(pairs)} of them: median, least and processor time of four runs, in ms")
    for usual, least, busy, pair in sorted(results, reverse=True):
        print(f"  {usual:7.0f} {least:7.0f} {busy:7.0f}  {pair}")
    late = sum(usual >= 300 for usual, *_ in results)
    print(f"  {len(results) - late} of {len(results)} under 300 ms")
    others: dict[str, Ask] = {
        "team,model with the trend": Ask(by="team,model", since="30d", trend=True),
        "user,model with the trend": Ask(by="user,model", since="30d", trend=True),
        "user,model of one team": Ask(by="user,model", since="30d", team="team 7"),
        "day,model in another zone": Ask(by="day,model", since="30d", zone="Europe/Berlin"),
        "day,user in another zone": Ask(by="day,user", since="23h", zone="Europe/Berlin"),
        "model, between two instants": Ask(by="model", since=(now - dt.timedelta(days=30, minutes=7)).isoformat()),
        "model, 24 hours": Ask(by="model", since="24h"),
        "user, 24 hours": Ask(by="user", since="24h"),
    }
    print("\nother reports: the same")
    for what, ask in others.items():
        usual, least, busy = await timed(ask)
        print(f"  {usual:7.0f} {least:7.0f} {busy:7.0f}  {what}")
    await budgets(conn, now)
    if args.explain:
        await explain(conn, now)
    await conn.close()


async def budgets(conn: Connection, now: dt.datetime) -> None:
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    print("\nwhat is spent of a month's budget, in ms")
    for scope in ("team", "org", "global"):
        columns = "team_id" if scope == "team" else "org_id"
        value = "team_06h0000000000000007" if scope == "team" else ORG if scope == "org" else None
        await conn.execute(
            f"INSERT INTO budgets (id, scope, {columns}, period, amount_nano_usd, soft_percent, output_tokens, on_failure) "  # type: ignore[arg-type]
            "VALUES (%s, %s, %s, 'month', 1, 80, 16, 'closed')",
            (f"budget_{scope}", scope, value),
        )
        times = []
        for _ in range(5):
            began = time.perf_counter()
            await spent(conn, f"budget_{scope}", month)
            times.append((time.perf_counter() - began) * 1000)
        print(f"  {statistics.median(times):7.1f}  {scope}")


async def explain(conn: Connection, now: dt.datetime) -> None:
    """Plans of the dearest reports, as they run."""
    plans: list[tuple[str, str]] = []
    execute = conn.execute

    async def spy(query: Any, params: Any = None, **options: Any) -> Any:
        if query in (REPORT, USERS_BY_DAY):
            cursor = await execute("EXPLAIN (ANALYZE, COSTS OFF, SUMMARY ON) " + query, params, prepare=False)
            plans.append(
                (
                    "users by day" if query == USERS_BY_DAY else "report",
                    "\n".join(str(row["QUERY PLAN"]) for row in await cursor.fetchall()),
                )
            )
        return await execute(query, params, **options)

    conn.execute = spy  # type: ignore[method-assign,assignment]
    for by in ("user,model", "user,day", "key,model"):
        async with conn.transaction():
            await ReportService(ReportStore(conn), lambda: now).report(Ask(by=by, since="30d"), 100, None)
        print(f"\n--- {by}\n{plans[-1][1]}")
    conn.execute = execute  # type: ignore[method-assign]


async def ingest(database: DatabaseSettings, args: argparse.Namespace, what: str) -> None:
    """Batches as a worker writes them, each record of another user, key and model."""
    store = SpendStore(database)
    times = []
    for batch in range(6):
        rows = []
        now = dt.datetime.now(dt.UTC)
        for number in range(10_000):
            user = (batch * 10_000 + number) * 7919 % args.users
            key = user % args.keys
            model = (key * 3 + number % 3) % MODELS
            rows.append((now, UsageRecord(
                request_id=str(uuid7()), status=200, org_id=ORG, team_id=f"team_06h000000000000000{key % TEAMS}",
                key_id=f"key_06h0000000000000000{key}", user_id=f"user-{user}@example.com", route="/v1/chat/completions",
                model=f"model-{model}", provider=f"provider-{model % PROVIDERS}", tokens_in=900, tokens_out=250,
                cost_nano_usd=1_000_000, price_source="genai-prices:1",
            )))  # fmt: skip
        began = time.perf_counter()
        await store.write(rows, [])
        times.append(time.perf_counter() - began)
    await store.close()
    print(f"  {10_000 / statistics.median(times[1:]):8.0f} records/s  {what}")


def as_installed(postgres: Postgres) -> None:
    """The memory that an installation gives the server on this host; see scutum_cli/host/postgres.py."""
    shared = max(64, min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 // 8, 2048))
    with psycopg.connect(**postgres.superuser().conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        conn.execute(f"ALTER SYSTEM SET shared_buffers = '{shared}MB'")  # type: ignore[arg-type]
        conn.execute("ALTER SYSTEM SET work_mem = '8MB'")
        conn.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
    assert postgres.process is not None
    postgres.process.send_signal(signal.SIGINT)
    postgres.process.wait(30)
    postgres.start()
    _retry_starting(lambda: psycopg.connect(**postgres.superuser().conninfo()).close())  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=50_000_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=1_000)
    parser.add_argument("--log-days", type=int, default=1)
    parser.add_argument("--explain", action="store_true")
    parser.add_argument("--ingest", action="store_true")
    args = parser.parse_args()
    now = dt.datetime.now(dt.UTC)
    with running_postgres() as postgres:
        as_installed(postgres)
        database = postgres.clone()
        fill(postgres.owner(database), args, now)
        asyncio.run(measure(postgres.app(database), args, now, postgres.process.pid))
        if args.ingest:
            empty = postgres.clone()
            print("\nbatches of 10 000 records, each of another user, key and model")
            asyncio.run(ingest(postgres.app(empty), args, "into empty tables"))
            asyncio.run(ingest(postgres.app(database), args, "into the full ones"))


if __name__ == "__main__":
    main()
