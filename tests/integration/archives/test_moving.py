"""Months out of the database into an object store: every row once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scutum_server.archives.moving.store import Busy
from scutum_server.infra import archives
from scutum_server.infra.archives import Part
from scutum_server.infra.db import connect
from scutum_server.infra.objectstore import ObjectStore, ObjectStoreError, make_store
from scutum_server.object_settings import S3Settings
from scutum_server.settings import DatabaseSettings
from tests.fixtures.archives import (
    Chains, fill_audit, fill_spend, month_of, partition, partitions, rows_of, run,
)  # fmt: skip
from tests.fixtures.object_stores import S3Server
from tests.fixtures.servers import Postgres

NOW = dt.datetime.now(dt.UTC)
MONTH = month_of(NOW.date(), 4)
NEXT = month_of(NOW.date(), 3)
KEY = {"audit_logs": ("timestamp", "id"), "spend_logs": ("ts", "request_id")}


@pytest.fixture
def su(postgres: Postgres, database: DatabaseSettings) -> DatabaseSettings:
    return postgres.superuser(database.dbname)


@pytest.fixture
def archiver(postgres: Postgres, database: DatabaseSettings) -> DatabaseSettings:
    return postgres.archiver(database.dbname)


async def parts_of(database: DatabaseSettings, table: archives.Table) -> list[Part]:
    async with await connect(database, name="test") as conn, conn.transaction():
        await archives.freeze(conn, table)
        return await archives.dropped_parts(conn, table)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return f"\\x{value.hex()}" if isinstance(value, bytes) else value


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the archive or the database tell it; JSON inside as values, as both print it differently."""
    found = {name: _plain(value) for name, value in row.items()}
    for name in ("diff", "guard"):
        if isinstance(found.get(name), str):
            found[name] = json.loads(found[name])
    for name in ("timestamp", "ts"):
        if name in found:
            found[name] = dt.datetime.fromisoformat(found[name]).isoformat()
    return found


async def archived(database: DatabaseSettings, objects: ObjectStore, table: archives.Table) -> list[dict[str, Any]]:
    rows = []
    for part in await parts_of(database, table):
        archives.check(objects, part)
        for batch in archives.read(objects, part):
            rows += [_comparable(row) for row in batch.to_pylist()]
    return rows


async def everything(
    database: DatabaseSettings, su: DatabaseSettings, objects: ObjectStore, table: archives.Table
) -> list[dict[str, Any]]:
    """All rows, of archives and table, by key: one that is in both is there twice."""
    rows = await archived(database, objects, table) + own_rows([_comparable(row) for row in rows_of(su, table)])
    return sorted(rows, key=lambda row: [row[name] for name in KEY[table]])


