"""Which table answers for which part of a report's window. Pure."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from msgspec import Struct

_HOUR = dt.timedelta(hours=1)
_DAY = dt.timedelta(days=1)

Span = tuple[dt.datetime, dt.datetime]
"""From the first until before the second instant."""


class Part(Struct, frozen=True):
    """Whole hours to read from the hourly rollups, and what is left to read from the log."""

    hours: tuple[Span, ...] = ()
    log: tuple[Span, ...] = ()


class Cover(Struct, frozen=True):
    """`days` are read from the tables by the day, for the orgs whose days are those of the window's zone.

    `home` is what these orgs need beside them, `away` the whole window for all other orgs.
    """

    days: tuple[dt.date, dt.date] | None
    home: Part
    away: Part


def midnight(day: dt.date, zone: dt.tzinfo) -> dt.datetime:
    """The instant at which a day begins there, in UTC; where clocks jump over midnight, the instant of the jump."""
    return dt.datetime.combine(day, dt.time.min, zone).astimezone(dt.UTC)


def place(zone: str) -> dt.tzinfo:
    """Raises LookupError or ValueError for a name that is no time zone."""
    return dt.UTC if zone == "UTC" else ZoneInfo(zone)


def cover(since: dt.datetime, until: dt.datetime, zone: dt.tzinfo, *, hours: bool, by_day: bool) -> Cover:
    """`hours` says whether the hourly rollups know what is asked for; `by_day` that days must be told apart."""
    first, last = since.astimezone(zone).date(), until.astimezone(zone).date()
    if midnight(first, zone) < since:
        first += _DAY
    usable = hours and not (by_day and _split_hours(since, until, zone))
    away = _part([(since, until)], hours=usable)
    if first >= last:
        return Cover(None, away, away)
    edges = [(since, midnight(first, zone)), (midnight(last, zone), until)]
    return Cover((first, last), _part(edges, hours=usable), away)


def _split_hours(since: dt.datetime, until: dt.datetime, zone: dt.tzinfo) -> bool:
    """Whether some day of the window begins within an hour of UTC."""
    day = since.astimezone(zone).date()
    while (begins := midnight(day, zone)) < until:
        if begins != _floor(begins):
            return True
        day += _DAY
    return False


def _part(spans: list[Span], *, hours: bool) -> Part:
    whole: list[Span] = []
    rest: list[Span] = []
    for since, until in spans:
        first, last = _floor(since + _HOUR - dt.timedelta(microseconds=1)), _floor(until)
        if hours and first < last:
            whole.append((first, last))
            rest += [(since, first), (last, until)]
        else:
            rest.append((since, until))
    return Part(tuple(whole), tuple(span for span in rest if span[0] < span[1]))


def _floor(moment: dt.datetime) -> dt.datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
