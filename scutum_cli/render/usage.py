"""The usage report: requests, tokens and cost per group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scutum_cli.render.columns import Column
from scutum_cli.render.text import Face, clock, count, money, plural

if TYPE_CHECKING:
    from scutum_cli.client.types import UsageReport, UsageTotal

DIMENSIONS = ("model", "team", "key", "provider")


def cost(row: UsageTotal) -> str:
    """Money with its currency; what only the simulator answered says so."""
    text = money(row["cost_usd"])
    return f"{text} (simulated)" if row["simulated"] and text == "$0" else text


def columns(by: Sequence[str]) -> list[Column[Any]]:
    """The columns of a report by these dimensions."""
    dimensions: list[Column[Any]] = [Column(name, name.upper()) for name in by]
    return [
        *dimensions,
        Column("requests", "REQUESTS", lambda row, _: count(row["requests"]), right=True),
        Column("errors", "ERRORS", lambda row, _: count(row["errors"]), right=True),
        Column("tokens_in", "TOKENS IN", lambda row, _: count(row["tokens_in"]), right=True),
        Column("tokens_out", "TOKENS OUT", lambda row, _: count(row["tokens_out"]), right=True),
        Column("tokens_cached", "CACHED", lambda row, _: count(row["tokens_cached"]), right=True, extra=True),
        Column("cost_usd", "COST", lambda row, _: cost(row), right=True),
        Column("simulated", "SIMULATED", extra=True),
    ]


def summary(report: UsageReport, face: Face) -> str:
    """One line: the window and its totals."""
    total = report["total"]
    window = f"{clock(report['since'], face)} to {clock(report['until'], face)}"
    tokens = f"{count(total['tokens_in'])} tokens in, {count(total['tokens_out'])} out"
    return (
        f"{window}: {plural(total['requests'], 'request')}, {plural(total['errors'], 'error')}, {tokens}, {cost(total)}"
    )
