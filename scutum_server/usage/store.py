"""The usage stream in Redis."""

from __future__ import annotations

import logging
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from scutum_server.errors import Unavailable
from scutum_server.usage.models import STREAM

log = logging.getLogger(__name__)

FENCE = "scutum:usage:fence"
"""Written before each wait, since WAITAOF waits for the last write of its own connection."""
AOF_WAIT_MS = 2_000


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(
        f"Redis does not take usage records: {error}", code="redis_unavailable", hint="Look at: scutum ps"
    )


class UsageStream:
    """The producer's side, for the proxy's journal."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._can_wait = True

    async def add(self, lines: bytes) -> None:
        """Newline-ended records as one entry of the stream; raises Unavailable."""
        try:
            await self._redis.xadd(STREAM, {"b": lines})
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def server(self) -> str:
        """The run id of the server; raises Unavailable."""
        try:
            return _run_id(await self._redis.info("server"))
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def settle(self) -> str:
        """As `server()`, once the append-only file has on disk what was added before.

        With `appendfsync everysec` a reply may come before the write to the file while a sync is running, so that even
        `kill -9` can take acknowledged entries with it. Raises Unavailable also when the wait was too short.
        """
        try:
            # One connection, so that the run id and the wait are of the same server.
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.info("server")
                if self._can_wait:
                    pipe.set(FENCE, 1)
                    pipe.execute_command("WAITAOF", 1, 0, AOF_WAIT_MS)
                answers = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        failed = next((answer for answer in answers[:2] if isinstance(answer, Exception)), None)
        if failed is not None:
            raise _unavailable(failed)
        if self._can_wait:
            self._check_wait(answers[2])
        return _run_id(answers[0])

    def _check_wait(self, answer: Any) -> None:
        if isinstance(answer, ResponseError):
            self._can_wait = False
            log.warning(
                "Redis cannot say when its append-only file is written (%s); a crash of it may lose usage", answer
            )
        elif isinstance(answer, Exception):
            raise _unavailable(answer)
        elif not answer[0]:
            raise Unavailable("Redis did not write its append-only file in time.", code="redis_unavailable")


def _run_id(info: Any) -> str:
    return str(cast("dict[str, Any]", info)["run_id"])
