"""How values are said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from scutum_cli.render import text
from scutum_cli.render.text import Face

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
FACE = Face(NOW, UTC)


@pytest.mark.parametrize(
    ("delta", "said"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=-45), "45 s ago"),
        (timedelta(minutes=-3, seconds=-59), "3 m ago"),
        (timedelta(hours=-2), "2 h ago"),
        (timedelta(days=-400), "400 d ago"),
        (timedelta(days=30, seconds=-1), "in 30 d"),
        (timedelta(minutes=10), "in 10 m"),
        (timedelta(seconds=5), "in 5 s"),
    ],
)
def test_ages_are_said_as_people_do(delta: timedelta, said: str) -> None:
    assert text.age((NOW + delta).isoformat(), FACE) == said


def test_no_time_is_a_dash() -> None:
    assert text.age(None, FACE) == text.clock(None, FACE) == text.when(None, FACE) == "-"


def test_times_are_told_in_the_zone_and_name_it() -> None:
    berlin = Face(NOW, timezone(timedelta(hours=1), "CET"))
    assert text.clock("2026-11-21T11:57:00.5Z", berlin) == "2026-11-21 12:57:00 CET"
    assert text.when("2026-11-21T11:57:00Z", FACE) == "2026-11-21 11:57:00 UTC, 3 m ago"


@pytest.mark.parametrize(
    ("usd", "said"),
    [
        ("0", "$0"),
        ("0.000000", "$0"),
        ("0.001234", "$0.0012"),
        ("0.0009996", "$0.001"),
        ("0.00000040", "$0.0000004"),
        ("0.01", "$0.01"),
        ("1.005", "$1.00"),
        ("12345.678", "$12,345.68"),
    ],
)
def test_money_has_its_currency_and_two_digits_that_count(usd: str, said: str) -> None:
    assert text.money(usd) == said


def test_prices_are_said_per_million_tokens() -> None:
    assert text.per_million(250) == "$0.25"
    assert text.per_million(None) == "-"


def test_counts_and_plurals() -> None:
    assert text.plural(1, "request") == "1 request"
    assert text.plural(12345, "request") == "12,345 requests"
    assert text.listed(None, "all") == "all"