def own_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without those that tell of the archiving itself."""
    return [row for row in rows if row.get("action") != "archive.drop"]


@pytest.mark.parametrize("kind", ["directory", "moto", "rclone"])
async def test_old_months_go_and_every_row_stays_as_it_was(
    kind: str, request: pytest.FixtureRequest, database: DatabaseSettings, su: DatabaseSettings,
    archiver: DatabaseSettings,
) -> None:  # fmt: skip
    objects = request.getfixturevalue(kind)
    objects = objects.store() if isinstance(objects, S3Server) else objects
    chains = Chains()
    for month in (MONTH, NEXT, month_of(NOW.date())):
        fill_audit(su, month, 700, chains)
        fill_spend(su, month, 900)
    before = {table: [_comparable(row) for row in rows_of(su, table)] for table in KEY}
    done = run(archiver, objects, now=NOW)
    assert [(out.table, out.month, out.rows, out.error) for out in done] == [
        ("audit_logs", MONTH, 700, None), ("audit_logs", NEXT, 700, None),
        ("spend_logs", MONTH, 900, None), ("spend_logs", NEXT, 900, None),
    ]  # fmt: skip
    for table in KEY:
        assert await everything(database, su, objects, table) == before[table]
        assert len(own_rows(rows_of(su, table))) == len(before[table]) // 3
        assert f"{MONTH:%Y%m}" not in partitions(su, table)
    assert run(archiver, objects, now=NOW) == []
    told = [row for row in rows_of(su, "audit_logs") if row["action"] == "archive.drop"]
    assert [(row["diff"]["after"]["table"], row["diff"]["after"]["rows"], row["actor_id"]) for row in told] == [
        (out.table, out.rows, "system") for out in done
    ]
    (first, second) = await parts_of(database, "audit_logs")
    assert first.chains is not None and second.chains is not None
    assert {org: piece.last for org, piece in first.chains.items()} == {
        org: piece.before for org, piece in second.chains.items()
    }


async def test_a_part_has_a_manifest_beside_it(
    directory: ObjectStore, database: DatabaseSettings, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    fill_audit(su, MONTH, 50, Chains())
    run(archiver, directory, now=NOW)
    (part,) = await parts_of(database, "audit_logs")
    (manifest,) = archives.manifests(directory)
    assert manifest.part == part
    assert part.key == f"{manifest.install_id}/audit_logs/{MONTH:%Y-%m}/part-0000.parquet"
    assert [info.key for info in directory.list()] == [archives.manifest_key(part.key), part.key]


def test_a_month_stays_until_its_last_row_is_old_enough(
    directory: ObjectStore, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    fill_spend(su, MONTH, 10)
    due = dt.datetime(NEXT.year, NEXT.month, 1, tzinfo=dt.UTC) + dt.timedelta(days=60)
    assert run(archiver, directory, now=due - dt.timedelta(seconds=1), days=60) == []
    assert [out.rows for out in run(archiver, directory, now=due, days=60)] == [10]


def test_a_month_without_rows_goes_without_an_archive(
    directory: ObjectStore, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    with psycopg.connect(**su.conninfo()) as conn:  # type: ignore[arg-type]
        partition(conn, "spend_logs", MONTH)
    assert run(archiver, directory, now=NOW) == []
    assert f"{MONTH:%Y%m}" not in partitions(su, "spend_logs")
    assert list(directory.list()) == []


KILLED = """
import datetime as dt, json, os, signal, sys
from scutum_server.infra.objectstore import make_store
from scutum_server.infra import parquet
from scutum_server.object_settings import S3Settings
from scutum_server.settings import DatabaseSettings
from tests.fixtures import archives
where, url, s3 = json.loads(sys.argv[1])
def attempt(step, table):
    def on_step(reached, of, month):
        if (reached, of) == (step, table):
            os.kill(os.getpid(), signal.SIGKILL)
    archives.run(DatabaseSettings(*where), make_store(url, S3Settings(*s3)), now=dt.datetime.now(dt.UTC), on_step=on_step)
for line in sys.stdin:
    child = os.fork()
    if not child:
        attempt(*line.split())
        os._exit(0)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
