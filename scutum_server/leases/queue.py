"""Requests that wait for units, first come first served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from scutum_server.errors import Unavailable
from scutum_server.infra.windows import FOREVER
from scutum_server.leases.lease import Lease, Refusal

RECALL_MS: Final = 50.0
"""How long a request waits for others to return what they do not use."""
EARLY_MS: Final = 20.0
"""How long to wait when a window has not begun by Redis' clock."""
MEMORY_MS: Final = {"slots": 1_000.0, "money": 1_000.0}
"""How long a refusal is remembered where others' requests may end at any moment; other units: until the window ends."""

Take = Callable[[float, list[Lease]], None]
"""Takes what a request needs, at a time, without the leases in the list."""


class Need(Struct, frozen=True):
    """`need` units of a lease; after a recall in vain, `least` will do (0: it will not)."""

    lease: Lease
    need: int
    least: int = 0

    @property
    def floor(self) -> int:
        return self.least or self.need


class Waiter:
    """One request; `deadlines` say until when others may return units of a lease."""

    def __init__(self, needs: list[Need], take: Take) -> None:
        self.needs = needs
        self.take = take
        self.answer: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
        self.deadlines: dict[Lease, float] = {}
        self.without: list[Lease] = []

    def lacks(self, now: float) -> list[Need]:
        return [
            each
            for each in self.needs
            if not each.lease.has(each.floor if self.waited(each.lease, now) else each.need, now)
            and each.lease not in self.without
        ]

    def lacks_of(self, lease: Lease, now: float) -> Need | None:
        return next((need for need in self.lacks(now) if need.lease is lease), None)

    def waited(self, lease: Lease, now: float) -> bool:
        """Whether others had their time to return what they do not use of it."""
        return now >= self.deadlines.get(lease, FOREVER)


class Queue:
    """Answers each waiter once: nothing, after it took its units; a Refusal; or Unavailable."""

    def __init__(self) -> None:
        self._waiters: list[Waiter] = []

    def __bool__(self) -> bool:
        return bool(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._waiters)

    def add(self, waiter: Waiter) -> None:
        self._waiters.append(waiter)

    def remove(self, waiter: Waiter) -> None:
        """One that was answered is gone already."""
        self._waiters = [each for each in self._waiters if each is not waiter]

    def next_ask(self, now: float) -> float:
        """When somebody's turn to ask for units comes."""
        times = [need.lease.ask_at for waiter in self._waiters for need in waiter.lacks(now)]
        return min(times, default=float("inf"))

    def asks(self, now: float) -> dict[Lease, Need]:
        """What to lease now: for each lease what the first in the queue lacks of it."""
        asks: dict[Lease, Need] = {}
        for waiter in self._waiters:
            for need in waiter.lacks(now):
                lease = need.lease
                if lease not in asks and now >= lease.ask_at:
                    asks[lease] = Need(lease, need.need, need.least if waiter.waited(lease, now) else 0)
        return asks

    def serve(self, now: float) -> None:
        """Lets those go who have all at hand, and those who are known to wait in vain."""
        for waiter in self._waiters:
            lacking = waiter.lacks(now)
            if not lacking:
                self._hand_over(waiter, now)
                continue
            vain = next((need.lease for need in lacking if need.lease.refuses(need.floor, now)), None)
            if vain is not None:
                self._answer(waiter, vain.refusal(now))

    def fall_short(self, lease: Lease, asked: float, now: float, *, reserved: bool) -> None:
        """Others were told to return what they do not use: wait for that; refuse whoever had waited when `asked`."""
        lease.ask_at = now + RECALL_MS
        for waiter in self._waiters:
            need = waiter.lacks_of(lease, now)
            if need is None:
                continue
            if waiter.waited(lease, asked):
                brief = MEMORY_MS.get(lease.meter.unit)
                lease.refuse(need.floor, min(lease.end, now + brief) if brief else lease.end, reserved=reserved)
                self._answer(waiter, lease.refusal(now))
            else:
                deadline = waiter.deadlines.setdefault(lease, now + RECALL_MS)
                lease.ask_at = min(lease.ask_at, deadline)

    def go_without(self, lease: Lease, now: float) -> None:
        """The lease is not to be had for now: those may pass whose quota is to be open then."""
        if lease.meter.fail_open:
            for waiter in self._waiters:
                if waiter.lacks_of(lease, now) is not None:
                    waiter.without.append(lease)

    def fail(self, lease: Lease, now: float) -> None:
        """Ends the wait of all who still lack units of the lease."""
        for waiter in self._waiters:
            if waiter.lacks_of(lease, now) is not None:
                self._fail(waiter, lease)

    def decide(self, waiter: Waiter, now: float, *, fresh: bool) -> None:
        """Without Redis: what is at hand is spent if it is still `fresh`, the rest is as each quota wants it."""
        lacking = waiter.lacks(now) if fresh else waiter.needs
        shut = next((need.lease for need in lacking if not need.lease.meter.fail_open), None)
        if shut is not None:
            self._fail(waiter, shut)
            return
        waiter.without += [need.lease for need in lacking]
        self._hand_over(waiter, now)

    def _hand_over(self, waiter: Waiter, now: float) -> None:
        self.remove(waiter)
        if not waiter.answer.done():
            waiter.take(now, waiter.without)
            waiter.answer.set_result(None)

    def _answer(self, waiter: Waiter, refusal: Refusal) -> None:
        self.remove(waiter)
        if not waiter.answer.done():
            waiter.answer.set_result(refusal)

    def _fail(self, waiter: Waiter, lease: Lease) -> None:
        self.remove(waiter)
        if not waiter.answer.done():
            what = "budget" if lease.meter.unit == "money" else "limit"
            reason = f"The {what} {lease.meter.whose} cannot be checked at the moment: try again."
            waiter.answer.set_exception(Unavailable(reason, code="limits_unavailable"))
