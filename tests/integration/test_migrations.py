"""Migrations only expand: the release before each of them goes on reading and writing, and nobody waits long."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from scutum_server.infra import migrate
from scutum_server.settings import DatabaseSettings
from tests.fixtures import migrations
from tests.fixtures.migrations import blocking_indexes, complaints, planted, read, revisions, upgrade_to
from tests.fixtures.servers import Postgres


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[DatabaseSettings]:
    """A database with our roles and nothing in it, as its owner."""
    name = f"t_{secrets.token_hex(6)}"
    migrate.prepare_cluster(postgres.migrate_settings(name))
    yield postgres.owner(name)
    postgres.drop(name)


def test_the_release_before_each_migration_can_go_on(empty: DatabaseSettings) -> None:
    first, *later = revisions()
    upgrade_to(empty, first)
    schema = read(empty)
    for revision in later:
        upgrade_to(empty, revision)
        before, schema = schema, read(empty)
        assert complaints(before, schema) == [], f"migration {revision}"
    assert blocking_indexes() == []


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("DROP TABLE spend_rejects", "table spend_rejects is gone"),
        ("ALTER TABLE teams RENAME TO squads", "table teams is gone"),
        ("ALTER TABLE api_keys DROP COLUMN hint", "column api_keys.hint is gone"),
        ("ALTER TABLE api_keys RENAME COLUMN hint TO tail", "column api_keys.hint is gone"),
        ("ALTER TABLE spend_logs ALTER COLUMN status TYPE int", "column spend_logs.status was int2 and is int4"),
        ("ALTER TABLE providers ALTER COLUMN base_url SET NOT NULL", "column providers.base_url no longer takes null"),
        ("ALTER TABLE orgs ALTER COLUMN time_zone DROP DEFAULT", "column orgs.time_zone has lost its default"),
        ("ALTER TABLE orgs ADD COLUMN plan text NOT NULL", "column orgs.plan is new and must be given"),
        ("ALTER TABLE teams ADD CHECK (name <> 'x')", "constraint teams: CHECK ((name <> 'x'::text)) is new"),
        ("ALTER TABLE providers ADD UNIQUE (base_url)", "constraint providers: UNIQUE (base_url) is new"),
        ("DROP FUNCTION ensure_partitions", "function ensure_partitions(months_ahead integer) is gone"),
        ("REVOKE UPDATE ON api_keys FROM scutum_app", "scutum_app lost update on api_keys"),
    ],
)
def test_a_migration_that_would_break_the_release_before_it_is_found(
    postgres: Postgres, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, statement: str,
    complaint: str,
) -> None:  # fmt: skip
    owner = postgres.owner(database.dbname)
    before = read(owner)
    with planted(monkeypatch, tmp_path, statement):
        migrate.upgrade(owner)
    assert complaint in complaints(before, read(owner))


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE orgs ADD COLUMN plan text",
        "ALTER TABLE orgs ADD COLUMN plan text NOT NULL DEFAULT 'free' CHECK (plan <> '')",
        "ALTER TABLE providers ALTER COLUMN name DROP NOT NULL",
        "CREATE TABLE squads (id text PRIMARY KEY, team_id text NOT NULL REFERENCES teams)",
    ],
)
def test_a_migration_that_only_expands_is_none(
    postgres: Postgres, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, statement: str
) -> None:
    owner = postgres.owner(database.dbname)
    before = read(owner)
    with planted(monkeypatch, tmp_path, statement):
        migrate.upgrade(owner)
    assert complaints(before, read(owner)) == []


def test_an_index_that_would_hold_up_writers_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with planted(monkeypatch, tmp_path, "CREATE INDEX slow ON api_keys (owner)") as location:
        assert blocking_indexes(location) == ["9999_planted: slow on api_keys"]
    with planted(monkeypatch, tmp_path / "two", "CREATE INDEX CONCURRENTLY quick ON api_keys (owner)") as location:
        assert blocking_indexes(location) == []


def test_an_index_can_be_made_while_others_write(
    postgres: Postgres, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    owner = postgres.owner(database.dbname)
    with planted(monkeypatch, tmp_path, "CREATE INDEX CONCURRENTLY quick ON api_keys (owner)", alone=True):
        assert migrate.upgrade(owner)[1] == "9999"
    with psycopg.connect(**owner.conninfo()) as conn:  # type: ignore[arg-type]
        assert conn.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'quick'::regclass").fetchone() == (True,)


def test_no_migration_waits_long_for_a_lock_or_runs_for_ever(
    postgres: Postgres, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    owner = postgres.owner(database.dbname)
    limits = "SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement"
    with planted(monkeypatch, tmp_path, f"CREATE TABLE limits_now AS {limits}"):
        migrate.upgrade(owner)
    with psycopg.connect(**owner.conninfo()) as conn:  # type: ignore[arg-type]
        assert conn.execute("SELECT lock, statement FROM limits_now").fetchone() == ("5s", "10min")


def test_a_migration_that_fails_leaves_the_schema_as_it_was(
    postgres: Postgres, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    owner = postgres.owner(database.dbname)
    before = read(owner)
    with planted(monkeypatch, tmp_path, "ALTER TABLE orgs ADD COLUMN plan text; SELECT 1 / 0"):
        with pytest.raises(Exception, match="division by zero"):
            migrate.upgrade(owner)
    assert read(owner) == before
    assert migrate.upgrade(owner) == (migrations.revisions()[-1],) * 2
