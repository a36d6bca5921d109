"""The worker's sign of life in Redis, and the providers that its spans name."""

from __future__ import annotations

import psycopg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from scutum_server.errors import Unavailable
from scutum_server.infra.db import connect
from scutum_server.settings import DatabaseSettings

HEARTBEAT = "scutum:worker:heartbeat"
"""JSON, see `heartbeat.Beat`; gone `TTL_SECONDS` after the worker."""
TTL_SECONDS = 10
PROVIDERS = "SELECT name, kind, base_url FROM providers"


class HeartbeatStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def put(self, beat: bytes) -> None:
        """Raises Unavailable."""
        try:
            await self._redis.set(HEARTBEAT, beat, ex=TTL_SECONDS)
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer: {error}", code="redis_unavailable") from error


class ProviderStore:
    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings

    async def all(self) -> list[tuple[str, str, str | None]]:
        """Name, kind and base URL of each; on a connection for this once. Raises Unavailable."""
        try:
            async with await connect(self._settings, name="worker") as conn:
                rows = await (await conn.execute(PROVIDERS)).fetchall()
        except (psycopg.Error, OSError) as error:
            raise Unavailable(f"The database does not answer: {error}", code="database_unavailable") from error
        return [(row["name"], row["kind"], row["base_url"]) for row in rows]
