"""Budgets: whom they hold for, what is spent and reserved, what is left, and where they are heading."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, Face, age, count, money, plural, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Budget, UsageReport

SPARE = ("ID", "PERIOD", "FORECAST", "LEFT", "RENEWED")
"""What a narrow terminal does without, the first one first."""
_BAR = 10


def target(budget: Budget) -> str:
    """Whom it is about, in words: `team search`."""
    scope = budget["scope"]
    return "everything" if scope == "global" else f"{scope} {budget[scope]}"


def whose(budget: Budget) -> dict[str, str | None] | None:
    """The filter of a usage report of what the budget holds.

    None for a user's: the budget holds the keys of an owner, while reports go by the user that a request names.
    """
    match budget["scope"]:
        case "org":
            return {"org": budget["org_id"]}
        case "unit":
            return {"unit": budget["unit_id"]}
        case "team":
            return {"team": budget["team_id"]}
        case "key":
            return {"key": budget["key_id"]}
        case "user":
            return None
    return {}


def _percent(budget: Budget) -> int:
    amount = Decimal(budget["amount_usd"])
    return int(Decimal(budget["spent_usd"]) * 100 / amount) if amount else 100


def bar(budget: Budget, width: int = _BAR) -> str:
    """`######==..` with what is spent, reserved and free; something spent is seen, and so is something left."""
    amount = Decimal(budget["amount_usd"])
    if not amount:
        return "#" * width
    spent, held = Decimal(budget["spent_usd"]), Decimal(budget["reserved_usd"] or 0)
    room = width - 1 if Decimal(budget["left_usd"]) else width
    full = min(room, int(spent * width / amount) or (1 if spent else 0))
    taken = min(room - full, int(held * width / amount) or (1 if held else 0))
    return "#" * full + "=" * taken + "." * (width - full - taken)


def _used(budget: Budget, face: Face) -> str:
    del face
    return f"{_percent(budget):>3} % {bar(budget)}"


def _state(budget: Budget, face: Face) -> str:
    del face
    return f"{budget['state']}, refuses" if budget.get("refusing") else budget["state"]


def _forecast(budget: Budget, face: Face) -> str:
    del face
    coming = budget["forecast_usd"]
    return "too early" if coming is None else money(coming)


def _state_in_words(budget: Budget, face: Face) -> str:
    if budget.get("refusing"):
        return f"{budget['state']}; refuses what is left cannot pay for"
    return _state(budget, face)


def _forecast_in_words(budget: Budget, face: Face) -> str:
    if budget["forecast_usd"] is None:
        return "too early: it takes three whole days"
    text = f"{money(budget['forecast_usd'])} at the period's end"
    out = budget["runs_out_at"]
    if out is None:
        return f"{text}, within the budget"
    return f"{text} without the cap; the money is used up {age(out, face)}"


def _reserved(budget: Budget, face: Face) -> str:
    del face
    held = budget["reserved_usd"]
    return "unknown: Redis does not answer" if held is None else f"{money(held)} by running requests"


COLUMNS: list[Column[Budget]] = [
    Column("for", "FOR", lambda budget, _: target(budget), value=target),
    Column("period", "PERIOD"),
    Column("amount_usd", "BUDGET", lambda budget, _: money(budget["amount_usd"]), right=True),
    Column("spent_usd", "SPENT", lambda budget, _: money(budget["spent_usd"]), right=True),
    Column("left_usd", "LEFT", lambda budget, _: money(budget["left_usd"]), right=True),
    Column("used", "USED", _used, value=_percent),
    Column("state", "STATE", _state),
    Column("forecast_usd", "FORECAST", _forecast, right=True),
    Column("until", "RENEWED", lambda budget, face: age(budget["until"], face)),
    Column("id", "ID"),
    Column("scope", "SCOPE", extra=True),
    Column("org", "ORG", extra=True),
    Column("unit", "UNIT", extra=True),
    Column("team", "TEAM", extra=True),
    Column("key", "KEY", extra=True),
    Column("user", "USER", extra=True),
    Column("soft_percent", "SOFT FROM", extra=True),
    Column("reserved_usd", "RESERVED", right=True, extra=True),
    Column("refusing", "REFUSES", extra=True),
    Column("runs_out_at", "RUNS OUT", lambda budget, face: age(budget["runs_out_at"], face), extra=True),
]

DETAILS: list[Column[Budget]] = [
    Column("scope", "FOR", lambda budget, _: target(budget)),
    Column("id", "ID"),
    Column("period", "PERIOD"),
    Column("amount_usd", "BUDGET", lambda budget, _: money(budget["amount_usd"])),
    Column("used", "USED", lambda budget, _: f"{_percent(budget)} % {bar(budget, 20)}"),
    Column("state", "STATE", _state_in_words),
    Column("spent_usd", "SPENT", lambda budget, _: money(budget["spent_usd"])),
    Column("reserved_usd", "RESERVED", _reserved),
    Column("left_usd", "LEFT", lambda budget, _: money(budget["left_usd"])),
    Column("forecast_usd", "FORECAST", _forecast_in_words),
    Column("soft_percent", "SOFT FROM", lambda budget, _: f"{budget['soft_percent']} %"),
    Column("output_tokens", "OUTPUT WITHOUT A MAXIMUM", lambda budget, _: f"{count(budget['output_tokens'])} tokens"),
    Column("on_failure", "WITHOUT REDIS"),
    Column("since", "BEGAN", lambda budget, face: when(budget["since"], face)),
    Column("until", "RENEWED", lambda budget, face: when(budget["until"], face)),
    Column("time_zone", "TIME ZONE"),
    Column("created_at", "CREATED", lambda budget, face: when(budget["created_at"], face)),
]


def consumers(report: UsageReport) -> list[tuple[str, str]]:
    """What takes the money, dearest first: (`key of model`, `$1.20, 34 requests`); nothing where nothing was spent."""
    found: list[tuple[str, str]] = []
    items: Sequence[Any] = report["items"]
    for item in items:
        if Decimal(item["cost_usd"]):
            who = f"{item['key'] or NOTHING} with {item['model'] or NOTHING}"
            found.append((who, f"{money(item['cost_usd'])}, {plural(item['requests'], 'request')}"))
    return found
