"""Times as callers say them."""

from __future__ import annotations

import datetime as dt
import re

from scutum_server.errors import InvalidInput

_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_moment(text: str, now: dt.datetime, field: str) -> dt.datetime:
    """A span before `now` (15m, 24h, 30d, 2w), or an ISO time, in UTC unless it says otherwise; raises InvalidInput."""
    span = _SPAN.fullmatch(text)
    try:
        if span:
            return now - dt.timedelta(**{_UNITS[span[2]]: int(span[1])})
        moment = dt.datetime.fromisoformat(text)
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"`{field}` is no time: “{text[:40]}”.", hint="Use 15m, 24h, 30d, 2w or 2026-01-31T12:00:00Z.", param=field
        ) from None
