"""Failed logins are counted so that guessing stops and nobody is kept out by it."""

from __future__ import annotations

import pytest

from scutum_server.access.throttle.lanes import (
    LocalLanes,
    Throttle,
    ThrottledError,
    for_password,
    for_secrets,
    place,
)
from scutum_server.access.throttle.store import Full, Lane


class Away:
    """Redis that is not there."""

    async def take(self, lanes):
        return None

    async def give_back(self, lanes):
        return None


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[Throttle, Clock]:
    clock = Clock()
    return Throttle(Away(), LocalLanes(clock)), clock


async def fails(throttle: Throttle, lanes: list[Lane], times: int) -> int:
    """How many of so many failures were heard."""
    heard = 0
    for _ in range(times):
        try:
            await throttle.enter(lanes)
            heard += 1
        except ThrottledError:
            pass
    return heard


async def test_the_lanes_end_by_themselves_and_say_when() -> None:
    throttle, clock = make()
    lanes = for_password("ada@example.com", "10.0.0.1", device=None, known=False)
    assert await fails(throttle, lanes, 9) == 5
    clock.now += 20
    with pytest.raises(ThrottledError) as caught:
        await throttle.enter(lanes)
    assert caught.value.retry_after == 40 and not caught.value.first, "the first one was told already"
    clock.now += 40
    assert await fails(throttle, lanes, 9) == 5


async def test_a_login_that_succeeds_is_no_failure() -> None:
    throttle, _ = make()
    lanes = for_password("ada@example.com", "10.0.0.1", device=None, known=False)
    for _ in range(50):
        await throttle.enter(lanes)
        await throttle.succeeded(lanes)
    assert await fails(throttle, lanes, 9) == 5


async def test_one_address_cannot_try_many_accounts() -> None:
    throttle, _ = make()
    heard = [
        await fails(throttle, for_password(f"{n}@example.com", "10.0.0.1", device=None, known=False), 1)
        for n in range(40)
    ]
    assert sum(heard) == 20


async def test_many_addresses_cannot_try_one_account_and_its_owner_is_not_kept_out() -> None:
    throttle, _ = make()
    heard = [
        await fails(throttle, for_password("ada@example.com", f"10.0.{n}.1", device=None, known=False), 5)
        for n in range(100)
    ]
    assert sum(heard) == 60, "from all the world together, in an hour"
    await throttle.enter(for_password("ada@example.com", "192.0.2.7", device=None, known=True))
    await throttle.enter(for_password("ada@example.com", "10.0.1.1", device="tok_1", known=False))


async def test_a_device_is_kept_apart_from_a_guesser_at_the_same_address() -> None:
    throttle, _ = make()
    assert await fails(throttle, for_password("ada@example.com", "127.0.0.1", device=None, known=True), 30) == 5
    await throttle.enter(for_password("ada@example.com", "127.0.0.1", device="tok_1", known=True))
    assert await fails(throttle, for_password("ada@example.com", "127.0.0.1", device="tok_2", known=True), 30) == 5


async def test_the_memory_is_bounded() -> None:
    lanes = LocalLanes(Clock())
    for number in range(4000):
        await lanes.take(for_password(f"{number}@example.com", f"10.1.{number // 250}.{number % 250}", device=None, known=False))
    assert len(lanes._counts) <= 10_000


async def test_a_place_in_one_lane_is_not_taken_when_another_is_full() -> None:
    lanes = LocalLanes(Clock())
    wide, narrow = Lane("wide", 5, 60), Lane("narrow", 1, 60)
    assert await lanes.take([wide, narrow]) is True
    for _ in range(10):
        assert isinstance(await lanes.take([wide, narrow]), Full)
    assert [await lanes.take([wide]) is True for _ in range(5)] == [True] * 4 + [False]


def test_an_address_is_a_network_where_one_person_has_many() -> None:
    assert place("2001:db8:1:2::1") == place("2001:db8:1:2:ffff::9") != place("2001:db8:1:3::1")
    assert place("::ffff:10.0.0.1") == place("10.0.0.1") == "10.0.0.1"
    assert place(None) == place("somewhere") == "unknown"
    assert for_secrets("10.0.0.1") != for_secrets("10.0.0.2")
