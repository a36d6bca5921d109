"""The Lua scripts by themselves, on a real Valkey."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from scutum_server.infra.redis import make_redis
from scutum_server.leases.lease import slice_of
from scutum_server.infra.windows import FOREVER
from scutum_server.leases.store import ALIVE_MS, PREFIX, Ask, Beat, Granted, Holding, LeaseStore
from scutum_server.settings import RedisSettings


@pytest.fixture
async def client(redis_settings: RedisSettings) -> AsyncIterator[Redis]:
    redis = make_redis(redis_settings, name="test")
    await redis.set(f"{PREFIX}epoch", "test@1000")
    yield redis
    await redis.aclose()


@pytest.fixture
def store(client: Redis) -> LeaseStore:
    return LeaseStore(client)


def ask(now: int, need: int, *, least: int = 0, capacity: int = 100, unit: str = "requests", start: int = 0,
        reserved: int = 0) -> Ask:  # fmt: skip
    end = FOREVER if unit == "slots" else now + 60_000
    return Ask(meter="m", start=start, end=end, capacity=capacity, need=need, least=least, unit=unit, reserved=reserved)


async def lease(store: LeaseStore, beat: Beat, asked: Ask, worker: str = "a") -> Granted:
    _, answers = await store.lease(worker, beat.epoch, [asked])
    assert answers is not None
    return answers[0]


async def test_the_script_computes_what_the_arithmetic_says(store: LeaseStore) -> None:
    chance = random.Random(7)
    for name in ("a", "b", "c"):
        beat = await store.beat(name, "x")
    for round_ in range(60):
        # Up to 2^53 nano-USD: beyond 1e14 a careless script loses digits.
        capacity = chance.choice([7, 100, 12_345, 10**14 + 7, 9 * 10**15])
        need, least = chance.randint(0, capacity + 2), chance.choice([0, chance.randint(1, capacity)])
        asked = Ask(meter=f"m{round_}", start=0, end=beat.now + 60_000, capacity=capacity, need=need, least=least,
                    unit="tokens", reserved=0)  # fmt: skip
        free = capacity
        for _ in range(3):
            got = await lease(store, beat, asked)
            expected = slice_of(free, need, least, 3)
            assert got.units == expected, (free, need, least)
            free -= expected
            assert got.left == free


async def test_a_window_is_checked_against_redis_own_clock(store: LeaseStore) -> None:
    beat = await store.beat("a", "x")
    past = Ask(meter="m", start=0, end=beat.now - 1, capacity=1, need=1, least=0, unit="requests", reserved=0)
    assert (await lease(store, beat, past)).code == "late"
    to_come = ask(beat.now, 1, start=beat.now + 30_000)
    answer = await lease(store, beat, to_come)
    assert answer.code == "early" and 29_000 < answer.units <= 30_000


async def test_money_is_leased_only_after_what_was_spent_is_known(store: LeaseStore) -> None:
    beat = await store.beat("a", "x")
    asked = ask(beat.now, 10, unit="money")
    assert (await lease(store, beat, asked)).code == "unseeded"
    await store.seed("m:0", asked.end, 85)
    await store.seed("m:0", asked.end, 0)
    assert await lease(store, beat, asked) == Granted("ok", 10, 5), "the first seed counts"


async def test_running_requests_are_told_from_what_is_spent(store: LeaseStore) -> None:
    beat = await store.beat("a", "x")
    await store.beat("b", "x")
    asked = ask(beat.now, 50, unit="money")
    await store.seed("m:0", asked.end, 20)
    await store.put("a", beat.epoch, [Holding("m:0", asked.end, 60, 45)])
    assert (await lease(store, beat, asked, "b")).code == "reserved"
    await store.put("a", beat.epoch, [Holding("m:0", asked.end, 60, 0)])
    assert (await lease(store, beat, asked, "b")).code == "short"


async def test_slots_of_a_worker_without_heartbeat_are_free(store: LeaseStore, client: Redis) -> None:
    beat = await store.beat("a", "x")
    assert (await lease(store, beat, ask(beat.now, 100, unit="slots"))).units == 100
    await store.beat("b", "x")
    assert (await lease(store, beat, ask(beat.now, 1, unit="slots"), "b")).code != "ok"
    await client.zadd(f"{PREFIX}workers", {"a": beat.now - ALIVE_MS - 1000})
    assert (await lease(store, beat, ask(beat.now, 60, unit="slots"), "b")).units == 60


async def test_after_a_loss_of_data_holders_come_back_before_anything_is_leased(store: LeaseStore, client: Redis) -> None:
    before = await store.beat("a", "x")
    await client.flushall()
    _, answers = await store.lease("a", before.epoch, [ask(before.now, 1)])
    assert answers is None
    assert not await store.put("a", before.epoch, [Holding("m:0", before.now + 60_000, 5, 0)])
    after = await store.beat("a", "y")
    assert after.epoch != before.epoch
    running = await lease(store, after, ask(after.now, 1))
    assert running.code == "settling" and 0 < running.units <= 3000
    fresh = await lease(store, after, ask(after.now, 1, start=after.now))
    assert fresh.code == "ok", "nobody can hold anything of a window that began later"
