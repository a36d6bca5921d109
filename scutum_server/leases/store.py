"""Quotas in Redis. A hash per quota and window counts what each worker holds; scripts take the time from Redis.

Numbers go in as text and out as text made with `%.0f`: Lua's own formatting loses digits from 1e14.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from scutum_server.errors import Unavailable

PREFIX: Final = "scutum:lease:"
RECALL: Final = f"{PREFIX}recall"
REFILL: Final = f"{PREFIX}refill"

BEAT_MS: Final = 1_000
FRESH_MS: Final = 2_500
"""So long after its last heartbeat a worker may spend what it holds."""
GRACE_MS: Final = 3_000
"""So long after a loss of data nothing is leased: longer than FRESH_MS, so every holder has come back or stopped."""
ALIVE_MS: Final = 10_000
"""A worker without a heartbeat for so long is dead; its slots are free."""
LOST_MS: Final = 600_000
"""A worker that is dead for so long, and whose ledger nobody took over, is lost with its host."""
KEPT_MS: Final = 35 * 86_400_000
"""The longest window: until then somebody may ask what a lost worker had."""

_COMMON = f"""
local P = '{PREFIX}'
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function text(n) return string.format('%.0f', n) end
"""

# ARGV: worker, a new epoch's name, 1 if records of what was spent may be on their way.
# → now, epoch, its age, 1 if the worker was alive until now
_BEAT = f"""{_COMMON}
local seen = redis.call('ZSCORE', P .. 'workers', ARGV[1])
redis.call('ZADD', P .. 'workers', text(now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', text(now - {KEPT_MS}))
local epoch = redis.call('GET', P .. 'epoch')
if not epoch then
    epoch = ARGV[2] .. '@' .. text(now)
    redis.call('SET', P .. 'epoch', epoch)
end
if ARGV[3] == '1' then redis.call('SET', P .. 'owing', 1, 'PX', {FRESH_MS}) end
return {{text(now), epoch, (seen and now - seen < {ALIVE_MS}) and 1 or 0}}
"""

# ARGV: worker, epoch, then for each quota: id, start, end, capacity, need, least, unit, own reservations.
# → now, state, then for each quota: code, granted or milliseconds, left
_LEASE = f"""{_COMMON}
local epoch = redis.call('GET', P .. 'epoch')
if epoch ~= ARGV[2] then return {{text(now), 'lost'}} end
local born = tonumber(string.match(epoch, '@(%d+)$'))
local workers = math.max(1, redis.call('ZCOUNT', P .. 'workers', text(now - {ALIVE_MS}), '+inf'))
local alive = {{}}
local function lives(holder)
    if alive[holder] == nil then
        local beat = redis.call('ZSCORE', P .. 'workers', holder)
        alive[holder] = (beat and now - beat < {ALIVE_MS}) and true or false
    end
    return alive[holder]
end
local out = {{text(now), 'ok'}}
local function answer(code, units, left)
    out[#out + 1] = code
    out[#out + 1] = text(units)
    out[#out + 1] = text(left)
end
for i = 3, #ARGV, 8 do
    local name = ARGV[i] .. ':' .. ARGV[i + 1]
    local from, till = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    local capacity, need, least = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5])
    local unit, mine = ARGV[i + 6], tonumber(ARGV[i + 7])
    if now >= till then
        answer('late', 0, 0)
    elseif now < from then
        answer('early', from - now, 0)
    elseif now - born < {GRACE_MS} and from < born then
        answer('settling', {GRACE_MS} - (now - born), 0)
    else
        local flat = redis.call('HGETALL', P .. name)
        local held, reserved, base, short = 0, mine, nil, false
        for f = 1, #flat, 2 do
            local field, value = flat[f], tonumber(flat[f + 1])
            if field == '=' then
                base = value
                held = held + value
            elseif field == '!' then
                short = true
            elseif string.sub(field, 1, 1) == '~' then
                local holder = string.sub(field, 2)
                if holder ~= ARGV[1] and lives(holder) then reserved = reserved + value end
            elseif unit == 'slots' and field ~= ARGV[1] and not lives(field) then
                redis.call('HDEL', P .. name, field)
            else
                held = held + value
            end
        end
        local free = math.max(0, capacity - held)
        if unit == 'money' and not base and redis.call('EXISTS', P .. 'owing') == 1 then
            answer('settling', 500, 0)
        elseif unit == 'money' and not base then
            answer('unseeded', 0, 0)
        else
            local units = 0
            if free >= need then
                units = math.max(need, math.floor(free / (2 * workers)))
                if units == 0 and free > 0 then units = 1 end
            elseif least > 0 and free >= least then
                units = free
            end
            if units > 0 then
                redis.call('HINCRBY', P .. name, ARGV[1], text(units))
                answer('ok', units, free - units)
            else
                if need > 0 then
                    redis.call('HSET', P .. name, '!', 1)
                    redis.call('PUBLISH', '{RECALL}', name)
                end
                local floor = least > 0 and least or need
                answer(free + reserved >= floor and 'reserved' or 'short', 0, free)
            end
            if unit ~= 'slots' then redis.call('PEXPIREAT', P .. name, text(till + 60000)) end
        end
    end
end
return out
"""

# ARGV: worker, epoch, then for each quota: name, end, granted (-1: forget this worker), reserved.
_PUT = f"""{_COMMON}
if redis.call('GET', P .. 'epoch') ~= ARGV[2] then return 0 end
for i = 3, #ARGV, 4 do
    local name, till = ARGV[i], tonumber(ARGV[i + 1])
    if now < till then
        if ARGV[i + 2] == '-1' then
            redis.call('HDEL', P .. name, ARGV[1], '~' .. ARGV[1])
        else
            redis.call('HSET', P .. name, ARGV[1], ARGV[i + 2], '~' .. ARGV[1], ARGV[i + 3])
        end
        if till < 9e15 then redis.call('PEXPIREAT', P .. name, text(till + 60000)) end
        if redis.call('HDEL', P .. name, '!') == 1 then redis.call('PUBLISH', '{REFILL}', name) end
    end
end
return 1
"""

# ARGV: milliseconds. → now, then worker and last heartbeat of each that is silent for so long
_SILENT = f"""{_COMMON}
local found = redis.call('ZRANGEBYSCORE', P .. 'workers', '-inf', text(now - ARGV[1]), 'WITHSCORES')
local out = {{text(now)}}
for i = 1, #found, 2 do
    out[#out + 1] = found[i]
    out[#out + 1] = text(tonumber(found[i + 1]))
end
return out
"""

# ARGV: milliseconds of silence, then for each quota: name, worker, what it was counted for, what it has really spent.
_RECONCILE = f"""{_COMMON}
for i = 2, #ARGV, 4 do
    local name, holder = ARGV[i], ARGV[i + 1]
    local beat = redis.call('ZSCORE', P .. 'workers', holder)
    local silent = beat and now - beat >= tonumber(ARGV[1])
    if silent and redis.call('HGET', P .. name, holder) == ARGV[i + 2] then
        redis.call('HSET', P .. name, holder, ARGV[i + 3])
        redis.call('HDEL', P .. name, '~' .. holder)
        if redis.call('HDEL', P .. name, '!') == 1 then redis.call('PUBLISH', '{REFILL}', name) end
    end
end
return 1
"""

# ARGV: name, end, amount spent before. The first one counts.
_SEED = f"""{_COMMON}
redis.call('HSETNX', P .. ARGV[1], '=', ARGV[3])
redis.call('PEXPIREAT', P .. ARGV[1], text(tonumber(ARGV[2]) + 60000))
return 1
"""


class Beat(Struct, frozen=True):
    """`now` is Redis' clock; another `epoch` than before says that it lost its data."""

    now: int
    epoch: str
    alive: bool


class Ask(Struct, frozen=True, kw_only=True):
    """`need` units, or all that is free if that is at least `least`; see `lease.slice_of`."""

    meter: str
    start: int
    end: int
    capacity: int
    need: int
    least: int
    unit: str
    reserved: int


class Granted(Struct, frozen=True):
    """`units` are milliseconds to wait for the codes early and settling."""

    code: Literal["ok", "short", "reserved", "early", "late", "settling", "unseeded"]
    units: int
    left: int


class Holding(Struct, frozen=True):
    """What a worker holds of a quota's window, as Redis is to count it; `granted` -1 strikes it out."""

    key: str
    end: int
    granted: int
    reserved: int


class Held(Struct, frozen=True):
    """What a worker is counted for of a quota's window."""

    key: str
    holder: str
    units: int


class LeaseStore:
    """Every method raises Unavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._beat = redis.register_script(_BEAT)
        self._lease = redis.register_script(_LEASE)
        self._put = redis.register_script(_PUT)
        self._seed = redis.register_script(_SEED)
        self._silent = redis.register_script(_SILENT)
        self._reconcile = redis.register_script(_RECONCILE)

    async def beat(self, worker: str, new_epoch: str, *, owing: bool = False) -> Beat:
        """While a worker is `owing` records of what it has spent, nobody opens a budget."""
        now, epoch, alive = await self._run(self._beat, worker, new_epoch, int(owing))
        return Beat(int(now), epoch.decode(), bool(alive))

    async def lease(self, worker: str, epoch: str, asks: Sequence[Ask]) -> tuple[int, list[Granted] | None]:
        """Redis' time and one answer per ask; None when the epoch is another one."""
        words: list[object] = [worker, epoch]
        for ask in asks:
            words += (ask.meter, ask.start, ask.end, ask.capacity, ask.need, ask.least, ask.unit, ask.reserved)
        answer = await self._run(self._lease, *words)
        if answer[1] == b"lost":
            return int(answer[0]), None
        found = zip(*(answer[2 + part :: 3] for part in range(3)), strict=True)
        granted = [(code.decode(), int(units), int(left)) for code, units, left in found]
        return int(answer[0]), msgspec.convert([Granted(*each) for each in granted], list[Granted])

    async def put(self, worker: str, epoch: str, holdings: Sequence[Holding]) -> bool:
        """False when the epoch is another one, and nothing was changed."""
        words: list[object] = [worker, epoch]
        for each in holdings:
            words += (each.key, each.end, each.granted, each.reserved)
        return bool(await self._run(self._put, *words))

    async def seed(self, key: str, end: int, spent: int) -> None:
        """What was spent in a budget's period before anything was leased of it."""
        await self._run(self._seed, key, end, spent)

    async def leave(self, worker: str) -> None:
        try:
            await self._redis.zrem(f"{PREFIX}workers", worker)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def lost(self, silent_ms: int = LOST_MS) -> dict[str, int]:
        """Workers that ended without a word and without a successor, and their last heartbeats on Redis' clock."""
        _, *found = await self._run(self._silent, silent_ms)
        return {name.decode(): int(beat) for name, beat in zip(found[::2], found[1::2], strict=True)}

    async def held_by(self, holders: Sequence[str], prefix: str) -> list[Held]:
        """What those are counted for of the quotas whose ids begin so."""
        found: list[Held] = []
        try:
            async for name in self._redis.scan_iter(f"{PREFIX}{prefix}*", count=1000):
                units = await self._redis.hmget(name, list(holders))
                key = name.decode().removeprefix(PREFIX)
                found += [Held(key, who, int(what)) for who, what in zip(holders, units, strict=True) if what]
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return found

    async def reserved(self, keys: Sequence[str]) -> list[tuple[int, bool]]:
        """Of each quota's window: what running requests hold, and whether one was turned away since its last refill."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hgetall(f"{PREFIX}{key}")
                found = await pipe.execute()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return [(sum(int(units) for who, units in each.items() if who[:1] == b"~"), b"!" in each) for each in found]

    async def reconcile(self, spent: Sequence[tuple[Held, int]], silent_ms: int = LOST_MS) -> None:
        """Counts for lost workers what they have spent instead of what they had leased; not if they came back."""
        words: list[object] = [silent_ms]
        for held, units in spent:
            words += (held.key, held.holder, held.units, units)
        await self._run(self._reconcile, *words)

    async def messages(self) -> AsyncIterator[tuple[bool, str]]:
        """(whether it is a recall and not a refill, the quota's key); the first one, with an empty key, is for luck."""
        pubsub = self._redis.pubsub()
        try:
            await pubsub.subscribe(RECALL, REFILL)
            yield False, ""
            while True:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5.0)
                if message is not None:
                    yield message["channel"] == RECALL.encode(), message["data"].decode()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _run(self, script: Any, *words: object) -> Any:
        try:
            return await script(args=words)
        except (RedisError, OSError, asyncio.IncompleteReadError) as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"Redis does not answer: {error}", code="redis_unavailable", hint="Look at: scutum ps")
