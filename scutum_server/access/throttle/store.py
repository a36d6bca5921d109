"""Failed logins in Redis: counters that end by themselves, taken all together or not at all."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec import Struct
from redis.exceptions import RedisError

from scutum_server.infra.redis import make_redis
from scutum_server.settings import RedisSettings

_PREFIX = "scutum:login:"
_AWAY_S = 5.0
"""After a failure Redis is not asked for so long: every login would wait for it."""
_TIMEOUT_S = 1.0

_TAKE = """
local full, wait = 0, 0
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[2 * i - 1]) then
    local left = redis.call('PTTL', key)
    if left > wait then full, wait = i, left end
  end
end
if full > 0 then
  local told = redis.call('SET', KEYS[full] .. ':told', 1, 'NX', 'PX', math.max(wait, 1))
  return {full, wait, told and 1 or 0}
end
for i, key in ipairs(KEYS) do
  if redis.call('INCR', key) == 1 then redis.call('PEXPIRE', key, tonumber(ARGV[2 * i])) end
end
return {0, 0, 0}
"""
_GIVE_BACK = """
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
return 0
"""


class Lane(Struct, frozen=True):
    """At most `attempts` failures in `window` seconds since the first of them; `name` is what is counted."""

    name: str
    attempts: int
    window: int


class Full(Struct, frozen=True):
    """A lane has no room for `wait` seconds; `first` once, for the trail."""

    wait: float
    first: bool


class SharedLanes:
    """The lanes that all admin processes share."""

    def __init__(self, settings: RedisSettings) -> None:
        self._client = make_redis(settings, name="admin-logins", timeout=_TIMEOUT_S)
        self._take, self._give = self._client.register_script(_TAKE), self._client.register_script(_GIVE_BACK)
        self._away_until = 0.0

    async def take(self, lanes: Sequence[Lane]) -> Full | bool | None:
        """True when there was room in all of them, and one place is taken in each; None when Redis is away."""
        if time.monotonic() < self._away_until:
            return None
        args = [value for lane in lanes for value in (lane.attempts, lane.window * 1000)]
        try:
            full, wait, first = await self._take(keys=[_PREFIX + lane.name for lane in lanes], args=args)
        except (RedisError, OSError):
            self._away_until = time.monotonic() + _AWAY_S
            return None
        return Full(wait / 1000, bool(first)) if full else True

    async def give_back(self, lanes: Sequence[Lane]) -> None:
        """A login that succeeded was no failure. What cannot be given back lapses."""
        if time.monotonic() < self._away_until:
            return
        try:
            await self._give(keys=[_PREFIX + lane.name for lane in lanes])
        except (RedisError, OSError):
            self._away_until = time.monotonic() + _AWAY_S

    async def close(self) -> None:
        await self._client.aclose()
