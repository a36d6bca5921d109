"""A report's window of time, as people ask for it. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from scutum_server.errors import InvalidInput
from scutum_server.usage.cover import midnight

_LONGEST: Final = dt.timedelta(days=3660)
_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_SHORT: Final = {"m": "minutes", "h": "hours"}
_DAYS: Final = {"d": 1, "w": 7}


class Period(Struct, frozen=True):
    """`since` ≤ t < `until`. An `open` one lasts until now: what comes while it is read may be in it."""

    since: dt.datetime
    until: dt.datetime
    open: bool
    whole_days: bool

    def end(self, zone: dt.tzinfo) -> dt.datetime:
        """Until when to read: an open period's last day is read whole, for it holds nothing beyond now."""
        if not self.open:
            return self.until
        return midnight(self.until.astimezone(zone).date() + dt.timedelta(days=1), zone)

    def before(self, zone: dt.tzinfo) -> Period:
        """The period of the same length before.

        Of one that begins at midnight by the calendar, so that an unfinished day is compared with the same part of a
        day, also where clocks were changed between.
        """
        if not self.whole_days:
            return Period(self.since - (self.until - self.since), self.since, open=False, whole_days=False)
        first, last = self.since.astimezone(zone), self.until.astimezone(zone)
        days = (last.date() - first.date()).days + (last.time() != dt.time.min)
        shift = dt.timedelta(days=days)
        ends = dt.datetime.combine(last.date() - shift, last.time(), zone).astimezone(dt.UTC)
        return Period(midnight(first.date() - shift, zone), ends, open=False, whole_days=True)


def read(since: str | None, until: str | None, now: dt.datetime, zone: dt.tzinfo) -> Period:
    """24h and 90m before now to the minute; 30d and 4w, and dates, from midnight there; else an ISO time.

    Raises InvalidInput.
    """
    start, from_midnight = _moment(since or "24h", now, zone, "since")
    end = _moment(until, now, zone, "until")[0] if until else now
    if not start < end or end - start > _LONGEST:
        raise InvalidInput("`since` must lie before `until`, ten years at most.", param="since")
    return Period(start, end, open=not until, whole_days=from_midnight)


def whole(period: Period, oldest: dt.datetime, zone: dt.tzinfo) -> Period:
    """The same, with whole days where the log that would know of parts of them was archived, as before `oldest`."""

    def begins(moment: dt.datetime) -> dt.datetime:
        return midnight(moment.astimezone(zone).date(), zone) if moment < oldest else moment

    since, until = begins(period.since), period.until if period.open else begins(period.until)
    if until <= since:
        until = midnight(since.astimezone(zone).date() + dt.timedelta(days=1), zone)
    return Period(since, until, open=period.open, whole_days=period.whole_days)


def pin(period: Period) -> tuple[str, str, str]:
    """The period for a cursor."""
    return period.since.isoformat(), period.until.isoformat(), f"{period.open:d}{period.whole_days:d}"


def pinned(texts: Sequence[str], zone: dt.tzinfo) -> Period:
    """As a cursor has it; raises InvalidInput."""
    since, until = (_moment(text, dt.datetime.now(dt.UTC), zone, "cursor")[0] for text in texts[:2])
    return Period(since, until, open=texts[2][:1] == "1", whole_days=texts[2][1:] == "1")


def _moment(text: str, now: dt.datetime, zone: dt.tzinfo, field: str) -> tuple[dt.datetime, bool]:
    span = _SPAN.fullmatch(text)
    try:
        if span and span[2] in _SHORT:
            return now - dt.timedelta(**{_SHORT[span[2]]: int(span[1])}), False
        if span:
            day = now.astimezone(zone).date() - dt.timedelta(days=int(span[1]) * _DAYS[span[2]])
            return midnight(day, zone), True
        if _DAY.fullmatch(text):
            return midnight(dt.date.fromisoformat(text), zone), True
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(dt.UTC), False
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"`{field}` is no time: “{text[:40]}”.", hint="Use 15m, 24h, 30d, 2w, 2026-01-31 or 2026-01-31T12:00:00Z.",
            param=field,
        ) from None  # fmt: skip
