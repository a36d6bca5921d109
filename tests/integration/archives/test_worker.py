"""The worker archives: when told, at its time, and again after it was killed."""

from __future__ import annotations

import datetime as dt
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from scutum_server.infra import jobs
from scutum_server.infra.db import connect
from scutum_server.settings import DatabaseSettings, RedisSettings
from tests.fixtures.archives import Chains, fill_audit, fill_spend, month_of, partitions
from tests.fixtures.servers import Postgres, wait_until
from tests.fixtures.worker import running_worker

NOW = dt.datetime.now(dt.UTC)
MONTH = month_of(NOW.date(), 4)


def _sql(database: DatabaseSettings, query: str, *params: Any) -> list[Any]:
    with psycopg.connect(**database.conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        cursor = conn.execute(query, params)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def _later(minutes: int) -> str:
    """A local time of day; the schedule is quiet until then."""
    return f"{dt.datetime.now().astimezone() + dt.timedelta(minutes=minutes):%H:%M}"


@pytest.fixture
def su(postgres: Postgres, database: DatabaseSettings) -> DatabaseSettings:
    return postgres.superuser(database.dbname)


def _environment(postgres: Postgres, tmp_path: Path) -> dict[str, str]:
    return {
        "SCUTUM_ARCHIVE_URL": (tmp_path / "objects").as_uri(),
        "POSTGRES_ARCHIVER_PASSWORD": postgres.archiver_password,
    }


def test_what_is_due_goes_at_night_and_is_told(
    postgres: Postgres, database: DatabaseSettings, su: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    fill_audit(su, MONTH, 60, Chains())
    fill_spend(su, MONTH, 60)
    with running_worker(database, redis_settings, tmp_path, **_environment(postgres, tmp_path)) as worker:
        wait_until(
            lambda: _sql(database, "SELECT 1 FROM scutum_jobs.procrastinate_jobs WHERE status = 'succeeded'"),
            seconds=40, what="both months to be archived",
        )  # fmt: skip
        assert worker.stop() == 0
    for table in ("audit_logs", "spend_logs"):
        assert f"{MONTH:%Y%m}" not in partitions(su, table)
    assert len(list((tmp_path / "objects").rglob("*.parquet"))) == 2
    assert _sql(database, "SELECT days FROM archive_retention") == [(30,)]
    assert _sql(database, "SELECT count(*) FROM events_outbox WHERE type = 'archive.done'") == [(2,)]
    assert _sql(database, "SELECT count(*) FROM scutum_jobs.procrastinate_jobs") == [(1,)]


async def test_a_worker_that_is_killed_while_it_archives_is_succeeded(
    postgres: Postgres, database: DatabaseSettings, su: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    fill_spend(su, MONTH, 500)
    _sql(database, "INSERT INTO settings (key, value) VALUES ('archive.at', to_jsonb(%s::text))", _later(30))
    holder = psycopg.connect(**su.conninfo())  # type: ignore[arg-type]
    holder.execute("LOCK TABLE spend_logs IN ACCESS SHARE MODE")
    async with await connect(database, name="test") as conn:
        assert await jobs.enqueue(conn, "archives.run")
    environment = _environment(postgres, tmp_path)
    with running_worker(database, redis_settings, tmp_path, **environment) as worker:
        wait_until(
            lambda: _sql(database, "SELECT 1 FROM archives WHERE state = 'verified'"), seconds=40,
            what="the archive to wait for its reader",
        )  # fmt: skip
        (archiver,) = psutil.Process(worker.process.pid).children()
        os.kill(worker.process.pid, signal.SIGKILL)
        archiver.wait(15)  # it ends with its worker
    holder.close()
    _sql(su, "UPDATE scutum_jobs.procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
    with running_worker(database, redis_settings, tmp_path, **environment):
        wait_until(
            lambda: _sql(database, "SELECT 1 FROM scutum_jobs.procrastinate_jobs WHERE status = 'succeeded'"),
            seconds=40, what="the job to be taken up again",
        )  # fmt: skip
    assert f"{MONTH:%Y%m}" not in partitions(su, "spend_logs")
    assert _sql(database, "SELECT rows FROM archives WHERE dropped_at IS NOT NULL") == [(500,)]


def test_what_cannot_be_archived_is_told_and_stays(
    postgres: Postgres, database: DatabaseSettings, su: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    fill_spend(su, MONTH, 10)
    environment = _environment(postgres, tmp_path) | {"POSTGRES_ARCHIVER_PASSWORD": "wrong-password-here"}
    with running_worker(database, redis_settings, tmp_path, **environment):
        wait_until(
            lambda: _sql(database, "SELECT 1 FROM scutum_jobs.procrastinate_jobs WHERE status = 'failed'"), seconds=40,
            what="the job to fail",
        )  # fmt: skip
    ((payload,),) = _sql(database, "SELECT payload FROM events_outbox WHERE type = 'archive.failed'")
    assert "does not answer" in payload["error"] and "wrong-password-here" not in str(payload)
    assert f"{MONTH:%Y%m}" in partitions(su, "spend_logs")


def test_partitions_that_cannot_be_made_are_told(
    database: DatabaseSettings, su: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    far = month_of(NOW.date(), -3)
    _sql(su, f"DROP TABLE spend_logs_{far:%Y%m}")
    _sql(su, f"CREATE TABLE spend_logs_{far:%Y%m} (x int)")
    _sql(su, f"DROP TABLE spend_logs_{month_of(NOW.date(), -2):%Y%m}")
    _sql(su, "REVOKE EXECUTE ON FUNCTION ensure_partitions FROM scutum_app")
    states = "SELECT state, severity FROM events_outbox WHERE type = 'partitions.missing' ORDER BY id"
    with running_worker(database, redis_settings, tmp_path):
        wait_until(lambda: _sql(database, states) == [("firing", "critical")], what="the event")
        _sql(su, "GRANT EXECUTE ON FUNCTION ensure_partitions TO scutum_app")
        wait_until(lambda: len(_sql(database, states)) == 2, what="the end of it")
    assert _sql(database, states)[1][0] == "resolved"
    assert f"{month_of(NOW.date(), -2):%Y%m}" in partitions(su, "spend_logs")
