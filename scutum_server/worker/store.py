"""The worker's sign of life in Redis."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import RedisError

from scutum_server.errors import Unavailable

HEARTBEAT = "scutum:worker:heartbeat"
"""JSON, see `heartbeat.Beat`; gone `TTL_SECONDS` after the worker."""
TTL_SECONDS = 10


class HeartbeatStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def put(self, beat: bytes) -> None:
        """Raises Unavailable."""
        try:
            await self._redis.set(HEARTBEAT, beat, ex=TTL_SECONDS)
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer: {error}", code="redis_unavailable") from error
