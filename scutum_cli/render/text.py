"""Values as people say them: ages, times, money, counts. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

NOTHING = "-"
STEPS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Face:
    """From where one looks: the time now, and the zone that times are told in (None: the machine's own)."""

    now: datetime
    zone: tzinfo | None = None

    @classmethod
    def here(cls, *, utc: bool = False) -> Face:
        return cls(datetime.now(UTC), UTC if utc else None)


def span(seconds: float) -> str:
    """A duration in its largest unit, cut off: `45 s`, `3 m`, `2 h`, `30 d`."""
    whole = max(0, int(seconds))
    for size, unit in STEPS:
        if whole >= size:
            return f"{whole // size} {unit}"
    return "0 s"


def nearest(seconds: float) -> str:
    """A duration rounded in its largest unit: 30 days less a second are `30 d`."""
    for size, unit in STEPS:
        if seconds >= size - size / 48:
            return f"{round(seconds / size)} {unit}"
    return "0 s"


def moment(text: str) -> datetime:
    """An instant from the API; one without an offset is in UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def age(text: str | None, face: Face) -> str:
    """`3 m ago` for the past, `in 30 d` for the future, `-` for nothing."""
    if text is None:
        return NOTHING
    seconds = (face.now - moment(text)).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {nearest(-seconds)}"


def clock(text: str | None, face: Face) -> str:
    """`2026-11-21 03:41:07` in the zone of `face`, which is named after it; `-` for nothing."""
    if text is None:
        return NOTHING
    at = moment(text).astimezone(face.zone)
    return f"{at:%Y-%m-%d %H:%M:%S} {at.tzname()}"


def when(text: str | None, face: Face) -> str:
    """Both: `2026-11-21 03:41:07 CET, 3 m ago`."""
    return NOTHING if text is None else f"{clock(text, face)}, {age(text, face)}"


def money(usd: str | Decimal) -> str:
    """US dollars: cents from one cent up, below that two digits that count (`$0.0012`)."""
    amount = Decimal(usd)
    if not amount:
        return "$0"
    if abs(amount) >= Decimal("0.01"):
        return f"${amount:,.2f}"
    rounded = amount.quantize(Decimal(1).scaleb(amount.adjusted() - 1))
    return f"${rounded.normalize():f}"


def per_million(nano: int | None) -> str:
    """A price in nano-USD per token as US dollars per million tokens."""
    return NOTHING if nano is None else money(Decimal(nano) / 1000)


def count(number: int) -> str:
    """`12,345`."""
    return f"{number:,}"


def listed(values: list[str] | None, otherwise: str = NOTHING) -> str:
    """`a, b`; `otherwise` for none."""
    return ", ".join(values) if values else otherwise


def plural(number: int, noun: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"
