"""For how long rows stay, and when a night's work is due."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from scutum_server.archives.models import Retention, due_at, retention
from scutum_server.worker.jobs import last_due

BERLIN = ZoneInfo("Europe/Berlin")
UTC = dt.UTC


@pytest.mark.parametrize(
    ("licensed", "confirmed", "wanted", "enterprise", "days", "to_confirm"),
    [
        (30, None, None, False, 30, None),
        (90, 30, None, False, 90, None),
        (30, 365, None, False, 365, 30),  # a lapsed licence shortens nothing by itself
        (30, 30, None, False, 30, None),
        (365, 365, 60, False, 60, None),
        (90, 90, 400, False, 90, None),  # the licence gives no more
        (30, 365, 200, False, 200, 30),
        (2557, 365, 60, True, 2557, None),  # Enterprise keeps its own
    ],
)
def test_what_is_in_force(
    licensed: int, confirmed: int | None, wanted: int | None, enterprise: bool, days: int, to_confirm: int | None
) -> None:
    found: Retention = retention(licensed=licensed, confirmed=confirmed, wanted=wanted, enterprise=enterprise)
    assert (found.days, found.to_confirm) == (days, to_confirm)


def test_a_month_is_due_when_its_last_row_is_old_enough() -> None:
    assert due_at(dt.date(2026, 12, 1), 30) == dt.datetime(2027, 1, 31, tzinfo=UTC)
    assert due_at(dt.date(2027, 2, 1), 30) == dt.datetime(2027, 3, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-21T03:17:00+01:00", "2026-11-21T03:17:00+01:00"),
        ("2026-11-21T03:16:59+01:00", "2026-11-20T03:17:00+01:00"),
        ("2026-07-02T00:10:00+02:00", "2026-07-01T03:17:00+02:00"),
        ("2026-03-29T12:00:00+02:00", "2026-03-29T03:17:00+02:00"),  # an hour was left out before
        ("2026-10-25T12:00:00+01:00", "2026-10-25T03:17:00+01:00"),  # an hour came twice before
    ],
)
def test_the_night_is_that_of_the_local_clocks(now: str, due: str) -> None:
    assert last_due("03:17", dt.datetime.fromisoformat(now), BERLIN) == dt.datetime.fromisoformat(due)


def test_a_time_that_is_skipped_or_comes_twice_is_due_once_a_day() -> None:
    for day in (dt.date(2026, 3, 29), dt.date(2026, 10, 25)):
        start = dt.datetime(day.year, day.month, day.day, tzinfo=BERLIN).astimezone(UTC)
        seen = {last_due("02:30", start + dt.timedelta(minutes=minute), BERLIN) for minute in range(-60, 26 * 60)}
        of_that_day = [moment for moment in seen if moment.astimezone(BERLIN).date() == day]
        assert len(of_that_day) == 1, of_that_day


def test_without_a_zone_the_hosts_own_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert last_due("03:17", dt.datetime(2026, 5, 5, 0, 0, tzinfo=UTC)) == dt.datetime(2026, 5, 4, 21, 47, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
