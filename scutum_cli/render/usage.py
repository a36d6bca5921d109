"""The usage report: requests, tokens and cost per group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from scutum_cli.export import Field
from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, Face, clock, count, money, plural

if TYPE_CHECKING:
    from scutum_cli.client.types import UsageReport

DIMENSIONS = ("org", "unit", "team", "key", "user", "model", "provider", "route", "day")
SPARE = ("ERRORS", "TOKENS OUT", "TOKENS IN", "BEFORE")
"""What a narrow terminal does without, the first one first."""
_NAMED = {"org", "unit", "team", "key"}


def cost(row: Mapping[str, Any]) -> str:
    """Money with its currency. $0 says why: only the simulator answered, or nobody knows the price."""
    text = money(row["cost_usd"])
    if text != "$0":
        return text
    if row["requests_unpriced"]:
        return "price unknown"
    return f"{text} (simulated)" if row["simulated"] else text


def change(row: Mapping[str, Any]) -> str:
    """`+$1.20 (+33.3 %)` against the period before; `new` where it had nothing."""
    change = row.get("change")
    if change is None:
        return NOTHING
    amount = Decimal(change["cost_usd"])
    if not row["before"]["requests"]:
        return "new" if row["requests"] else NOTHING
    sign = "+" if amount > 0 else "-" if amount < 0 else ""
    percent = change["cost_percent"]
    return f"{sign}{money(abs(amount))}" + ("" if percent is None else f" ({f'{percent:+,.1f}'.removesuffix('.0')} %)")


def columns(by: Sequence[str], *, trend: bool = False) -> list[Column[Any]]:
    """The columns of a report by these dimensions."""
    dimensions: list[Column[Any]] = [Column(name, name.upper()) for name in by]
    compared: list[Column[Any]] = [
        Column("before", "BEFORE", lambda row, _: _before(row), right=True, value=_before_value),
        Column("change", "CHANGE", lambda row, _: change(row), right=True, value=_change_value),
    ]
    return [
        *dimensions,
        Column("requests", "REQUESTS", lambda row, _: count(row["requests"]), right=True),
        Column("errors", "ERRORS", lambda row, _: count(row["errors"]), right=True),
        Column("tokens_in", "TOKENS IN", lambda row, _: count(row["tokens_in"]), right=True),
        Column("tokens_out", "TOKENS OUT", lambda row, _: count(row["tokens_out"]), right=True),
        Column("tokens_cached", "CACHED", lambda row, _: count(row["tokens_cached"]), right=True, extra=True),
        Column("cost_usd", "COST", lambda row, _: cost(row), right=True),
        *(compared if trend else ()),
        Column("simulated", "SIMULATED", extra=True),
        Column("requests_simulated", "SIMULATED REQUESTS", right=True, extra=True),
        Column("requests_unpriced", "UNPRICED REQUESTS", right=True, extra=True),
    ]


def total_row(report: UsageReport, shown: Sequence[Column[Any]], face: Face) -> list[str]:
    """The table's last row: the sums over all groups, also those that are not shown."""
    cells = [column.cell(report["total"], face) for column in shown if not column.extra]
    named = sum(1 for column in shown if column.name in DIMENSIONS)
    return ["TOTAL", *[""] * (named - 1), *cells[named:]]


def fields(by: Sequence[str], *, trend: bool) -> list[Field]:
    """The columns of an export."""
    named = [(name, Field(name, "day" if name == "day" else "text")) for name in by]
    dimensions = [each for name, field in named for each in (
        (field, Field(f"{name}_id", "text")) if name in _NAMED else (field,)
    )]  # fmt: skip
    whole = ("requests", "errors", "tokens_in", "tokens_out", "tokens_cached")
    compared = (
        Field("before_requests", "whole"), Field("before_cost_usd", "money"), Field("change_requests", "whole"),
        Field("change_requests_percent", "number"), Field("change_cost_usd", "money"),
        Field("change_cost_percent", "number"),
    )  # fmt: skip
    return [
        *dimensions,
        *(Field(name, "whole") for name in whole),
        Field("cost_usd", "money"),
        Field("simulated", "flag"),
        Field("requests_simulated", "whole"),
        Field("requests_unpriced", "whole"),
        *(compared if trend else ()),
    ]


def flat(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each item with what it was before, and the change, as fields of their own."""
    return [
        dict(item)
        | {f"{part}_{name}": value for part in ("before", "change") for name, value in (item.get(part) or {}).items()}
        for item in items
    ]


def summary(report: UsageReport, face: Face) -> str:
    """One line: the window and its totals."""
    total = report["total"]
    window = f"{clock(report['since'], face)} to {clock(report['until'], face)}"
    tokens = f"{count(total['tokens_in'])} tokens in, {count(total['tokens_out'])} out"
    return (
        f"{window}: {plural(total['requests'], 'request')}, {plural(total['errors'], 'error')}, {tokens}, {cost(total)}"
    )


def warnings(report: UsageReport, face: Face) -> list[str]:
    """What the figures do not tell by themselves."""
    total, said = report["total"], []
    if total["requests_unpriced"]:
        said.append(
            f"note: the price of {plural(total['requests_unpriced'], 'request')} is unknown and counts as $0. "
            "Which: scutum usage --by model. Give one: scutum models update MODEL --price IN,OUT"
        )
    if total["requests_simulated"] and total["cost_usd"].strip("0.") != "":
        said.append(
            f"note: {plural(total['requests_simulated'], 'request')} went to the simulator, which costs nothing."
        )
    before = report.get("before")
    if before is not None:
        window = f"{clock(before['since'], face)} to {clock(before['until'], face)}"
        said.append(f"Compared with {window}.")
        if not before["complete"]:
            said.append("note: that period is not complete: nothing was recorded at its beginning yet.")
    return said


def _before(row: Mapping[str, Any]) -> str:
    before = row.get("before")
    return NOTHING if before is None or not before["requests"] else money(before["cost_usd"])


def _before_value(row: Mapping[str, Any]) -> Any:
    return (row.get("before") or {}).get("cost_usd")


def _change_value(row: Mapping[str, Any]) -> Any:
    return (row.get("change") or {}).get("cost_usd")
