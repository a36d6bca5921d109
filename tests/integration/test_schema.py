"""The schema as the service's own role meets it."""

from __future__ import annotations

import hashlib
import json

import psycopg
import pytest

from scutum_server.infra import migrate
from scutum_server.settings import DatabaseSettings
from tests.fixtures.servers import Postgres

APPEND = """
SELECT audit_append(%(id)s, 'org_a', 'user_1', 'user', NULL, '127.0.0.1', 'team.create', 'team', 'team_1',
    '{"after": {"name": "x"}}', 'req', 'success', 'api')
"""


def test_migrating_twice_changes_nothing(postgres: Postgres, database: DatabaseSettings) -> None:
    before, after = migrate.upgrade(postgres.owner(database.dbname))
    assert before == after == migrate.head()


def test_a_schema_from_a_newer_release_is_refused(postgres: Postgres, database: DatabaseSettings) -> None:
    with psycopg.connect(**postgres.owner(database.dbname).conninfo()) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrate.MigrationError, match="9999"):
        migrate.upgrade(postgres.owner(database.dbname))


def test_audit_rows_chain_and_sort_by_time(database: DatabaseSettings) -> None:
    with psycopg.connect(**database.conninfo()) as conn:
        for number in range(3):
            conn.execute(APPEND, {"id": f"aud_{number}"})
        rows = conn.execute("SELECT canonical, prev_hash, hash, seq FROM audit_logs ORDER BY timestamp").fetchall()
    previous = b""
    for number, (canonical, prev_hash, digest, seq) in enumerate(rows):
        assert (seq, prev_hash) == (number + 1, previous)
        assert digest == hashlib.sha256(previous + canonical.encode()).digest()
        assert json.loads(canonical)["id"] == f"aud_{number}"
        previous = digest


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_logs SET action = 'x'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "INSERT INTO audit_logs SELECT * FROM audit_logs",
        "UPDATE audit_heads SET seq = 0",
        "DROP TABLE audit_logs",
        "ALTER TABLE audit_logs ADD x int",
        "CREATE TABLE mine (x int)",
    ],
)
def test_the_service_role_cannot_change_what_was_audited(database: DatabaseSettings, statement: str) -> None:
    with psycopg.connect(**database.conninfo()) as conn:
        conn.execute(APPEND, {"id": "aud_0"})
        conn.commit()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)


def test_partitions_exist_ahead_of_time_and_on_request(database: DatabaseSettings) -> None:
    with psycopg.connect(**database.conninfo()) as conn:
        conn.execute("SELECT ensure_month_partition('spend_logs', '2031-02-03 00:00Z')")
        names = {row[0] for row in conn.execute("SELECT inhrelid::regclass::text FROM pg_inherits")}
    assert "spend_logs_203102" in names
    assert sum(name.startswith("audit_logs_") and "key" not in name for name in names) >= 5


def test_configuration_changes_are_numbered_in_commit_order(database: DatabaseSettings) -> None:
    with psycopg.connect(**database.conninfo()) as first, psycopg.connect(**database.conninfo()) as second:
        assert first.execute("SELECT config_changed('team', 'a')").fetchone() == (1,)
        second.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute("SELECT config_changed('team', 'b')")
        second.rollback()
        first.commit()
        assert second.execute("SELECT config_changed('team', 'b')").fetchone() == (2,)
