"""Who may take a month out of the database: nobody by himself, and the archiver only what is archived."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest

from scutum_server.infra.objectstore import ObjectStore
from scutum_server.settings import DatabaseSettings
from tests.fixtures.archives import Chains, fill_audit, fill_spend, month_of, partitions, run
from tests.fixtures.servers import Postgres

NOW = dt.datetime.now(dt.UTC)
MONTH = month_of(NOW.date(), 4)
CHILD = f"audit_logs_{MONTH:%Y%m}"
FORGED = f"""
INSERT INTO archives (id, table_name, month, part, state, store_url, object_key, rows, bytes, sha256, fingerprint, verified_at)
VALUES ('arc_forged', 'audit_logs', '{MONTH}', 0, 'verified', 'file:///x', 'k', 0, 0, '', 0, now())
"""


@pytest.fixture
def filled(postgres: Postgres, database: DatabaseSettings) -> DatabaseSettings:
    fill_audit(postgres.superuser(database.dbname), MONTH, 20, Chains())
    return database


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM {CHILD}", f"UPDATE {CHILD} SET action = 'x'", f"TRUNCATE {CHILD}", f"DROP TABLE {CHILD}",
        "DELETE FROM audit_logs", "UPDATE audit_logs SET action = 'x'", "DELETE FROM spend_logs",
        "UPDATE spend_logs SET cost_nano_usd = 0", f"ALTER TABLE audit_logs DETACH PARTITION {CHILD}",
        "ALTER TABLE archives DISABLE TRIGGER ALL",
    ],
)  # fmt: skip
@pytest.mark.parametrize("role", ["app", "archiver"])
def test_no_role_of_the_services_changes_or_drops_rows(
    role: str, statement: str, postgres: Postgres, filled: DatabaseSettings
) -> None:
    who = postgres.app(filled.dbname) if role == "app" else postgres.archiver(filled.dbname)
    with psycopg.connect(**who.conninfo()) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):  # type: ignore[arg-type]
        conn.execute(statement)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement",
    [
        FORGED, "UPDATE archives SET state = 'verified'", "DELETE FROM archives", "SELECT archive_drop('arc_1')",
        f"SELECT archive_drop_empty('audit_logs', '{MONTH}')", "SET ROLE scutum_archiver", "SET ROLE scutum_owner",
    ],
)  # fmt: skip
def test_the_services_role_has_no_part_in_archiving(statement: str, filled: DatabaseSettings) -> None:
    with psycopg.connect(**filled.conninfo()) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):  # type: ignore[arg-type]
        conn.execute(statement)  # type: ignore[arg-type]


def test_the_archiver_cannot_drop_what_is_not_archived(postgres: Postgres, filled: DatabaseSettings) -> None:
    su = postgres.superuser(filled.dbname)
    with psycopg.connect(**su.conninfo()) as conn:  # type: ignore[arg-type]
        conn.execute(FORGED)
    with psycopg.connect(**postgres.archiver(filled.dbname).conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        with pytest.raises(psycopg.Error, match="has 20 rows, and they are not the 0"):
            conn.execute("SELECT archive_drop('arc_forged')")
        conn.execute("UPDATE archives SET rows = 20")
        with pytest.raises(psycopg.Error, match="has 20 rows, and they are not the 20"):
            conn.execute("SELECT archive_drop('arc_forged')")
        with pytest.raises(psycopg.Error, match="no verified archive"):
            conn.execute("SELECT archive_drop('arc_other')")
        with pytest.raises(psycopg.Error, match="is not empty"):
            conn.execute(f"SELECT archive_drop_empty('audit_logs', '{MONTH}')")
        with pytest.raises(psycopg.Error, match="nothing is archived of"):
            conn.execute(f"SELECT archive_drop_empty('teams', '{MONTH}')")
        with pytest.raises(psycopg.Error, match="no partition for"):
            conn.execute(f"SELECT archive_drop_empty('audit_logs', '{month_of(NOW.date())}')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("UPDATE archives SET dropped_at = now()")
    assert f"{MONTH:%Y%m}" in partitions(su, "audit_logs")


def test_a_month_that_is_not_over_cannot_go(postgres: Postgres, database: DatabaseSettings) -> None:
    this = month_of(NOW.date())
    with psycopg.connect(**postgres.superuser(database.dbname).conninfo()) as conn:  # type: ignore[arg-type]
        conn.execute(FORGED.replace(str(MONTH), str(this)))
    with psycopg.connect(**postgres.archiver(database.dbname).conninfo()) as conn:  # type: ignore[arg-type]
        with pytest.raises(psycopg.Error, match="is not over"):
            conn.execute("SELECT archive_drop('arc_forged')")


def test_a_transaction_that_cannot_see_late_rows_may_not_drop(postgres: Postgres, filled: DatabaseSettings) -> None:
    with psycopg.connect(**postgres.superuser(filled.dbname).conninfo()) as conn:  # type: ignore[arg-type]
        conn.execute(FORGED)
    with psycopg.connect(**postgres.archiver(filled.dbname).conninfo()) as conn:  # type: ignore[arg-type]
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(psycopg.Error, match="not seen in a transaction that is repeatable read"):
            conn.execute("SELECT archive_drop('arc_forged')")


def test_what_is_known_of_the_only_copy_is_not_changed(
    directory: ObjectStore, postgres: Postgres, database: DatabaseSettings
) -> None:
    fill_spend(postgres.superuser(database.dbname), MONTH, 5)
    run(postgres.archiver(database.dbname), directory, now=NOW)
    with psycopg.connect(**postgres.archiver(database.dbname).conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        for statement in ("DELETE FROM archives", "UPDATE archives SET sha256 = 'x'"):
            with pytest.raises(psycopg.Error, match="holds the only copy"):
                conn.execute(statement)
