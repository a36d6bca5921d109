"""What the control plane asks the database and Valkey about themselves."""

from __future__ import annotations

import msgspec
from redis.exceptions import RedisError

from scutum_server.infra.db import Connection
from scutum_server.infra.redis import make_redis
from scutum_server.routing.store import BreakerStore
from scutum_server.settings import RedisSettings

HEARTBEAT = "scutum:worker:heartbeat"
SCHEMA_EXISTS = "SELECT to_regclass('alembic_version') IS NOT NULL AS found"
SCHEMA = "SELECT version_num FROM alembic_version"
SPEND_REJECTS = "SELECT count(*) AS found FROM spend_rejects WHERE at > now() - interval '24 hours'"
BOOTSTRAP_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('scutum-bootstrap', 0))"


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


async def bootstrap_lock(conn: Connection) -> None:
    """One process at a time makes the first objects, until its transaction ends."""
    await conn.execute(BOOTSTRAP_LOCK)


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
