"""Windows: without a gap, without an overlap, in the set time zone."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, strategies as st

from scutum_server.infra.windows import FOREVER, bounds

ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
MOMENTS = st.integers(1_000_000_000_000, 2_500_000_000_000)


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp() * 1000)


@given(period=st.sampled_from(["second", "minute", "day", "week", "month"]), zone=st.sampled_from(ZONES), now=MOMENTS)
def test_windows_follow_each_other(period: str, zone: str, now: int) -> None:
    start, end = bounds(period, zone, now)
    assert start <= now < end
    assert bounds(period, zone, start) == bounds(period, zone, end - 1) == (start, end)
    assert bounds(period, zone, end)[0] == end


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"),
    [
        ("minute", "UTC", "2026-11-21T04:15:42+00:00", "2026-11-21T04:15:00+00:00", "2026-11-21T04:16:00+00:00"),
        ("day", "Europe/Berlin", "2026-11-20T23:30:00+00:00", "2026-11-21T00:00:00+01:00", "2026-11-22T00:00:00+01:00"),
        ("day", "Europe/Berlin", "2026-03-29T12:00:00+00:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        # A day of 25 hours, one whose midnight does not exist, and a week with a change of the clock.
        ("day", "Europe/Berlin", "2026-10-25T20:00:00+00:00", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("day", "America/Sao_Paulo", "2018-11-04T12:00:00-02:00", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"),
        ("week", "America/New_York", "2026-11-01T12:00:00-05:00", "2026-10-26T00:00:00-04:00", "2026-11-02T00:00:00-05:00"),
        ("week", "UTC", "2026-11-21T04:00:00+00:00", "2026-11-16T00:00:00+00:00", "2026-11-23T00:00:00+00:00"),
        ("month", "Asia/Kolkata", "2026-11-30T18:30:00+00:00", "2026-12-01T00:00:00+05:30", "2027-01-01T00:00:00+05:30"),
    ],
)
def test_windows_begin_where_people_expect_them(period: str, zone: str, now: str, start: str, end: str) -> None:
    assert bounds(period, zone, at(now)) == (at(start), at(end))


def test_slots_have_one_window_and_an_unknown_zone_is_utc() -> None:
    assert bounds(None, "UTC", 5) == (0, FOREVER)
    assert bounds("day", "Mars/Olympus", 5) == bounds("day", "UTC", 5)
