"""When the windows of limits and budgets begin and end. Pure; times are whole milliseconds since the epoch."""

from __future__ import annotations

import datetime as dt
import logging
from functools import cache
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

log = logging.getLogger(__name__)

Period = Literal["second", "minute", "day", "week", "month"]
FOREVER: Final = 2**53
"""The end of a window that has none."""
_SHORT: Final = {"second": 1000, "minute": 60_000}


def bounds(period: Period | None, zone: str, now: int) -> tuple[int, int]:
    """Beginning and end of the window that `now` is in; the end belongs to the next one."""
    if period is None:
        return 0, FOREVER
    if period in _SHORT:
        size = _SHORT[period]
        start = now - now % size
        return start, start + size
    there = place(zone)
    day = dt.datetime.fromtimestamp(now / 1000, there).date()
    if period == "day":
        after = day + dt.timedelta(days=1)
    elif period == "week":
        day -= dt.timedelta(days=day.weekday())
        after = day + dt.timedelta(days=7)
    else:
        day = day.replace(day=1)
        after = (day + dt.timedelta(days=32)).replace(day=1)
    return _midnight(day, there), _midnight(after, there)


def _midnight(day: dt.date, zone: dt.tzinfo) -> int:
    return int(dt.datetime.combine(day, dt.time.min, zone).timestamp() * 1000)


@cache
def place(name: str) -> dt.tzinfo:
    """UTC for a name that this host does not know."""
    if name == "UTC":
        return dt.UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        log.warning("The time zone %r is not known on this host; UTC is taken", name)
        return dt.UTC
