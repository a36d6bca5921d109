"""In which order deployments are asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from msgspec import Struct
from scutum_server.routing.health import Health, Silence
from scutum_server.routing.strategy import Capacity, order
from scutum_server.upstream.catalog import Cost, Tokens
from scutum_server.upstream.options import BreakerOptions


class Item(Struct):
    name: str
    health: Health
    price: Callable[[Tokens], Cost] = lambda _: Cost(0, "unknown")
    capacity: Capacity = Capacity()


def items(count: int = 3) -> list[Item]:
    return [Item(name, Health(name, BreakerOptions(), Silence())) for name in "abcdef"[:count]]


def names(ranking: object) -> str:
    return "".join(item.name for item in ranking)


def ranked(strategy: str, given: list[Item], *, stream: bool = False) -> str:
    ranking = order(strategy, given, [1.0] * len(given))
    assert ranking is not None
    return names(ranking(stream))


@pytest.mark.parametrize("strategy", ["ordered", "weighted", "least-busy", "cheapest"])
def test_one_deployment_needs_no_ranking(strategy: str) -> None:
    assert order(strategy, items(1), [1.0]) is None
    assert order("ordered", items(), [1.0] * 3) is None


def test_weights_are_kept_and_a_weight_of_nothing_is_a_fallback_only() -> None:
    rank = order("weighted", items(), [3.0, 1.0, 0.0])
    assert rank is not None
    drawn = [names(rank(False)) for _ in range(4000)]
    first = Counter(each[0] for each in drawn)
    assert 2800 < first["a"] < 3200
    assert all(each[2] == "c" for each in drawn)


def test_the_least_busy_comes_first_and_equals_take_turns() -> None:
    given = items()
    rank = order("least-busy", given, [1.0] * 3)
    assert rank is not None
    assert Counter(names(rank(False))[0] for _ in range(30)) == {"a": 10, "b": 10, "c": 10}
    for busy, item in zip((5, 1, 3), given, strict=True):
        for _ in range(busy):
            item.health.begin()
    assert names(rank(False)) == "bca"


def test_the_fastest_comes_first_and_the_unmeasured_are_measured() -> None:
    given = items()
    for seconds, item in zip((0.3, 0.1), given[:2], strict=True):
        item.health.succeeded(seconds, 0, stream=True)
    assert ranked("lowest-latency", given, stream=True) == "cba"
    given[2].health.succeeded(0.2, 0, stream=True)
    assert ranked("lowest-latency", given, stream=True) == "bca"


def test_the_cheapest_comes_first_and_unknown_prices_last() -> None:
    given = items()
    given[1].price = lambda tokens: Cost(tokens.input, "operator")
    given[2].price = lambda tokens: Cost(tokens.input * 2, "operator")
    assert ranked("cheapest", given) == "bca"


def test_the_one_with_the_most_headroom_comes_first() -> None:
    given = items()
    for rpm, item in zip((10, 100, 10), given, strict=True):
        item.capacity = Capacity(rpm=rpm, tpm=1000)
        item.health.begin()
    given[2].health.succeeded(0.1, 900, stream=False)
    assert ranked("usage-based", given) == "bac"
