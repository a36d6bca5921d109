"""In which order an alias's deployments are asked.

A strategy ranks; whoever calls goes down the ranking and leaves out what its breaker keeps shut. `least-busy`,
`lowest-latency` and `usage-based` judge by what this worker process has seen, which needs no round trip; with several
workers each of them balances its own share of the traffic.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from scutum_server.routing.health import Health
from scutum_server.upstream.catalog import UNKNOWN, Cost, Tokens
from scutum_server.upstream.options import Strategy


class Ranked(Protocol):
    """What a strategy looks at."""

    @property
    def health(self) -> Health: ...
    @property
    def price(self) -> Callable[[Tokens], Cost]: ...
    @property
    def capacity(self) -> Capacity: ...


class Capacity(Struct, frozen=True):
    """What a deployment takes a minute; None is not known."""

    rpm: int | None = None
    tpm: int | None = None


Item = TypeVar("Item", bound=Ranked)
Order = Callable[[bool], Sequence[Item]]
"""The items, best first; the argument says whether the request streams."""

TYPICAL: Final = Tokens(3000, 1000)
"""The request that `cheapest` compares prices for."""


def order(strategy: Strategy, items: Sequence[Item], shares: Sequence[float]) -> Order[Item] | None:
    """How to rank `items`, each with its share of the traffic; None when their own order is the ranking."""
    if len(items) < 2 or strategy == "ordered":
        return None
    if strategy == "weighted":
        return _Weighted(items, shares)
    if strategy == "cheapest":
        ranking = sorted(items, key=_price)
        return lambda _: ranking
    judge = {"least-busy": _busy, "lowest-latency": _latency, "usage-based": _usage}[strategy]
    return _Judged(items, judge, explores=strategy == "lowest-latency")


class _Weighted(Generic[Item]):
    """Draws the first by weight, and the rest, which are asked when it fails, by weight again."""

    def __init__(self, items: Sequence[Item], shares: Sequence[float]) -> None:
        self._items = [(item, share) for item, share in zip(items, shares, strict=True) if share > 0]
        self._idle = [item for item, share in zip(items, shares, strict=True) if share <= 0]

    def __call__(self, _: bool) -> Sequence[Item]:
        # Efraimidis and Spirakis: sorting by u^(1/w) draws without replacement in proportion to the weights.
        drawn = sorted(self._items, key=lambda each: random.random() ** (1 / each[1]), reverse=True)  # noqa: S311
        return [item for item, _ in drawn] + self._idle


class _Judged(Generic[Item]):
    """Lowest judgement first; equals take turns."""

    def __init__(self, items: Sequence[Item], judge: Callable[[Ranked, bool], float], *, explores: bool) -> None:
        self._items = list(items)
        self._judge = judge
        self._explores = explores
        self._turn = 0

    def __call__(self, stream: bool) -> Sequence[Item]:
        self._turn = (self._turn + 1) % len(self._items)
        turned = self._items[self._turn :] + self._items[: self._turn]
        ranking = sorted(turned, key=lambda item: self._judge(item, stream))
        if self._explores:
            ranking[0].health.measuring(stream=stream)
        return ranking


def _busy(item: Ranked, _: bool) -> float:
    return item.health.in_flight


def _latency(item: Ranked, stream: bool) -> float:
    return item.health.latency(stream=stream)


def _usage(item: Ranked, _: bool) -> float:
    """The used part of the capacity; a deployment without one counts as nearly free, the less used the freer."""
    requests, tokens = item.health.used()
    capacity = item.capacity
    parts = []
    if capacity.rpm:
        parts.append(requests / capacity.rpm)
    if capacity.tpm:
        parts.append(tokens / capacity.tpm)
    return max(parts) if parts else (tokens + requests) / 1e9


def _price(item: Ranked) -> tuple[bool, int]:
    cost = item.price(TYPICAL)
    return cost.source == UNKNOWN, cost.nano_usd
