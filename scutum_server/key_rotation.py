"""A key that is exchanged without a break: the former one is accepted until its grace ends."""

from __future__ import annotations

import datetime as dt
import hmac
from dataclasses import dataclass, field

from scutum_server.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Rotating:
    """`former_until` is in Unix seconds."""

    present: str = field(repr=False)
    former: str | None = field(default=None, repr=False)
    former_until: float = 0.0

    def accepted(self, now: float) -> list[str]:
        """The keys that are good at this moment, the present one first."""
        if self.former is None or now >= self.former_until:
            return [self.present]
        return [self.present, self.former]

    def accepts(self, given: str, now: float) -> bool:
        """Compares in constant time."""
        found = [hmac.compare_digest(given.encode(), key.encode()) for key in self.accepted(now)]
        return any(found)


def rotating(name: str, present: str, former: str | None, until: str | None) -> Rotating:
    """From NAME, NAME_PREVIOUS and NAME_PREVIOUS_UNTIL (an ISO time with its zone); raises SettingsError."""
    if former is None:
        return Rotating(present)
    try:
        moment = dt.datetime.fromisoformat(until or "")
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingsError(
            f"{name}_PREVIOUS is set, and {name}_PREVIOUS_UNTIL is not a time with its zone.",
            hint=f"{name}_PREVIOUS_UNTIL=2026-03-01T12:00:00Z says until when the former key is accepted.",
        )
    return Rotating(present, former, moment.timestamp())
