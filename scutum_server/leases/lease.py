"""A worker's share of one quota: arithmetic over whole units, without clock, network or disk."""

from __future__ import annotations

from typing import Any, Final, Protocol

from msgspec import Struct

from scutum_server.infra.windows import FOREVER
from scutum_server.leases.models import Meter

WORDS: Final = 32
"""Of 8 bytes, in a slot of the ledger; the first two are granted and unused."""
_PAST: Final = 3
PREFETCH: Final = 16
"""Slices of at least so many units are renewed when a quarter is left; smaller ones are too near the limit."""


class Ledger(Protocol):
    """Where a lease leaves word for its worker's successor; see `ledger.Ledger`."""

    words: Any
    """`words[at * WORDS + 1]` is what is unused: assigning it costs half of a call, and requests do little else."""

    def write(self, at: int, granted: int, unused: int) -> None: ...


class Refusal(Struct, frozen=True):
    """Which quota is used up; `reserved` if only by requests that are still running."""

    lease: Lease
    reserved: bool
    wait_ms: float


def slice_of(free: int, need: int, least: int, workers: int) -> int:
    """Units that one call may lease: `need` or a share of what is free; all of it when only `least` fits; else 0.

    The Lua script of `store` computes the same. `need` 0 asks for a share only.
    """
    if free >= need:
        return max(need, free // (2 * workers), 1 if free > 0 else 0)
    return free if 0 < least <= free else 0


class Lease:
    """granted = used + reserved + unused, all within the window that starts at `start`.

    `granted` is what Redis counts for this worker. Units that are taken are used at once, or reserved until settled.
    """

    __slots__ = (
        "ask_at",
        "at",
        "debt",
        "end",
        "granted",
        "ledger",
        "left",
        "low",
        "meter",
        "past",
        "refused_need",
        "refused_reserved",
        "refused_until",
        "reserved",
        "scarce_until",
        "stale",
        "start",
        "told",
        "unused",
        "word",
    )  # fmt: skip

    def __init__(self, meter: Meter, ledger: Ledger, at: int) -> None:
        self.meter = meter
        self.ledger = ledger
        self.at = at
        self.word = at * WORDS + 1
        self.past: dict[int, tuple[int, int]] = {}
        """What was taken and what still ran in the latest windows, by their start: Redis' clock may be set back."""
        self.start = -1
        self.end = 0
        self.granted = 0
        self.unused = 0
        self.reserved = 0
        self.told = 0
        """What others know to be reserved."""
        self.debt = 0
        self.left = 0
        """What Redis had left after the last lease, for the headers."""
        self.low = -1
        self.refused_need = FOREVER
        self.refused_until = 0.0
        self.refused_reserved = False
        self.scarce_until = 0.0
        self.ask_at = 0.0
        self.stale = False
        """Redis does not know the present `granted` yet."""

    @property
    def key(self) -> str:
        return f"{self.meter.id}:{self.start}"

    def roll(self, start: int, end: int) -> None:
        """Begins a window; what is left of the former one has lapsed. Slots have one window, without an end."""
        if self.start >= 0:
            self.past[self.start] = (self.granted - self.unused, self.reserved)
            if len(self.past) > _PAST:
                del self.past[min(self.past)]
        self.start, self.end = start, end
        self.granted, self.reserved = self.past.pop(start, (0, 0))
        self.unused = self.told = self.left = 0
        self.low = -1
        self.refused_need, self.refused_until = FOREVER, 0.0
        self.scarce_until = self.ask_at = 0.0
        self.stale = False
        self._note()

    def grant(self, units: int, left: int) -> None:
        """Takes in what Redis leased, after paying what the window before had used beyond its reservations."""
        self.granted += units
        self.unused += units
        self.left = left
        self.low = units // 4 if units >= PREFETCH else -1
        if units:
            self.forget_refusal()
        if self.debt:
            paid = min(self.debt, self.unused)
            self.debt -= paid
            self.unused -= paid
        self._note()

    def use(self) -> None:
        """Spends one unit for good."""
        self.unused -= 1
        self.ledger.words[self.word] = self.unused

    def reserve(self, units: int) -> None:
        """Sets units aside until `settle`."""
        self.unused -= units
        self.reserved += units
        self.ledger.words[self.word] = self.unused

    def settle(self, reserved: int, actual: int, at: float) -> None:
        """Ends a reservation made at time `at`: the difference is free again, or owed.

        What was reserved in another window lapsed with it. Tokens beyond a reservation come out of unused units or
        out of the next window; money beyond one was spent, whatever the budget says, and Redis is told.
        """
        if at < self.start or 0 < self.end <= at:
            if self.meter.unit == "tokens":
                self.owe(actual - reserved)
            return
        self.reserved -= reserved
        self.unused += reserved - actual
        if self.unused < 0:
            short, self.unused = -self.unused, 0
            if self.meter.unit == "money":
                self.granted += short
                self.stale = True
            else:
                self.debt += short
            self._note()
        else:
            self.ledger.words[self.word] = self.unused

    def owe(self, units: int) -> None:
        """Charges units against this window as far as they are at hand, the rest against the next one."""
        if units > 0:
            here = min(units, self.unused)
            self.unused -= here
            self.debt += units - here
            self._note()

    def give_back(self) -> int:
        """Lets go of what is unused; Redis is to be told. How much that was."""
        units, self.unused = self.unused, 0
        self.granted -= units
        self.low = -1
        if units:
            self.stale = True
        self._note()
        return units

    def forget_spent(self) -> None:
        """After Redis lost its data: what was spent is in the spend log, only the rest is still to be counted."""
        self.granted = self.unused + self.reserved
        self._note()

    def refuse(self, need: int, until: float, *, reserved: bool) -> None:
        """Remembers that `need` units were not to be had; `reserved` if only running requests stood in the way."""
        self.refused_need, self.refused_until, self.refused_reserved = need, until, reserved

    def forget_refusal(self) -> None:
        self.refused_need, self.refused_until, self.ask_at = FOREVER, 0.0, 0.0

    def refusal(self, now: float) -> Refusal:
        """What was remembered; money that is spent comes back with the next window only."""
        spent = self.meter.unit == "money" and not self.refused_reserved
        return Refusal(self, self.refused_reserved, (self.end if spent else self.refused_until) - now)

    def refuses(self, need: int, now: float) -> bool:
        return need >= self.refused_need and now < self.refused_until

    def has(self, need: int, now: float) -> bool:
        return self.unused >= need and now < self.end

    def _note(self) -> None:
        self.ledger.write(self.at, self.granted, self.unused)
