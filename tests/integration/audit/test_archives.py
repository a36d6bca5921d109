"""Hot and archived months are one trail: for who looks something up, and for who proves it."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from pyarrow import compute as pc
from pyarrow import parquet

import pyarrow as pa
from scutum_server.audit.archived import ArchiveUnreadable, Vaults
from scutum_server.audit.chain.archived import Months
from scutum_server.audit.chain.models import Checkpoint
from scutum_server.audit.chain.verify import Verification, Wanted
from scutum_server.audit.models import AuditRow, Filter
from scutum_server.audit.service import AuditService
from scutum_server.audit.store import AuditStore
from scutum_server.infra.archives import Roots
from scutum_server.infra.db import Connection, connect
from scutum_server.infra.objectstore import ObjectStore, make_store
from scutum_server.object_settings import S3Settings
from tests.fixtures.archives import Chains, fill_audit, month_of, run
from tests.fixtures.servers import Postgres
from tests.integration.audit.conftest import Trail

NOW = dt.datetime.now(dt.UTC)
OLD, OLDER, LAST = (month_of(NOW.date(), back) for back in (3, 4, 1))
ROWS = 30


def make(url: str) -> ObjectStore:
    return make_store(url, S3Settings())


class Archive:
    """Two archived months and a hot one, three orgs in each."""

    def __init__(self, trail: Trail, postgres: Postgres, directory: Path) -> None:
        self.trail = trail
        self.directory = directory
        self.objects = make(directory.as_uri())
        chains = Chains()
        for month in (OLDER, OLD, LAST):
            fill_audit(trail.superuser, month, ROWS, chains)
        with psycopg.connect(**trail.superuser.conninfo()) as conn:
            for org, (seq, digest) in chains.ends.items():
                conn.execute(
                    "INSERT INTO audit_heads SELECT org_id, seq, timestamp, hash FROM audit_logs WHERE org_id = %s AND seq = %s AND hash = %s",
                    (org, seq, digest),
                )
        trail.seal()
        outcomes = run(postgres.archiver(trail.database.dbname), self.objects, now=NOW, days=60)
        assert [(outcome.month, outcome.error) for outcome in outcomes if outcome.table == "audit_logs" and outcome.rows] == [
            (OLDER, None), (OLD, None),
        ]  # fmt: skip

    @property
    def told(self) -> int:
        """Rows that tell of months that went."""
        with psycopg.connect(**self.trail.database.conninfo()) as conn:
            row = conn.execute("SELECT count(*) FROM audit_logs WHERE org_id NOT LIKE 'org_%'").fetchone()
        return int(row[0])

    def file(self, month: dt.date) -> Path:
        return next(self.directory.rglob(f"audit_logs/{month:%Y-%m}/*.parquet"))

    def rewrite(self, month: dt.date, change: Callable[[pa.Table], pa.Table]) -> None:
        path = self.file(month)
        parquet.write_table(change(parquet.read_table(path)), path, compression="zstd")

    def verify(self, *, org: str | None = None, checkpoints: list[Checkpoint] | None = None, **wanted: Any) -> dict[str, Any]:
        store = self.trail.connect()
        try:
            months = Months(store, Roots(make), [self.directory.as_uri()])
            proof = Verification(
                store, self.trail.keyring().trust(), shelves=[self.trail.shelf], archives=months, org=org
            )
            return proof.run(Wanted(checkpoints=checkpoints or [], **wanted))
        finally:
            store.close()


@pytest.fixture
def archive(trail: Trail, postgres: Postgres, tmp_path: Path) -> Archive:
    return Archive(trail, postgres, tmp_path / "objects")


@pytest.fixture
async def conn(trail: Trail) -> AsyncIterator[Connection]:
    connection = await connect(trail.database, name="test")
    yield connection
    await connection.close()


async def everything(
    conn: Connection, wanted: Filter, *, scope: str | None = None, limit: int = 7, roots: tuple[str, ...] = (), **window: str
) -> list[AuditRow]:
    vaults, rows, cursor = Vaults(make), [], None
    await conn.execute(
        "INSERT INTO settings (key, value) VALUES ('archive.other_roots', %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (Jsonb(list(roots)),),
    )
    while True:
        async with conn.transaction():
            store = AuditStore(conn, scope)
            service = AuditService(store, lambda: NOW, vaults.of(store.holdings, scope), scope)
            page = await service.page(wanted, window.get("since"), window.get("until"), limit, cursor)
        # That a month went is on the trail, too.
        rows += [row for row in page.items if row.org_id.startswith("org_")]
        if page.next is None:
            return rows
        cursor = page.next


async def test_hot_and_archived_rows_are_one_list(archive: Archive, conn: Connection) -> None:
    rows = await everything(conn, Filter())
    places = [(row.timestamp, row.id) for row in rows]
    assert len(set(places)) == len(rows) == 3 * ROWS and places == sorted(places, reverse=True)
    assert {row.timestamp.month for row in rows} == {OLDER.month, OLD.month, LAST.month}
    assert rows[-1].diff == {"before": None, "after": {"name": "", "models": ["gpt", "claude"], "number": 0}}
    assert (rows[-1].ip, rows[-2].ip) == (None, "10.0.1.7")


async def test_filters_hold_for_archived_rows_too(archive: Archive, conn: Connection) -> None:
    whole = await everything(conn, Filter())
    cases: list[tuple[Filter, Callable[[AuditRow], bool]]] = [
        (Filter(actor="user_7"), lambda row: row.actor_id == "user_7"),
        (Filter(actor="é 日本 \U0001f600@example.com"), lambda row: row.actor_email == "é 日本 \U0001f600@example.com"),
        (Filter(resource_id="team_9"), lambda row: row.resource_id == "team_9"),
        (Filter(org="org_1"), lambda row: row.org_id == "org_1"),
        (Filter(org="org_1", actor="user_7"), lambda row: (row.org_id, row.actor_id) == ("org_1", "user_7")),
        (Filter(text="日本"), lambda row: "日本" in str(row.diff) + str(row.actor_email)),
        (Filter(text='"name": "a,b"'), lambda row: row.diff["after"]["name"] == "a,b"),
        (Filter(action="nothing"), lambda row: False),
        (Filter(action="team.create", outcome="success"), lambda row: True),
    ]
    for wanted, fits in cases:
        expected = [row.id for row in whole if fits(row)]
        assert [row.id for row in await everything(conn, wanted)] == expected, wanted
    middle = whole[45].timestamp.isoformat()
    assert [row.id for row in await everything(conn, Filter(), since=middle)] == [row.id for row in whole[:46]]
    assert [row.id for row in await everything(conn, Filter(), until=middle)] == [row.id for row in whole[46:]]
    assert {row.org_id for row in await everything(conn, Filter(), scope="org_2")} == {"org_2"}


async def test_another_region_s_archives_join_in(archive: Archive, conn: Connection, tmp_path: Path) -> None:
    """Its manifests tell whose they are: a copy of our own archives is not read twice."""
    import shutil

    copy = tmp_path / "replica"
    shutil.copytree(archive.directory, copy)
    assert len(await everything(conn, Filter(), roots=(copy.as_uri(),))) == 3 * ROWS
    for path in copy.rglob("*.json"):
        path.write_text(path.read_text().replace('"install_id":"inst_', '"install_id":"other_'))
    with psycopg.connect(**archive.trail.superuser.conninfo()) as superuser:
        superuser.execute("DELETE FROM audit_logs WHERE id LIKE 'aud_%' AND org_id = 'org_0'")
    rows = await everything(conn, Filter(), roots=(copy.as_uri(),))
    assert len(rows) == len({row.id for row in rows}) == 3 * ROWS - ROWS // 3, "the same rows are shown once"
    assert len(await everything(conn, Filter(), roots=(copy.as_uri(),), scope="org_1")) == ROWS


async def test_a_month_that_cannot_be_read_is_no_empty_month(archive: Archive, conn: Connection) -> None:
    archive.file(OLD).write_bytes(b"gone")
    assert len(await everything(conn, Filter(), since=f"{LAST:%Y-%m-%d}")) == ROWS, "not touched while it is not due"
    with pytest.raises(ArchiveUnreadable, match="cannot be read"):
        await everything(conn, Filter())


def test_the_proof_reads_archives_as_part_of_the_chain(archive: Archive) -> None:
    result = archive.verify()
    assert result["intact"], result["findings"]
    assert (result["rows"], result["months_archived"], result["checkpoints"]) == (3 * ROWS + archive.told, 2, 3)
    one = archive.verify(org="org_1")
    assert (one["intact"], one["rows"]) == (True, ROWS)
    late = archive.verify(since=f"{OLD:%Y-%m-%d}T00:00:00.000000Z")
    assert (late["intact"], late["rows"]) == (True, 2 * ROWS + archive.told), late["findings"]


def _set(column: str, row: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table.column(column).to_pylist()
        values[row] = value
        at = table.schema.get_field_index(column)
        return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))

    return change


@pytest.mark.parametrize(
    ("change", "kind", "seq"),
    [
        (_set("actor_id", 4, "mallory"), "changed", 12), (_set("diff", 4, "{}"), "changed", 12),
        (_set("canonical", 4, "{}"), "changed", 12), (_set("hash", 4, b"x" * 32), "changed", 12),
        (lambda table: table.filter(pc.not_equal(table.column("resource_id"), "team_4")), "removed", 12),
        (lambda table: pa.concat_tables([table.slice(0, 5), table.slice(4)]), "inserted", 12),
        (lambda table: table.slice(0, 0), "removed", 11),
    ],
    ids=["column", "diff", "canonical", "hash", "removed", "inserted", "emptied"],
)  # fmt: skip
def test_tampering_inside_of_a_parquet_file(
    archive: Archive, change: Callable[[pa.Table], pa.Table], kind: str, seq: int
) -> None:
    archive.rewrite(OLD, change)
    result = archive.verify()
    kinds = {found["kind"] for found in result["findings"]}
    assert kinds == {"archive", kind}, result["findings"]
    named = [found for found in result["findings"] if found["kind"] == kind]
    assert named[0]["seq"] == seq and f"{OLD:%Y-%m}" in {found["month"] for found in result["findings"]}
    assert "SHA-256" in next(found["detail"] for found in result["findings"] if found["kind"] == "archive")


def test_an_archive_that_is_gone_or_replaced_or_disowned(archive: Archive) -> None:
    path = archive.file(OLD)
    kept = path.read_bytes()
    path.write_bytes(archive.file(OLDER).read_bytes())
    kinds = [found["kind"] for found in archive.verify()["findings"]]
    assert {"archive", "removed"} <= set(kinds), "another month in its place"
    path.unlink()
    gone = archive.verify()
    assert {"archive", "removed"} == {found["kind"] for found in gone["findings"]}
    assert sum(found["kind"] == "removed" for found in gone["findings"]) == 3, "each org's rows of that month"
    path.write_bytes(kept)
    assert archive.verify()["intact"]
    archive.trail.tamper("ALTER TABLE archives DISABLE TRIGGER ALL")
    archive.trail.tamper("DELETE FROM archives WHERE month = %s AND table_name = 'audit_logs'", OLD)
    disowned = archive.verify()
    assert {"archive", "removed"} == {found["kind"] for found in disowned["findings"]}
    assert any("does not know of this archive" in found["detail"] for found in disowned["findings"])
