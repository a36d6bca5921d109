"""What the control plane asks the database and Valkey about themselves."""

from __future__ import annotations

from typing import Any

import msgspec
from redis.exceptions import RedisError

from scutum_server.infra import jobs
from scutum_server.infra.db import Connection
from scutum_server.infra.redis import make_redis
from scutum_server.leases.store import LeaseStore
from scutum_server.routing.store import BreakerStore
from scutum_server.settings import RedisSettings

HEARTBEAT = "scutum:worker:heartbeat"
SCHEMA_EXISTS = "SELECT to_regclass('alembic_version') IS NOT NULL AS found"
SCHEMA = "SELECT version_num FROM alembic_version"
SPEND_REJECTS = "SELECT count(*) AS found FROM spend_rejects WHERE at > now() - interval '24 hours'"
ARCHIVES_FAILED = """
SELECT table_name || ' ' || to_char(month, 'YYYY-MM') AS month FROM archives
WHERE state = 'failed' ORDER BY month LIMIT 1
"""
# With the next month's there are days to mend it before anything is lost.
PARTITIONS_MISSING = """
SELECT name FROM unnest(ARRAY['audit_logs', 'spend_logs']) AS parent,
    (VALUES (now()), (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month 1 day')) AS moment (at),
    concat(parent, '_', to_char(moment.at AT TIME ZONE 'UTC', 'YYYYMM')) AS name
WHERE to_regclass(name) IS NULL LIMIT 1
"""
AUDIT_TROUBLE = """
SELECT coalesce(
    (SELECT 'tampered with' FROM (
        SELECT result FROM audit_tasks WHERE kind = 'verify' AND state = 'done' ORDER BY finished_at DESC LIMIT 1
    ) last WHERE NOT (result ->> 'intact')::boolean),
    (SELECT 'checkpoints are not shipped' FROM audit_shipments
    WHERE failing_since < now() - interval '15 minutes' LIMIT 1)
) AS trouble
"""
BOOTSTRAP_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('scutum-bootstrap', 0))"

IDEMPOTENCY_LOCK = """
SELECT pg_try_advisory_xact_lock(hashtextextended('idempotency:' || %(actor)s || encode(%(digest)s, 'hex'), 0)) AS ours
"""
IDEMPOTENCY_ANSWER = """
SELECT fingerprint, answer FROM idempotency_keys
WHERE actor_id = %(actor)s AND digest = %(digest)s AND created_at > now() - interval '24 hours'
"""
IDEMPOTENCY_KEEP = """
INSERT INTO idempotency_keys (actor_id, digest, fingerprint, answer)
VALUES (%(actor)s, %(digest)s, %(fingerprint)s, %(answer)s)
ON CONFLICT (actor_id, digest)
DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = now()
"""
# A few at a time, and none that somebody else is at: each new one takes care of the old ones.
IDEMPOTENCY_FORGET = """
DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
    ORDER BY created_at LIMIT 20 FOR UPDATE SKIP LOCKED
))
"""


async def schema(conn: Connection) -> str | None:
    """The revision of the database's schema, or None when it was never migrated."""
    found = await (await conn.execute(SCHEMA_EXISTS)).fetchone()
    if not found or not found["found"]:
        return None
    row = await (await conn.execute(SCHEMA)).fetchone()
    return row["version_num"] if row else None


async def spend_rejects(conn: Connection) -> int:
    """How many usage records of the last 24 hours could not be stored."""
    row = await (await conn.execute(SPEND_REJECTS)).fetchone()
    return row["found"] if row else 0


async def upkeep(conn: Connection) -> dict[str, str]:
    """State of background jobs, of the partitions that are needed soon, of archiving and of the audit trail's proof."""
    missing = await (await conn.execute(PARTITIONS_MISSING)).fetchone()
    unarchived = await (await conn.execute(ARCHIVES_FAILED)).fetchone()
    audit = await (await conn.execute(AUDIT_TROUBLE)).fetchone()
    failures = await jobs.failed(conn)
    return {
        "jobs": ", ".join(f"{task} failed {_times(count)}" for task, count in failures.items()) or "ok",
        "partitions": f"{missing['name']} is missing" if missing else "ok",
        "archives": f"{unarchived['month']} failed" if unarchived else "ok",
        "audit": (audit and audit["trouble"]) or "ok",
    }


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


async def bootstrap_lock(conn: Connection) -> None:
    """One process at a time makes the first objects, until its transaction ends."""
    await conn.execute(BOOTSTRAP_LOCK)


async def idempotency_lock(conn: Connection, actor: str, digest: bytes) -> bool:
    """False while another transaction works on the same key; ours until the transaction ends."""
    row = await (await conn.execute(IDEMPOTENCY_LOCK, {"actor": actor, "digest": digest})).fetchone()
    return bool(row and row["ours"])


async def idempotency_answer(conn: Connection, actor: str, digest: bytes) -> dict[str, Any] | None:
    """Fingerprint and wrapped answer of the last 24 hours."""
    return await (await conn.execute(IDEMPOTENCY_ANSWER, {"actor": actor, "digest": digest})).fetchone()


async def keep_answer(conn: Connection, actor: str, digest: bytes, fingerprint: bytes, answer: bytes) -> None:
    """Keeps a wrapped answer, and forgets a few of the old ones."""
    fields = {"actor": actor, "digest": digest, "fingerprint": fingerprint, "answer": answer}
    await conn.execute(IDEMPOTENCY_KEEP, fields)
    await conn.execute(IDEMPOTENCY_FORGET)


class _Traces(msgspec.Struct):
    failing: str | None = None


class _Beat(msgspec.Struct):
    waiting: str | None = None
    traces: _Traces | None = None


_BEAT = msgspec.json.Decoder(_Beat)


class Vitals:
    """Looks at Valkey; answers within two seconds, whatever happens to it."""

    def __init__(self, settings: RedisSettings) -> None:
        self._client = make_redis(settings, name="admin", timeout=2.0)
        self.breakers = BreakerStore(self._client)
        self.leases = LeaseStore(self._client)

    async def checks(self) -> dict[str, str]:
        """State of Valkey and, by its heartbeat there, of the worker and of the traces that it exports."""
        try:
            beat = await self._client.get(HEARTBEAT)
        except (RedisError, OSError):
            return {"redis": "unavailable", "worker": "unknown", "traces": "unknown"}
        if beat is None:
            return {"redis": "ok", "worker": "no heartbeat", "traces": "unknown"}
        return {"redis": "ok"} | _worker(beat)

    async def close(self) -> None:
        await self._client.aclose()


def _worker(beat: bytes | str) -> dict[str, str]:
    try:
        known = _BEAT.decode(beat)
    except msgspec.MsgspecError:
        return {"worker": "unreadable heartbeat", "traces": "unknown"}
    failing = known.traces.failing if known.traces is not None else None
    return {"worker": "ok" if known.waiting is None else f"waiting for {known.waiting}", "traces": failing or "ok"}
