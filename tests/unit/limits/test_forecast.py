"""What a period will have cost at its end."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from scutum_server.limits.forecast import forecast

UTC = dt.UTC
NOON = dt.datetime(2026, 11, 18, 12, tzinfo=UTC)
"""A Wednesday."""
DECEMBER = dt.datetime(2026, 12, 1, tzinfo=UTC)


def days(count: int, *, weekdays: int = 100, weekend: int = 100) -> dict[dt.date, int]:
    found = {}
    for number in range(1, count + 1):
        day = NOON.date() - dt.timedelta(days=number)
        found[day] = weekend if day.weekday() > 4 else weekdays
    return {day: cost for day, cost in found.items() if cost}


def test_less_than_three_whole_days_tell_nothing() -> None:
    assert forecast({}, 5, 100, NOON, DECEMBER, UTC) is None
    assert forecast(days(2) | {NOON.date(): 50}, 50, 100, NOON, DECEMBER, UTC) is None
    assert forecast(days(3), 50, 100, NOON, DECEMBER, UTC) is not None


def test_few_days_are_averaged_and_of_today_the_rest_counts() -> None:
    found = forecast(days(4), 1000, 10**9, NOON, DECEMBER, UTC)
    assert found is not None and found.nano_usd == 1000 + 50 + 12 * 100
    assert found.runs_out is None


def test_two_weeks_tell_weekdays_from_weekends() -> None:
    found = forecast(days(20, weekend=0), 0, 10**9, NOON, DECEMBER, UTC)
    assert found is not None and found.nano_usd == 50 + 8 * 100, "the rest of Wednesday, and eight working days"
    week = forecast(days(40, weekend=7), 0, 10**9, NOON, NOON + dt.timedelta(days=4.5), UTC)
    assert week is not None and week.nano_usd == 50 + 2 * 100 + 2 * 7


def test_days_without_spending_count() -> None:
    quiet = {NOON.date() - dt.timedelta(days=10): 1000}
    found = forecast(quiet, 0, 10**9, NOON, DECEMBER, UTC)
    assert found is not None and found.nano_usd == 50 + 12 * 100


def test_the_money_runs_out_within_a_day() -> None:
    found = forecast(days(5), 1000, 1150, NOON, DECEMBER, UTC)
    assert found is not None and found.runs_out == dt.datetime(2026, 11, 20, tzinfo=UTC)
    spent = forecast(days(5), 1000, 1000, NOON, DECEMBER, UTC)
    assert spent is not None and spent.runs_out == NOON


@given(
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "America/Havana", "Australia/Lord_Howe"]),
    now=st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2028, 1, 1), timezones=st.just(UTC)),
    length=st.integers(0, 31 * 24 * 60),
    costs=st.lists(st.integers(0, 10**15), min_size=3, max_size=40),
    amount=st.integers(0, 10**17),
)
def test_a_forecast_ends_and_is_never_below_what_is_spent(
    zone: str, now: dt.datetime, length: int, costs: list[int], amount: int
) -> None:
    place, until = ZoneInfo(zone), now + dt.timedelta(minutes=length)
    today = now.astimezone(place).date()
    daily = {today - dt.timedelta(days=number): cost for number, cost in enumerate(costs)}
    found = forecast(daily, 7, amount, now, until, place)
    if found is not None:
        assert found.nano_usd >= 7
        assert found.runs_out is None or now <= found.runs_out <= until or amount <= 7
