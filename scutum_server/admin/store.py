"""What the control plane asks the database and Valkey about themselves."""

from __future__ import annotations

from redis.exceptions import RedisError

from scutum_server.infra.db import Connection
from scutum_server.infra.redis import make_redis
from scutum_server.settings import RedisSettings

HEARTBEAT = "scutum:worker:heartbeat"
SCHEMA_EXISTS = "SELECT to_regclass('alembic_version') IS NOT NULL AS found"
SCHEMA = "SELECT version_num FROM alembic_version"
BOOTSTRAP_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('scutum-bootstrap', 0))"


async def schema(conn: Connection) -> str | None:
    """The revision of the database's schema, or None when it was never migrated."""
    found = await (await conn.execute(SCHEMA_EXISTS)).fetchone()
    if not found or not found["found"]:
        return None
    row = await (await conn.execute(SCHEMA)).fetchone()
    return row["version_num"] if row else None


async def bootstrap_lock(conn: Connection) -> None:
    """One process at a time makes the first objects, until its transaction ends."""
    await conn.execute(BOOTSTRAP_LOCK)


class Vitals:
    """Looks at Valkey; answers within two seconds, whatever happens to it."""

    def __init__(self, settings: RedisSettings) -> None:
        self._client = make_redis(settings, name="admin", timeout=2.0)

    async def checks(self) -> dict[str, str]:
        """State of Valkey and, by its heartbeat there, of the worker."""
        try:
            beating = await self._client.exists(HEARTBEAT)
        except (RedisError, OSError):
            return {"redis": "unavailable", "worker": "unknown"}
        return {"redis": "ok", "worker": "ok" if beating else "no heartbeat"}

    async def close(self) -> None:
        await self._client.aclose()
