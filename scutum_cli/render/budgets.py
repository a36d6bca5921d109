"""Budgets: whom they hold for, what is spent and what is left."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from scutum_cli.render.columns import Column
from scutum_cli.render.text import Face, age, count, money, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Budget


def target(budget: Budget) -> str:
    """Whom it is about, in words: `team search`."""
    scope = budget["scope"]
    return "everything" if scope == "global" else f"{scope} {budget[scope]}"


def _percent(budget: Budget) -> int:
    amount = Decimal(budget["amount_usd"])
    return round(Decimal(budget["spent_usd"]) * 100 / amount) if amount else 100


def _used(budget: Budget, face: Face) -> str:
    del face
    return f"{_percent(budget)} %"


_MONEY: list[Column[Budget]] = [
    Column("amount_usd", "BUDGET", lambda budget, _: money(budget["amount_usd"]), right=True),
    Column("spent_usd", "SPENT", lambda budget, _: money(budget["spent_usd"]), right=True),
    Column("left_usd", "LEFT", lambda budget, _: money(budget["left_usd"]), right=True),
]

COLUMNS: list[Column[Budget]] = [
    Column("for", "FOR", lambda budget, _: target(budget), value=target),
    Column("period", "PERIOD"),
    *_MONEY,
    Column("used", "USED", _used, right=True, value=_percent),
    Column("state", "STATE"),
    Column("until", "RENEWED", lambda budget, face: age(budget["until"], face)),
    Column("id", "ID"),
    Column("scope", "SCOPE", extra=True),
    Column("org", "ORG", extra=True),
    Column("unit", "UNIT", extra=True),
    Column("team", "TEAM", extra=True),
    Column("key", "KEY", extra=True),
    Column("user", "USER", extra=True),
    Column("soft_percent", "SOFT FROM", extra=True),
]

DETAILS: list[Column[Budget]] = [
    Column("scope", "FOR", lambda budget, _: target(budget)),
    Column("id", "ID"),
    Column("period", "PERIOD"),
    *_MONEY,
    Column("used", "USED", _used),
    Column("state", "STATE"),
    Column("soft_percent", "SOFT FROM", lambda budget, _: f"{budget['soft_percent']} %"),
    Column("output_tokens", "OUTPUT WITHOUT A MAXIMUM", lambda budget, _: f"{count(budget['output_tokens'])} tokens"),
    Column("on_failure", "WITHOUT REDIS"),
    Column("since", "BEGAN", lambda budget, face: when(budget["since"], face)),
    Column("until", "RENEWED", lambda budget, face: when(budget["until"], face)),
    Column("created_at", "CREATED", lambda budget, face: when(budget["created_at"], face)),
]
