"""The audit trail at ten million rows in twelve months: pages by every filter, counts, appending, the whole proof.

python -m tests.bench.audit [ROWS]      prints figures and plans, asserts nothing; ten million rows take 25 GB and a while
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg

from scutum_server.audit.chain.signing import Keyring
from scutum_server.audit.chain.store import ChainStore
from scutum_server.audit.chain.verify import Verification, Wanted
from scutum_server.audit.models import Filter
from scutum_server.audit.service import AuditService
from scutum_server.audit.store import AuditStore
from scutum_server.infra.db import connect
from tests.fixtures.servers import Postgres, running_postgres

ORGS, ACTORS, MONTHS, TRIES = 40, 5000, 12, 20
KINDS = [("key", "create"), ("key", "revoke"), ("team", "create"), ("budget", "update"), ("model", "update"), ("session", "auth")]
COPY = """COPY audit_logs (timestamp, id, org_id, seq, actor_id, actor_kind, actor_email, ip, action, resource_type, resource_id,
    diff, request_id, outcome, source, canonical, prev_hash, hash) FROM STDIN"""
NOW = dt.datetime.now(dt.UTC)
APPEND = """SELECT audit_append(%(id)s, 'org_0', 'user_1', 'user', NULL, '10.0.0.1', 'key.create', 'key', 'key_1',
    '{"before": null, "after": {"name": "x", "owner": "ops"}}', 'req', 'success', 'api')"""
ADDED = ["actor", "email", "action", "type", "resource", "source", "outcome"]


def months() -> list[dt.datetime]:
    """The first moments of the last twelve months, oldest first; the last one is this month, as far as it is over."""
    found = []
    for back in range(MONTHS - 1, -1, -1):
        year, month = divmod(NOW.year * 12 + NOW.month - 1 - back, 12)
        found.append(dt.datetime(year, month + 1, 1, tzinfo=dt.UTC))
    return found


def lines(count: int, heads: dict[str, tuple[int, bytes, dt.datetime]]) -> Iterator[tuple[dt.datetime, str]]:
    """Rows as COPY takes them, with chains that hold. A few orgs, actors and actions make most rows, most make few."""
    starts = [*months(), NOW]
    each = count // MONTHS
    for month, (start, end) in enumerate(zip(starts, starts[1:], strict=False)):
        step = (end - start) / (each + 1)
        for number in range(each):
            at = start + step * (number + 1)
            total = month * each + number
            org = f"org_{0 if total % 2 else total % ORGS}"
            actor = f"user_{total % 3 if total % 10 else total // 10 % ACTORS}"
            kind, verb = KINDS[0 if total % 3 else total % len(KINDS)]
            if total % 50_000 == 7:
                kind, verb = "license", "activate"
            source = "sre-agent" if total % 20_000 == 3 else ("api", "cli", "tui", "system")[total % 4]
            outcome = "denied" if total % 5_000 == 11 else "success"
            stamp, identity, resource = f"{at:%Y-%m-%dT%H:%M:%S.%fZ}", f"aud_{total:016}", f"{kind}_{total // 40:016}"
            diff = f'{{"after": {{"name": "object {total}", "owner": "team {total % 97}"}}, "before": null}}'
            seq, before, _ = heads.get(org, (0, b"", at))
            canonical = (
                f'{{"seq" : {seq + 1}, "timestamp" : "{stamp}", "id" : "{identity}", "org_id" : "{org}", '
                f'"actor_id" : "{actor}", "actor_kind" : "user", "actor_email" : "{actor}@example.com", "ip" : "10.0.0.1", '
                f'"action" : "{kind}.{verb}", "resource_type" : "{kind}", "resource_id" : "{resource}", "diff" : {diff}, '
                f'"request_id" : "req_{total:032}", "outcome" : "{outcome}", "source" : "{source}"}}'
            )
            digest = hashlib.sha256(before + canonical.encode()).digest()
            heads[org] = (seq + 1, digest, at)
            yield at, (
                f"{stamp}\t{identity}\t{org}\t{seq + 1}\t{actor}\tuser\t{actor}@example.com\t10.0.0.1\t{kind}.{verb}\t{kind}\t"
                f"{resource}\t{diff}\treq_{total:032}\t{outcome}\t{source}\t{canonical}\t\\\\x{before.hex()}\t"
                f"\\\\x{digest.hex()}\n"
            )


def fill(postgres: Postgres, database: str, count: int) -> None:
    """COPY into tables without indexes, which are made afterwards as the migrations make them."""
    started = time.perf_counter()
    heads: dict[str, tuple[int, bytes, dt.datetime]] = {}
    with psycopg.connect(**postgres.superuser(database).conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        made = conn.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
            "WHERE indrelid = 'audit_logs'::regclass AND NOT indisprimary"
        ).fetchall()
        for name, _ in made:
            conn.execute(f"DROP INDEX {name}")
        conn.execute("ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_pkey")
        for start in months():
            conn.execute("SELECT ensure_month_partition('audit_logs', %s)", (start,))
        with conn.cursor() as cursor, cursor.copy(COPY) as copy:
            batch: list[str] = []
            for _, line in lines(count, heads):
                batch.append(line)
                if len(batch) == 2000:
                    copy.write("".join(batch))
                    batch.clear()
            copy.write("".join(batch))
        print(f"filled in {time.perf_counter() - started:.0f} s", flush=True)
        conn.execute("SET maintenance_work_mem = '1GB'")
        conn.execute("ALTER TABLE audit_logs ADD PRIMARY KEY (timestamp, id)")
        for _, definition in made:
            conn.execute(definition.replace(" ON ONLY ", " ON "))
        for org, (seq, digest, at) in heads.items():
            conn.execute("INSERT INTO audit_heads VALUES (%s, %s, %s, %s)", (org, seq, at, digest))
        conn.execute("VACUUM (ANALYZE) audit_logs")
        sizes = conn.execute(
            "SELECT sum(pg_table_size(relid))::float8, sum(pg_indexes_size(relid))::float8 FROM pg_partition_tree('audit_logs')"
        ).fetchone()
    print(f"indexed in {time.perf_counter() - started:.0f} s; table {sizes[0] / 1e9:.1f} GB, indexes {sizes[1] / 1e9:.1f} GB")  # type: ignore[index]


def cases(count: int) -> dict[str, Filter]:
    middle = count // 2
    return {
        "nothing": Filter(),
        "actor, frequent": Filter(actor="user_1"), "actor, rare": Filter(actor="user_4321"), "actor, absent": Filter(actor="user_x"),
        "e-mail, frequent": Filter(actor="user_1@example.com"), "e-mail, absent": Filter(actor="x@example.com"),
        "action, frequent": Filter(action="key.create"), "action, rare": Filter(action="license.activate"),
        "action, absent": Filter(action="key.eat"),
        "type, frequent": Filter(resource_type="key"), "type, rare": Filter(resource_type="license"),
        "type, absent": Filter(resource_type="cat"),
        "resource": Filter(resource_id=f"key_{middle // 40:016}"), "resource, absent": Filter(resource_id="key_x"),
        "org, frequent": Filter(org="org_0"), "org, rare": Filter(org="org_38"), "org, absent": Filter(org="org_x"),
        "source, frequent": Filter(source="api"), "source, rare": Filter(source="sre-agent"),
        "outcome, frequent": Filter(outcome="success"), "outcome, rare": Filter(outcome="denied"),
        "actor and action, frequent": Filter(actor="user_1", action="key.create"),
        "actor and action, never together": Filter(actor="user_4321", action="license.activate"),
        "org and action, frequent": Filter(org="org_0", action="key.create"),
        "org and action, rare": Filter(org="org_38", action="license.activate"),
        "type and outcome, rare": Filter(resource_type="key", outcome="denied"),
    }  # fmt: skip


async def pages(postgres: Postgres, database: str, count: int) -> None:
    conn = await connect(postgres.app(database), name="bench")
    service = AuditService(AuditStore(conn), lambda: dt.datetime.now(dt.UTC))
    starts = months()
    places = {"newest": None, "middle": starts[6].isoformat(), "oldest": starts[1].isoformat()}
    print(f"\n{'a page of 100, in ms':34}" + "".join(f"{name:>9} p50      p95" for name in places))
    worst = 0.0
    for name, wanted in cases(count).items():
        told = f"{name:34}"
        for until in places.values():
            spent = []
            for _ in range(TRIES):
                started = time.perf_counter()
                await service.page(wanted, None, until, 100, None)
                spent.append((time.perf_counter() - started) * 1000)
            spent.sort()
            worst = max(worst, spent[int(TRIES * 0.95) - 1])
            told += f"{spent[TRIES // 2]:13.1f}{spent[int(TRIES * 0.95) - 1]:9.1f}"
        print(told, flush=True)
    print(f"the slowest p95: {worst:.1f} ms")
    for name, wanted in (("a month", Filter()), ("a month of one actor", Filter(actor="user_1"))):
        spent = []
        for start, end in list(zip(starts, [*starts[1:], NOW], strict=True))[::3]:
            started = time.perf_counter()
            found = await service.count(wanted, start.isoformat(), end.isoformat())
            spent.append((time.perf_counter() - started) * 1000)
        print(f"count of {name}: {max(spent):.0f} ms at most ({found:,} rows)")
    started = time.perf_counter()
    page = await service.page(Filter(text="object 77777 "), None, None, 100, None)
    print(f"text that is not there: {time.perf_counter() - started:.1f} s until a page says where to go on: {page.next is not None}")
    await conn.close()


def plans(postgres: Postgres, database: str) -> None:
    """What Postgres does for the filters that could go wrong."""
    with psycopg.connect(**postgres.app(database).conninfo()) as conn:  # type: ignore[arg-type]
        for what, condition in (
            ("nothing", "true"), ("an absent actor", "actor_id = 'user_x'"), ("a frequent action", "action = 'key.create'"),
            ("a rare outcome", "outcome = 'denied'"),
        ):  # fmt: skip
            rows = conn.execute(
                f"EXPLAIN (ANALYZE, COSTS OFF, SUMMARY ON) SELECT timestamp, id, diff FROM audit_logs WHERE {condition} "
                "ORDER BY timestamp DESC, id DESC LIMIT 101"
            ).fetchall()
            print(f"\n{what}:")
            told = [line for (line,) in rows if not any(word in line for word in ("never", "Index Searches", "Buffers", "Filter"))]
            print("\n".join([*told[:7], f"  … {len(told) - 10} lines like these", *told[-3:]] if len(told) > 12 else told))


def appending(postgres: Postgres, database: str, what: str, *, count: int = 5000) -> None:
    """Into this month's partition. The server's CPU is what counts: times depend on what else runs on the machine."""
    with psycopg.connect(**postgres.app(database).conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        backend = psutil.Process(conn.info.backend_pid)
        spent = []
        before = backend.cpu_times()
        for number in range(count):
            started = time.perf_counter()
            conn.execute(APPEND, {"id": f"aud_{what[:5]}{number:011}"})
            spent.append((time.perf_counter() - started) * 1e6)
        after = backend.cpu_times()
    spent.sort()
    cpu = (after.user + after.system - before.user - before.system) / count * 1e6
    print(f"appending, {what:32} {cpu:5.0f} µs of the server's CPU, {spent[count // 2]:5.0f} µs median", flush=True)


def without_added(postgres: Postgres, database: str) -> None:
    with psycopg.connect(**postgres.superuser(database).conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        for name in ADDED:
            conn.execute(f"DROP INDEX audit_logs_by_{name}")


def _prove(settings: Any, keys: str) -> None:
    store = ChainStore(settings, "bench")
    keyring = Keyring(Path(keys))
    keyring.open()
    result = Verification(store, keyring.trust()).run(Wanted())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = result["rows"] / max(result["seconds"], 0.1)
    print(f"proof: intact {result['intact']}, {result['rows']:,} rows in {result['seconds']} s, {rate:,.0f} rows/s, {peak:.0f} MB at most")


def proof(postgres: Postgres, database: str) -> None:
    with tempfile.TemporaryDirectory() as keys:
        process = multiprocessing.get_context("spawn").Process(target=_prove, args=(postgres.app(database), keys))
        process.start()
        process.join()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with running_postgres() as postgres:
        for added in (True, False):
            empty = postgres.clone()
            if not added:
                without_added(postgres, empty)
            appending(postgres, empty, "empty, all indexes" if added else "empty, required indexes only")
            postgres.drop(empty)
        database = postgres.clone()
        fill(postgres, database, count)
        asyncio.run(pages(postgres, database, count))
        plans(postgres, database)
        print()
        appending(postgres, database, f"{count:,} rows, all indexes")
        proof(postgres, database)
        without_added(postgres, database)
        appending(postgres, database, f"{count:,} rows, required ones")
        print(f"on {os.cpu_count()} CPUs, shared_buffers as shipped by PostgreSQL, fsync off")


if __name__ == "__main__":
    main()
