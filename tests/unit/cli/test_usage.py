"""The usage report as people and programs get it."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from scutum_cli import export
from scutum_cli.errors import CliError
from scutum_cli.render import usage
from scutum_cli.render.text import Face

FACE = Face(datetime(2026, 11, 21, tzinfo=UTC), UTC)


def sums(**fields: Any) -> dict[str, Any]:
    return {"requests": 3, "errors": 1, "tokens_in": 5, "tokens_out": 7, "tokens_cached": 0, "cost_usd": "1.500000",
            "simulated": False, "requests_simulated": 0, "requests_unpriced": 0} | fields  # fmt: skip


def compared(before: str, requests: int, change: str, percent: float | None) -> dict[str, Any]:
    return {
        "before": {"requests": requests, "cost_usd": before},
        "change": {"requests": 1, "requests_percent": None, "cost_usd": change, "cost_percent": percent},
    }


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (sums(), "$1.50"),
        (sums(cost_usd="0.000000"), "$0"),
        (sums(cost_usd="0.000000", requests_unpriced=2), "price unknown"),
        (sums(cost_usd="0.000000", simulated=True), "$0 (simulated)"),
    ],
)
def test_no_money_says_why(row: dict[str, Any], said: str) -> None:
    assert usage.cost(row) == said


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (sums(**compared("1.000000", 4, "0.500000", 50.0)), "+$0.50 (+50 %)"),
        (sums(**compared("3.000000", 4, "-1.500000", -50.0)), "-$1.50 (-50 %)"),
        (sums(**compared("0.000000", 4, "1.500000", None)), "+$1.50"),
        (sums(**compared("0.000000", 0, "1.500000", None)), "new"),
        (sums(), "-"),
    ],
)
def test_a_change_is_told_only_against_something(row: dict[str, Any], said: str) -> None:
    assert usage.change(row) == said


def test_what_the_figures_do_not_tell_is_noted() -> None:
    period = {"since": "2026-10-01T00:00:00Z", "until": "2026-10-02T00:00:00Z", "complete": False}
    report: Any = {"total": sums(requests_unpriced=1, requests_simulated=2, simulated=True), "before": period}
    unpriced, simulated, against, short = usage.warnings(report, FACE)
    assert "1 request is unknown and counts as $0" in unpriced and "models update" in unpriced
    assert "2 requests went to the simulator" in simulated
    assert against == "Compared with 2026-10-01 00:00:00 UTC to 2026-10-02 00:00:00 UTC."
    assert "not complete" in short
    assert usage.warnings({"total": sums()}, FACE) == []  # type: ignore[typeddict-item]


def written(directory: Path, ending: str) -> Path:
    items = [{"team": "a,b", "team_id": "team_1", "day": "2026-11-20", **sums(cost_usd="123456789012.123456789")}]
    items[0] |= compared("1.000000", 4, "0.500000", 50.0)
    items.append({"team": None, "team_id": None, "day": "2026-11-21", **sums()})
    target = directory / f"report{ending}"
    fields = usage.fields(["team", "day"], trend=True)
    export.write(export.checked(str(target)), fields, usage.flat(items), {"items": items, "total": sums()})
    return target


def test_an_export_holds_every_figure_as_it_is(tmp_path: Path) -> None:
    with written(tmp_path, ".csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["team"], first["cost_usd"], first["simulated"]) == ("a,b", "123456789012.123456789", "false")
    assert (first["change_cost_percent"], second["team"], second["before_requests"]) == ("50.0", "", "")
    table = parquet.read_table(written(tmp_path, ".parquet")).to_pylist()
    assert table[0]["cost_usd"] == Decimal("123456789012.123456789") and table[0]["day"] == date(2026, 11, 20)
    assert table[1]["team_id"] is None and table[1]["requests"] == 3
    assert json.loads(written(tmp_path, ".json").read_text())["total"]["requests"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.csv", "report.json", "report.parquet"]


def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "report.parquet"
    target.write_text("last month's")
    with pytest.raises(ValueError, match="never"):
        export.write(target, [export.Field("day", "day")], [{"day": "never"}], {})
    assert target.read_text() == "last month's" and list(tmp_path.iterdir()) == [target]
    for path, said in (("report.xlsx", "ends in .csv"), ("nowhere/report.csv", "no directory")):
        with pytest.raises(CliError, match=said):
            export.checked(str(tmp_path / path))
