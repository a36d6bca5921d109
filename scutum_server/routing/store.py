"""Circuit breakers in Redis: what is open, who probes, and the channel that tells of both."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from scutum_server.errors import Unavailable
from scutum_server.infra.tasks import Heed
from scutum_server.routing.models import CHANNEL, PROBE, STATES, News, Opening

_NEWS = msgspec.json.Decoder(News)
_OPENING = msgspec.json.Decoder(Opening)


class BreakerStore:
    """Every method raises Unavailable when Redis does not answer."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._me = secrets.token_hex(8)

    async def opened(self, deployment_id: str, opening: Opening) -> None:
        news = msgspec.json.encode(News(deployment_id, self._me, opening))
        with _available():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hset(STATES, deployment_id, msgspec.json.encode(opening))
                pipe.delete(PROBE + deployment_id)
                pipe.publish(CHANNEL, news)
                await pipe.execute()

    async def closed(self, deployment_id: str) -> None:
        with _available():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hdel(STATES, deployment_id)
                pipe.delete(PROBE + deployment_id)
                pipe.publish(CHANNEL, msgspec.json.encode(News(deployment_id, self._me)))
                await pipe.execute()

    async def take_probe(self, deployment_id: str, milliseconds: int) -> bool:
        """False when another process of the fleet has the probe already."""
        with _available():
            return bool(await self._client.set(PROBE + deployment_id, b"1", nx=True, px=milliseconds))

    async def states(self) -> dict[str, Opening]:
        """Every breaker that is not closed."""
        with _available():
            found = await self._client.hgetall(STATES)
        return {
            name.decode() if isinstance(name, bytes) else name: _OPENING.decode(value) for name, value in found.items()
        }

    async def news(self) -> AsyncIterator[News]:
        """What other processes do from now on; first, as openings, what is open already."""
        heed = Heed()
        with _available():
            async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(CHANNEL)
                for name, opening in (await self.states()).items():
                    yield News(name, "", opening)
                while True:
                    heed()
                    message = await pubsub.get_message(timeout=1.0)
                    if message is not None:
                        news = _NEWS.decode(message["data"])
                        if news.by != self._me:
                            yield news


@contextlib.contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis does not answer: {type(error).__name__}.", code="redis_unavailable") from error


def remaining(opening: Opening) -> float:
    """Seconds of the cooldown that are left."""
    return max(0.0, opening.until - time.time())
