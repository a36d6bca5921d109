"""Lists are filtered, sorted, cut and picked as the options say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scutum_cli.errors import CliError
from scutum_cli.options import View
from scutum_cli.render.columns import Column, arrange, lines
from scutum_cli.render.text import Face

FACE = Face(datetime(2026, 1, 1, tzinfo=UTC), UTC)
COLUMNS = [
    Column("name", "NAME"),
    Column("cost", "COST", lambda item, _: f"${item['cost']}", right=True),
    Column("models", "MODELS", lambda item, _: ", ".join(item["models"])),
    Column("live", "LIVE"),
    Column("note", "NOTE", extra=True),
]
ITEMS = [
    {"name": "b", "cost": "10.5", "models": ["x", "y"], "live": True, "note": None},
    {"name": "A", "cost": "9", "models": ["y"], "live": False, "note": "n"},
    {"name": "c", "cost": "100", "models": [], "live": True, "note": ""},
]


def names(view: View) -> list[str]:
    return [item["name"] for item in arrange(ITEMS, COLUMNS, view, FACE).items]


def test_a_table_shows_all_but_the_extra_columns() -> None:
    table = arrange(ITEMS, COLUMNS, View(), FACE)
    assert table.headers == ["NAME", "COST", "MODELS", "LIVE"]
    assert table.rows[0] == ["b", "$10.5", "x, y", "yes"]
    assert table.raw[0] == ["b", "10.5", ["x", "y"], True]
    assert table.right == {"COST"}


def test_columns_are_picked_in_the_order_asked_for() -> None:
    table = arrange(ITEMS, COLUMNS, View(columns=["note", "name"]), FACE)
    assert table.headers == ["NOTE", "NAME"]
    assert [row[0] for row in table.rows] == ["-", "n", "-"]


def test_sorting_knows_numbers_from_words() -> None:
    assert names(View(sort="cost")) == ["A", "b", "c"]
    assert names(View(sort="cost", descending=True)) == ["c", "b", "A"]
    assert names(View(sort="name")) == ["A", "b", "c"]


def test_filters_match_values_parts_of_lists_and_what_is_shown() -> None:
    assert names(View(filters=[("models", "y")])) == ["b", "A"]
    assert names(View(filters=[("live", "yes"), ("cost", "$100")])) == ["c"]
    assert names(View(filters=[("live", "true")])) == ["b", "c"]


def test_a_limit_cuts_after_sorting() -> None:
    assert names(View(sort="cost", limit=1)) == ["A"]
    assert names(View(sort="cost", limit=1, everything=True)) == ["A", "b", "c"]


def test_what_must_be_fetched() -> None:
    assert View().to_fetch == 100
    assert View(limit=3).to_fetch == 3
    assert View(limit=3, sort="name").to_fetch is None
    assert View(everything=True).to_fetch is None


@pytest.mark.parametrize("view", [View(sort="nope"), View(columns=["nope"]), View(filters=[("nope", "1")])])
def test_an_unknown_column_is_an_error_that_names_the_known_ones(view: View) -> None:
    with pytest.raises(CliError) as caught:
        arrange(ITEMS, COLUMNS, view, FACE)
    assert caught.value.exit_code == 2
    assert "name, cost, models, live, note" in (caught.value.hint or "")


def test_details_are_lines() -> None:
    assert lines(ITEMS[0], COLUMNS[:2], FACE) == [("Name", "b"), ("Cost", "$10.5")]


def test_programs_get_what_a_column_computes_from_several_fields() -> None:
    whole = Column("whole", "WHOLE", lambda item, _: f"{item['name']}!", value=lambda item: item["name"] + item["cost"])
    table = arrange(ITEMS, [whole], View(filters=[("whole", "b10.5")]), FACE)
    assert (table.rows, table.raw) == ([["b!"]], [["b10.5"]])
