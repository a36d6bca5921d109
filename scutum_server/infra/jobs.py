"""Background jobs: Procrastinate in a schema of its own, which its unqualified functions are bound to.

The library is loaded by the worker and by `migrate`; to put a job into the queue takes SQL alone.
"""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from scutum_server.infra.db import Connection
from scutum_server.settings import DatabaseSettings

if TYPE_CHECKING:
    from procrastinate import App

SCHEMA: Final = "scutum_jobs"
KEPT_HOURS: Final = 24 * 14
"""For which finished jobs stay to be looked at."""

PREPARE = """
CREATE SCHEMA IF NOT EXISTS scutum_jobs;
SET LOCAL search_path = scutum_jobs;
CREATE TABLE IF NOT EXISTS applied (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())
"""
APPLIED = "SELECT name FROM scutum_jobs.applied"
RECORD = "INSERT INTO scutum_jobs.applied (name) VALUES (%s)"
FUNCTIONS = "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'scutum_jobs'::regnamespace"
GRANTS = """
GRANT USAGE ON SCHEMA scutum_jobs TO scutum_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA scutum_jobs TO scutum_app;
REVOKE INSERT, UPDATE, DELETE ON scutum_jobs.applied FROM scutum_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA scutum_jobs TO scutum_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA scutum_jobs TO scutum_app
"""
ENQUEUE = """
SELECT scutum_jobs.procrastinate_defer_jobs_v1(ARRAY[
    ROW('default', %(task)s::text, 0, %(task)s::text, NULL, %(args)s, NULL)::scutum_jobs.procrastinate_job_to_defer_v1
])
"""
WAITING = """
SELECT EXISTS (
    SELECT 1 FROM scutum_jobs.procrastinate_jobs WHERE task_name = %(task)s::text AND status IN ('todo', 'doing')
) AS waiting
"""
SCHEDULE = """
SELECT scutum_jobs.procrastinate_defer_periodic_job_v2(
    'default', %(task)s::text, %(task)s::text, %(task)s::text, 0, '', %(at)s, %(args)s) AS id
"""
# A job that failed is no news any more once the same one went well, or after the time for which jobs are kept.
FAILED = """
SELECT task_name AS task, count(*) AS failures FROM scutum_jobs.procrastinate_jobs job
WHERE status = 'failed' AND NOT EXISTS (
    SELECT 1 FROM scutum_jobs.procrastinate_jobs later
    WHERE later.task_name = job.task_name AND later.id > job.id AND later.status = 'succeeded'
) GROUP BY task_name ORDER BY task_name
"""


def apply(conn: psycopg.Connection[Any]) -> None:
    """Brings the schema to the installed release of the library; run by its owner, one process at a time."""
    from procrastinate import schema

    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute(PREPARE)
        known = {row[0] for row in cursor.execute(APPLIED).fetchall()}
        migrations = sorted(Path(schema.SchemaManager.get_migrations_path()).glob("*.sql"))
        if not known:
            cursor.execute(schema.SchemaManager.get_schema())
        for migration in migrations:
            if migration.name in known:
                continue
            if known:
                cursor.execute(migration.read_text(encoding="utf-8"))
            cursor.execute(RECORD, (migration.name,))
        for (function,) in cursor.execute(FUNCTIONS).fetchall():
            cursor.execute(
                sql.SQL("ALTER FUNCTION {} SET search_path = scutum_jobs, pg_temp").format(sql.SQL(function))
            )
        cursor.execute(GRANTS)


async def enqueue(conn: Connection, task: str, **args: Any) -> bool:
    """Puts a job into the queue with the connection's transaction; False when one of its kind waits or runs already."""
    row = await (await conn.execute(WAITING, {"task": task})).fetchone()
    if row and row["waiting"]:
        return False
    await conn.execute(ENQUEUE, {"task": task, "args": Jsonb(args)})
    return True


async def schedule(conn: Connection, task: str, at: dt.datetime, **args: Any) -> bool:
    """Puts the job of this time into the queue, once for however many ask; whether it was put there now.

    While another one of its kind waits it is not, and may be asked for again.
    """
    try:
        async with conn.transaction():
            found = await conn.execute(SCHEDULE, {"task": task, "at": int(at.timestamp()), "args": Jsonb(args)})
            row = await found.fetchone()
    except psycopg.errors.UniqueViolation:
        return False
    return bool(row and row["id"])


async def failed(conn: Connection) -> dict[str, int]:
    """Failures by task, of tasks that have not gone well since."""
    return {row["task"]: row["failures"] for row in await (await conn.execute(FAILED)).fetchall()}


def make_app(settings: DatabaseSettings) -> App:
    """The library's application on connections of its own; past a pooler, since it listens."""
    from procrastinate import App, PsycopgConnector

    # It tells of every job that begins and ends; the jobs themselves tell what matters.
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    own = settings.conninfo(application_name="scutum-jobs", options=f"-c search_path={SCHEMA}")
    return App(connector=PsycopgConnector(kwargs=own, min_size=1, max_size=4, timeout=5))


class Queue:
    """The queue within one connection's transaction."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def enqueue(self, task: str) -> bool:
        """See `enqueue`."""
        return await enqueue(self._conn, task)

    async def waits(self, task: str) -> bool:
        """Whether one waits or runs."""
        row = await (await self._conn.execute(WAITING, {"task": task})).fetchone()
        return bool(row and row["waiting"])