"""
STEPS = ("noted", "writing", "written", "checked", "locked", "described", "verified", "dropping", "dropped")


@pytest.mark.parametrize("kind", ["directory", "moto"])
async def test_a_kill_at_any_step_loses_and_doubles_nothing(
    kind: str, request: pytest.FixtureRequest, database: DatabaseSettings, su: DatabaseSettings,
    archiver: DatabaseSettings,
) -> None:  # fmt: skip
    server = request.getfixturevalue(kind)
    objects = server.store() if isinstance(server, S3Server) else server
    s3 = server.settings if isinstance(server, S3Server) else S3Settings()
    fill_audit(su, MONTH, 300, Chains())
    fill_spend(su, MONTH, 300)
    before = {table: [_comparable(row) for row in rows_of(su, table)] for table in KEY}
    where = [archiver.host, archiver.port, archiver.user, archiver.dbname, archiver.password]
    words = [s3.endpoint, s3.region, s3.access_key, s3.secret_key]
    task = json.dumps([where, objects.url, words])
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, task], cwd=Path(__file__).parents[3], text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as killed:  # fmt: skip
        assert killed.stdin is not None and killed.stdout is not None
        for table in KEY if kind == "directory" else ["spend_logs"]:
            for step in STEPS:
                print(step, table, file=killed.stdin, flush=True)
                assert killed.stdout.readline() == "9\n", (table, step)
                for each in KEY:
                    assert await everything(database, su, objects, each) == before[each], (table, step)
    run(archiver, objects, now=NOW)
    for table in KEY:
        assert await everything(database, su, objects, table) == before[table]
        assert len(await parts_of(database, table)) == 1
    assert len(list(objects.list())) == 4
    assert objects.discard_partial("") == 0


TAMPERS = {
    "changed": ("UPDATE audit_logs SET canonical = replace(canonical, 'team.create', 'team.delete') WHERE seq = 40 "
                "AND org_id = 'org_1'", "row 40 of org_1 was changed"),
    "removed": ("DELETE FROM audit_logs WHERE seq = 40 AND org_id = 'org_1'", "org_1 breaks between its rows 39 and 41"),
    "inserted": ("INSERT INTO audit_logs SELECT timestamp + interval '1 ms', id || 'x', org_id, seq, actor_id, actor_kind,"
                 " actor_email, ip, action, resource_type, resource_id, diff, request_id, outcome, source, canonical, "
                 "prev_hash, hash FROM audit_logs WHERE seq = 40 AND org_id = 'org_1'",
                 "org_1 breaks between its rows 40 and 40"),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERS)
def test_a_month_whose_chain_is_broken_stays_and_so_do_the_months_after_it(
    how: str, directory: ObjectStore, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    statement, said = TAMPERS[how]
    chains = Chains()
    fill_audit(su, MONTH, 300, chains)
    fill_audit(su, NEXT, 300, chains)
    fill_spend(su, MONTH, 10)
    with psycopg.connect(**su.conninfo()) as conn:  # type: ignore[arg-type]
        conn.execute(statement)  # type: ignore[arg-type]
    before = rows_of(su, "audit_logs")
    bad, good = run(archiver, directory, now=NOW)
    assert bad.error is not None and said in bad.error
    assert (good.table, good.error) == ("spend_logs", None)
    assert own_rows(rows_of(su, "audit_logs")) == before
    with psycopg.connect(**su.conninfo()) as conn:  # type: ignore[arg-type]
        assert conn.execute("SELECT state, error FROM archives WHERE table_name = 'audit_logs'").fetchall() == [
            ("failed", bad.error)
        ]


async def test_a_gap_between_an_archived_month_and_the_next_one_is_found(
    directory: ObjectStore, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    chains = Chains()
    fill_audit(su, MONTH, 300, chains)
    run(archiver, directory, now=NOW)
    fill_audit(su, NEXT, 300, chains)
    with psycopg.connect(**su.conninfo()) as conn:  # type: ignore[arg-type]
        conn.execute("DELETE FROM audit_logs WHERE seq = 101 AND org_id = 'org_2'")
    (bad,) = run(archiver, directory, now=NOW)
    assert bad.error is not None and "org_2 breaks between its rows 100 (archived) and 102" in bad.error


async def test_records_that_come_after_their_month_went_become_a_further_part(
    directory: ObjectStore, database: DatabaseSettings, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    fill_spend(su, MONTH, 100)
    run(archiver, directory, now=NOW)
    fill_spend(su, MONTH, 7, seed=2, day=9)
    assert len(await everything(database, su, directory, "spend_logs")) == 107
    assert [out.rows for out in run(archiver, directory, now=NOW)] == [7]
    assert [(part.part, part.rows) for part in await parts_of(database, "spend_logs")] == [(0, 100), (1, 7)]
    assert len(await everything(database, su, directory, "spend_logs")) == 107


async def test_a_record_that_comes_while_its_month_is_archived_is_not_lost(
    directory: ObjectStore, database: DatabaseSettings, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    fill_spend(su, MONTH, 100)

    def late(step: str, *_: Any) -> None:
        if step == "verified":
            fill_spend(su, MONTH, 1, seed=2, day=9)

    (refused,) = run(archiver, directory, now=NOW, on_step=late)
    assert refused.error is not None and "101 rows" in refused.error
    assert len(rows_of(su, "spend_logs")) == 101
    assert list(directory.list()) == []
    assert [(out.rows, out.error) for out in run(archiver, directory, now=NOW)] == [(101, None)]
    assert len(await archived(database, directory, "spend_logs")) == 101


async def test_an_archive_that_was_changed_before_the_drop_is_not_believed(
    directory: ObjectStore, tmp_path: Path, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    fill_spend(su, MONTH, 100)

    def stop(step: str, *_: Any) -> None:
        if step == "dropping":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(archiver, directory, now=NOW, on_step=stop)
    (file,) = (tmp_path / "objects").rglob("*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    (refused,) = run(archiver, directory, now=NOW)
    assert refused.error is not None and "SHA-256" in refused.error
    assert len(rows_of(su, "spend_logs")) == 100
    assert [(out.rows, out.error) for out in run(archiver, directory, now=NOW)] == [(100, None)]


def test_what_the_store_gives_back_otherwise_than_it_took_it_is_not_believed(
    directory: ObjectStore, su: DatabaseSettings, archiver: DatabaseSettings, tmp_path: Path
) -> None:
    fill_spend(su, MONTH, 100)

    def spoil(step: str, *_: Any) -> None:
        if step == "written":
            (file,) = (tmp_path / "objects").rglob("*.parquet")
            file.write_bytes(file.read_bytes()[:-1])

    (refused,) = run(archiver, directory, now=NOW, on_step=spoil)
    assert refused.error is not None
    assert len(rows_of(su, "spend_logs")) == 100


async def test_what_a_restored_database_has_forgotten_is_never_overwritten(
    directory: ObjectStore, database: DatabaseSettings, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    fill_spend(su, MONTH, 100)
    run(archiver, directory, now=NOW)
    kept = {info.key: b"".join(directory.get(info.key)) for info in directory.list()}
    with psycopg.connect(**su.conninfo()) as conn:  # type: ignore[arg-type]
        conn.execute("ALTER TABLE archives DISABLE TRIGGER archives_kept; DELETE FROM archives")
    fill_spend(su, MONTH, 60)
    assert [out.rows for out in run(archiver, directory, now=NOW)] == [60]
    assert {key: b"".join(directory.get(key)) for key in kept} == kept
    assert [part.part for part in await parts_of(database, "spend_logs")] == [1]


async def test_objects_are_locked_where_that_holds(
    moto: S3Server, rclone: S3Server, database: DatabaseSettings, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    fill_spend(su, MONTH, 20)
    objects = moto.store(lock=True)
    run(archiver, objects, now=NOW, lock_days=365)
    (part,) = await parts_of(database, "spend_logs")
    manifest = next(archives.manifests(objects))
    assert manifest.locked_until is not None and (manifest.locked_until - NOW).days in {364, 365}
    with pytest.raises(ObjectStoreError):
        objects.delete(part.key, version=part.version)
    objects.put(part.key, b"something else")
    archives.check(objects, part)
    fill_spend(su, NEXT, 20)
    other = rclone.store()
    assert [out.error for out in run(archiver, other, now=NOW, lock_days=365)] == [None]
    assert next(archives.manifests(other)).locked_until is None


async def test_a_reader_keeps_the_month_until_it_is_done(
    directory: ObjectStore, database: DatabaseSettings, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    fill_audit(su, MONTH, 30, Chains())
    async with await connect(database, name="reader") as conn, conn.transaction():
        await archives.freeze(conn, "audit_logs")
        assert await archives.dropped_parts(conn, "audit_logs") == []
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await asyncio.to_thread(run, archiver, directory, now=NOW, pause=pause)
        found = await (await conn.execute("SELECT count(*) AS n FROM audit_logs")).fetchone()
        assert found is not None and found["n"] == 30
    assert [out.error for out in run(archiver, directory, now=NOW)] == [None]


def test_only_one_archiver_is_at_work(
    directory: ObjectStore, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    fill_spend(su, MONTH, 5)

    def second(step: str, *_: Any) -> None:
        if step == "noted":
            with pytest.raises(Busy):
                run(archiver, directory, now=NOW)

    assert [out.error for out in run(archiver, directory, now=NOW, on_step=second)] == [None]


def test_a_store_that_is_away_costs_nothing_but_time(
    moto: S3Server, directory: ObjectStore, su: DatabaseSettings, archiver: DatabaseSettings
) -> None:
    fill_spend(su, MONTH, 100)
    missing = make_store("s3://no-such-bucket-here", moto.settings)
    with pytest.raises(ObjectStoreError, match="bucket does not exist"):
        run(archiver, missing, now=NOW)
    assert len(rows_of(su, "spend_logs")) == 100
    assert [out.rows for out in run(archiver, directory, now=NOW)] == [100]
