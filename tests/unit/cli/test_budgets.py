"""Budgets as people see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from scutum_cli.render import budgets
from scutum_cli.render.columns import lines
from scutum_cli.render.text import Face

FACE = Face(datetime(2026, 11, 21, 12, tzinfo=UTC), UTC)


def budget(**fields: Any) -> Any:
    return {
        "id": "budget_1", "scope": "team", "team": "search", "team_id": "team_1", "period": "month", "amount_usd": "100",
        "spent_usd": "0", "reserved_usd": "0", "left_usd": "100", "forecast_usd": None, "runs_out_at": None, "state": "ok",
        "refusing": False, "soft_percent": 80, "output_tokens": 4096, "on_failure": "closed", "time_zone": "UTC",
        "since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z", "created_at": "2026-11-01T00:00:00Z",
    } | fields  # fmt: skip


@pytest.mark.parametrize(
    ("spent", "reserved", "left", "shown"),
    [
        ("0", "0", "100", ".........."),
        ("0.01", "0", "99.99", "#........."),
        ("45", "10", "45", "####=....."),
        ("99.9", "0", "0.1", "#########."),
        ("99.9", "0.1", "0", "#########="),
        ("100", "0", "0", "##########"),
        ("130", "5", "0", "##########"),
        ("0", None, "100", ".........."),
    ],
)
def test_the_bar_shows_what_is_spent_reserved_and_left(spent: str, reserved: str | None, left: str, shown: str) -> None:
    assert budgets.bar(budget(spent_usd=spent, reserved_usd=reserved, left_usd=left)) == shown


def test_a_budget_of_nothing_is_full() -> None:
    assert budgets.bar(budget(amount_usd="0", left_usd="0")) == "##########"


def said(**fields: Any) -> dict[str, str]:
    return dict(lines(budget(**fields), budgets.DETAILS, FACE))


def test_where_it_is_heading_is_said_in_words() -> None:
    assert said()["Forecast"].startswith("too early")
    assert said(forecast_usd="80")["Forecast"] == "$80.00 at the period's end, within the budget"
    out = said(forecast_usd="180", runs_out_at="2026-11-25T12:00:00Z")["Forecast"]
    assert out == "$180.00 at the period's end without the cap; the money is used up in 4 d"


def test_what_is_not_known_is_said() -> None:
    assert said(reserved_usd=None, refusing=None)["Reserved"] == "unknown: Redis does not answer"
    assert "refuses" in said(refusing=True)["State"]
    assert said(state="hard")["State"] == "hard"


def test_the_report_of_what_takes_it_is_about_the_same() -> None:
    assert budgets.whose(budget()) == {"team": "team_1"}
    assert budgets.whose(budget(scope="user", user="ann")) is None
    assert budgets.whose(budget(scope="global")) == {}
    items = [{"key": None, "model": "m", "cost_usd": "1.5", "requests": 1}, {"key": "k", "model": "s", "cost_usd": "0", "requests": 9}]
    report: Any = {"items": items}
    assert budgets.consumers(report) == [("- with m", "$1.50, 1 request")]
