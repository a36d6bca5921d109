"""How often a login may fail, so that nobody guesses and nobody can be kept out by guessing.

Failures are counted in lanes. A stranger is counted by account and address together, by address, by account, and with
all other strangers; the last two are what a guesser with many addresses runs into. Who shows the mark of a device that
has logged in to the account before, or comes from an address that has, is counted in a lane of their own and meets
nobody else there.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from scutum_server.access.models import TooManyAttemptsError
from scutum_server.access.throttle.store import Full, Lane

_REMEMBERED = 10_000


class Lanes(Protocol):
    async def take(self, lanes: Sequence[Lane]) -> Full | bool | None: ...

    async def give_back(self, lanes: Sequence[Lane]) -> None: ...


class ThrottledError(TooManyAttemptsError):
    """`first`: nobody was told yet that this lane is full."""

    def __init__(self, wait: float, *, first: bool) -> None:
        seconds = max(1, math.ceil(wait))
        super().__init__(
            "Too many failed logins.", retry_after=seconds, hint=f"The next attempt is heard in {seconds} s."
        )
        self.first = first


def place(address: str | None) -> str:
    """What is counted as one address: an IPv4 address, a /64 of IPv6, or `unknown`."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def for_secrets(address: str | None) -> list[Lane]:
    """Wrong master keys and service tokens: nobody guesses 256 bits, so only the noise is kept down."""
    return [Lane(f"secret:{place(address)}", 5, 60)]


def for_password(account: str, address: str | None, *, device: str | None, known: bool) -> list[Lane]:
    """`account` is the address of mail that was typed, `device` the id of a device that has logged in to it before."""
    who, where = hashlib.sha256(account.encode()).hexdigest()[:24], place(address)
    if device is not None:
        return [Lane(f"device:{who}:{device}", 5, 60), Lane(f"device-day:{who}:{device}", 100, 86400)]
    if known:
        return [Lane(f"known:{who}:{where}", 5, 60), Lane(f"known-day:{who}:{where}", 200, 86400)]
    return [
        Lane(f"pair:{who}:{where}", 5, 60),
        Lane(f"address:{where}", 20, 60),
        Lane(f"account:{who}", 60, 3600),
        Lane("strangers", 300, 60),
    ]


class LocalLanes:
    """The same in this process's memory; of more than 10 000 lanes the oldest are forgotten."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._told: OrderedDict[str, float] = OrderedDict()

    async def take(self, lanes: Sequence[Lane]) -> Full | bool:
        now = self._clock()
        full = [(self._until(lane, now) - now, lane.name) for lane in lanes if self._count(lane, now) >= lane.attempts]
        if full:
            wait, name = max(full)
            first = self._told.get(name, 0.0) <= now
            self._told[name] = now + wait
            _forget(self._told)
            return Full(wait, first)
        for lane in lanes:
            self._counts[lane.name] = (self._count(lane, now) + 1, self._until(lane, now))
        _forget(self._counts)
        return True

    async def give_back(self, lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            count, until = self._counts.get(lane.name, (0, 0.0))
            if count > 0:
                self._counts[lane.name] = (count - 1, until)

    def _count(self, lane: Lane, now: float) -> int:
        count, until = self._counts.get(lane.name, (0, 0.0))
        return count if until > now else 0

    def _until(self, lane: Lane, now: float) -> float:
        until = self._counts.get(lane.name, (0, 0.0))[1]
        return until if until > now else now + lane.window


class Throttle:
    """The shared lanes, and this process's own, which go on alone while the shared ones cannot be reached."""

    def __init__(self, shared: Lanes, local: LocalLanes) -> None:
        self._shared = shared
        self._local = local

    async def enter(self, lanes: Sequence[Lane]) -> None:
        """Counts an attempt as failed until `succeeded` says otherwise: many at once do not slip through.

        Raises ThrottledError.
        """
        own = await self._local.take(lanes)
        if isinstance(own, Full):
            raise ThrottledError(own.wait, first=own.first)
        shared = await self._shared.take(lanes)
        if isinstance(shared, Full):
            await self._local.give_back(lanes)
            raise ThrottledError(shared.wait, first=shared.first)

    async def succeeded(self, lanes: Sequence[Lane]) -> None:
        await self._shared.give_back(lanes)
        await self._local.give_back(lanes)


def _forget(counted: OrderedDict[str, Any]) -> None:
    while len(counted) > _REMEMBERED:
        counted.popitem(last=False)
