"""The circuit breaker's arithmetic, by a clock that the test sets."""

from __future__ import annotations

import pytest
from scutum_server.routing.health import Board, Health
from scutum_server.upstream.options import BreakerOptions

OPTIONS = BreakerOptions(failures=3, window_ms=10_000, cooldown_ms=5000)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Told:
    def __init__(self) -> None:
        self.news: list[tuple[str, float | None]] = []

    def opened(self, deployment_id: str, cooldown_s: float, reason: str) -> None:
        self.news.append((reason, cooldown_s))

    def closed(self, deployment_id: str) -> None:
        self.news.append(("closed", None))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def health(clock: Clock, told: Told) -> Health:
    return Health("d", OPTIONS, told, clock)


def fail(health: Health, times: int = 1) -> None:
    for _ in range(times):
        health.failed("500")


def succeed(health: Health, times: int = 1) -> None:
    for _ in range(times):
        health.succeeded(0.1, 0, stream=False)


def test_it_opens_at_the_third_failure_and_says_why(health: Health, told: Told) -> None:
    fail(health, 2)
    assert (health.ready(), health.usable) == (True, True)
    fail(health)
    assert (health.ready(), health.usable, health.wait_s()) == (False, False, 5.0)
    assert told.news == [("500", 5.0)]


def test_failures_of_another_window_do_not_count(health: Health, clock: Clock) -> None:
    fail(health, 2)
    clock.now += 11
    fail(health, 2)
    assert health.ready()


def test_a_few_failures_among_many_successes_leave_it_closed(health: Health) -> None:
    fail(health)
    succeed(health, 5)
    fail(health, 3)
    assert health.ready()
    fail(health)
    assert not health.ready()


def test_a_probe_decides(health: Health, clock: Clock, told: Told) -> None:
    fail(health, 3)
    assert not health.due
    clock.now += 5
    assert health.due
    health.probe()
    assert (health.due, health.ready()) == (False, False)
    fail(health)
    assert health.wait_s() == 10.0
    clock.now += 10
    health.probe()
    succeed(health)
    assert (health.ready(), health.usable) == (True, True)
    assert told.news == [("500", 5.0), ("500", 10.0), ("closed", None)]


def test_the_cooldown_grows_to_a_bound_and_starts_small_again(health: Health, clock: Clock) -> None:
    fail(health, 3)
    for _ in range(6):
        clock.now += health.wait_s()
        health.probe()
        fail(health)
    assert health.wait_s() == 40.0
    clock.now += 40
    health.probe()
    succeed(health)
    fail(health, 3)
    assert health.wait_s() == 5.0


def test_a_late_success_from_before_does_not_close_it(health: Health) -> None:
    fail(health, 3)
    succeed(health)
    assert not health.ready()


def test_an_abandoned_probe_may_be_taken_by_another(health: Health, clock: Clock) -> None:
    fail(health, 3)
    clock.now += 5
    health.probe()
    health.abandon_probe()
    assert health.due


def test_rest_is_over_by_itself_and_bounded(health: Health, clock: Clock) -> None:
    health.rest(3600)
    assert (health.resting, health.usable, health.ready()) == (True, False, True)
    clock.now += 60
    assert (health.resting, health.ready(), health.usable) == (False, True, True)


def test_latency_is_smoothed_and_forgotten(health: Health, clock: Clock) -> None:
    health.succeeded(1.0, 0, stream=True)
    health.succeeded(2.0, 0, stream=True)
    assert health.latency(stream=True) == pytest.approx(1.3)
    assert health.latency(stream=False) == 0.0
    clock.now += 61
    assert health.latency(stream=True) == 0.0
    health.measuring(stream=True)
    assert health.latency(stream=True) == pytest.approx(1.3), "while one measures, the others go by the last figure"


def test_usage_is_that_of_this_minute(health: Health, clock: Clock) -> None:
    health.begin()
    health.end()
    health.succeeded(0.1, 50, stream=False)
    assert (health.used(), health.in_flight) == ((1, 50), 0)
    clock.now += 60
    assert health.used() == (0, 0)


def test_a_board_keeps_what_it_knows_until_the_configuration_changes(clock: Clock, told: Told) -> None:
    board = Board(told, clock)
    health = board.health("d", {"key": 1}, OPTIONS)
    fail(health, 3)
    assert board.health("d", {"key": 1}, OPTIONS) is health
    fresh = board.health("d", {"key": 2}, OPTIONS)
    assert (fresh is health, fresh.ready(), told.news[-1]) == (False, True, ("closed", None))


def test_a_board_takes_news_of_deployments_that_it_does_not_know_yet(clock: Clock, told: Told) -> None:
    board = Board(told, clock)
    board.hear("d", cooldown_s=30.0)
    board.hear("e", cooldown_s=30.0)
    board.hear("e", cooldown_s=None)
    clock.now += 10
    assert board.health("d", None, OPTIONS).wait_s() == 20.0
    assert board.health("e", None, OPTIONS).ready()
    board.hear("d", cooldown_s=None)
    assert board.health("d", None, OPTIONS).ready()
    assert told.news == [], "what others say is not told again"
