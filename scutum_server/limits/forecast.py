"""What a budget's period will have cost at its end, and when its money runs out. Pure; money is in nano-USD.

Each day to come is expected to cost the mean of its weekday over the last four weeks, once two of them are recorded,
and until then the mean of the recorded days: the seasonal and the plain average method of Hyndman and Athanasopoulos,
"Forecasting: Principles and Practice", 3rd edition, chapter 5.2, averaged over the seasons. Of today counts the part
that is left. The forecast is what is spent and the sum of these; there is none before three whole days are recorded.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

WEEKS: Final = 4
LEAST_DAYS: Final = 3
SEASONAL_DAYS: Final = 14
_DAY: Final = dt.timedelta(days=1)


class Forecast(Struct, frozen=True):
    """`runs_out` is when `amount` is reached, if that is within the period."""

    nano_usd: int
    runs_out: dt.datetime | None


def forecast(
    daily: Mapping[dt.date, int], spent: int, amount: int, now: dt.datetime, until: dt.datetime, zone: dt.tzinfo
) -> Forecast | None:
    """`daily` is what each day has cost, without those that cost nothing; None when it tells too little."""
    today = now.astimezone(zone).date()
    oldest = min((day for day in daily if day < today), default=today)
    first = max(oldest, today - WEEKS * 7 * _DAY)
    days = [first + number * _DAY for number in range((today - first).days)]
    if len(days) < LEAST_DAYS:
        return None
    total, at, day = spent, now, today
    runs_out = now if spent >= amount else None
    while at < until:
        begins, ends = _midnight(day, zone), min(_midnight(day + _DAY, zone), until)
        alike = [each for each in days if each.weekday() == day.weekday()] if len(days) >= SEASONAL_DAYS else days
        cost = sum(daily.get(each, 0) for each in alike) / len(alike) * ((ends - at) / max(ends - begins, ends - at))
        if runs_out is None and cost and total + cost >= amount:
            runs_out = at + (ends - at) * ((amount - total) / cost)
        total, at, day = total + round(cost), ends, day + _DAY
    return Forecast(total, runs_out)


def _midnight(day: dt.date, zone: dt.tzinfo) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min, zone).astimezone(dt.UTC)
