"""Limits and budgets as a request meets them: found by key, user, team, model, org and unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from scutum_server.infra.windows import Period
from scutum_server.leases.models import Meter, Unit

Row = Mapping[str, Any]
Place = tuple[str, ...]

_LIMITS: Final[dict[str, tuple[Unit, Period | None]]] = {
    "rpm": ("requests", "minute"),
    "rpd": ("requests", "day"),
    "burst": ("requests", "second"),
    "tpm": ("tokens", "minute"),
    "tpd": ("tokens", "day"),
    "concurrency": ("slots", None),
}
_WHOSE: Final = {
    "global": "of this gateway", "org": "of this organisation", "unit": "of this unit", "team": "of this team",
    "key": "of this key", "user": "of this user", "model": "of this model",
    "team+model": "of this team for this model",
}  # fmt: skip


class Rule(Struct, frozen=True):
    """One row: its quotas, and for a budget the output that requests without a maximum of their own may have."""

    meters: tuple[Meter, ...]
    output_tokens: int | None = None


class Rules:
    """All limits and budgets. `version` changes with each of them."""

    def __init__(self) -> None:
        self.version = 0
        self._places: dict[str, Place] = {}
        self._rules: dict[Place, dict[str, Rule]] = {}

    def __bool__(self) -> bool:
        return bool(self._places)

    def put(self, kind: str, rule_id: str, row: Row | None) -> None:
        """Takes over a row of `limits` or `budgets`; None deletes it."""
        self.version += 1
        place = self._places.pop(rule_id, None)
        if place is not None:
            del self._rules[place][rule_id]
            if not self._rules[place]:
                del self._rules[place]
        if row is None:
            return
        place = self._places[rule_id] = _place(row)
        self._rules.setdefault(place, {})[rule_id] = _limit(row) if kind == "limit" else _budget(row)

    def find(
        self, *, key: str, user: str | None, team: str | None, org: str | None, unit: str | None, model: str
    ) -> list[Rule]:
        """Every rule that a request is under."""
        places: list[Place] = [("global",), ("key", key), ("model", model)]
        places += [(scope, name) for scope, name in (("user", user), ("org", org), ("unit", unit)) if name]
        if team:
            places += [("team", team), ("team+model", team, model)]
        return [rule for place in places for rule in self._rules.get(place, {}).values()]


def _place(row: Row) -> Place:
    scope: str = row["scope"]
    if scope == "team+model":
        return (scope, row["team_id"], row["model"])
    column = {"global": None, "user": "user_name", "model": "model"}.get(scope, f"{scope}_id")
    return (scope,) if column is None else (scope, row[column])


def _limit(row: Row) -> Rule:
    return Rule(
        tuple(
            Meter(
                id=f"{row['id']}.{name}",
                unit=unit,
                period=period,
                capacity=row[name],
                zone=row["zone"],
                fail_open=row["on_failure"] == "open",
                whose=_WHOSE[row["scope"]],
            )
            for name, (unit, period) in _LIMITS.items()
            if row[name] is not None
        )
    )


def _budget(row: Row) -> Rule:
    meter = Meter(
        id=f"{row['id']}.{row['period']}",
        unit="money",
        period=row["period"],
        capacity=row["amount_nano_usd"],
        zone=row["zone"],
        fail_open=row["on_failure"] == "open",
        whose=_WHOSE[row["scope"]],
    )
    return Rule((meter,), row["output_tokens"])
