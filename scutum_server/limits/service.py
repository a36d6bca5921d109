"""The rules of limits and budgets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from scutum_server.errors import Forbidden
from scutum_server.infra import refs
from scutum_server.infra.changes import Changes, plain
from scutum_server.infra.ids import new_id
from scutum_server.infra.listing import Ask
from scutum_server.infra.paging import Page
from scutum_server.infra.windows import bounds, place
from scutum_server.limits.forecast import WEEKS, forecast
from scutum_server.limits.models import (
    RATES,
    AlreadyLimited,
    BadField,
    Budget,
    BudgetNotFound,
    BudgetStatus,
    Limit,
    LimitNotFound,
    TargetNotFound,
)
from scutum_server.limits.store import LimitStore

HISTORY_DAYS = WEEKS * 7
MAX_NANO = 9_000_000_000_000_000
_NANO = 1_000_000_000
_TARGETS = {
    "global": (), "org": ("org",), "unit": ("unit",), "team": ("team",), "key": ("key",), "user": ("user",),
    "model": ("model",), "team+model": ("team", "model"),
}  # fmt: skip
"""The fields that say whom a scope is about."""


def nano_usd(text: str) -> int:
    """A decimal number of US dollars as nano-USD; raises BadField."""
    try:
        amount = Decimal(text) * _NANO
        exact = amount.is_finite() and amount == int(amount) and 0 <= amount <= MAX_NANO
    except (InvalidOperation, ValueError, OverflowError):
        exact = False
    if not exact:
        raise BadField("amount_usd is a number of US dollars from 0 to 9000000, such as 25.50.", param="amount_usd")
    return int(amount)


async def _target(store: LimitStore, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that say whom the row is about; raises BadField or TargetNotFound."""
    scope = fields["scope"]
    wanted = _TARGETS[scope]
    for name in ("org", "unit", "team", "key", "user", "model"):
        if (fields.get(name) is not None) != (name in wanted):
            said = f"needs {name}" if name in wanted else f"takes no {name}"
            raise BadField(f"The scope {scope} {said}.", param=name)
    columns: dict[str, Any] = dict.fromkeys(("org_id", "unit_id", "team_id", "key_id", "user", "model"))
    for name in wanted:
        value = fields[name]
        if name == "user":
            columns["user"] = value
        elif name == "model":
            if not await store.has_model(value):
                raise TargetNotFound(f"There is no model “{value}”.", param=name, hint="See: scutum models list")
            columns["model"] = value
        else:
            found = await _find(store, name, value)
            columns["org_id"] = await store.org_of(name, found)
            if columns["org_id"] is None:
                raise _missing(name, value)
            columns[f"{name}_id"] = found
    if store.bound and columns["org_id"] is None:
        raise Forbidden(
            f"The scope {scope} is about all orgs, and this session is bound to one.",
            hint="Ask somebody whose account is for the whole install.",
        )
    return columns


def _missing(kind: str, ref: str) -> TargetNotFound:
    return TargetNotFound(f"There is no {kind} “{ref}”.", param=kind, hint=f"See: scutum {kind}s list")


async def _find(store: LimitStore, kind: str, ref: str) -> str:
    """The id of the org, unit, team or key that `ref` means; raises TargetNotFound or AmbiguousRef."""
    ref = refs.canonical(ref)
    return refs.choose(ref, await store.candidates(kind, ref), _missing(kind, ref))


async def _resolved(store: LimitStore, ask: Ask, kinds: tuple[str, ...]) -> Ask:
    """The same with ids for what these filters name."""
    found = {kind: await _find(store, kind, ask.filters[kind]) for kind in kinds if kind in ask.filters}
    return msgspec.structs.replace(ask, filters={**ask.filters, **found})


class LimitService:
    def __init__(self, store: LimitStore, changes: Changes) -> None:
        self._store = store
        self._changes = changes

    async def page(self, ask: Ask) -> Page[Limit]:
        """Those for a team or a key are asked for by its id or name."""
        return await self._store.limits(await _resolved(self._store, ask, ("team", "key")))

    async def get(self, ref: str) -> Limit:
        """By id or short form; raises LimitNotFound or AmbiguousRef."""
        missing = LimitNotFound(f"There is no limit “{ref}”.", hint="See: scutum limits list")
        found = await self._store.limit(refs.choose(ref, await self._store.candidates("limit", ref), missing))
        if found is None:
            raise missing
        return found

    async def create(self, fields: Mapping[str, Any]) -> Limit:
        """One limit for a target; raises AlreadyLimited when it has one."""
        _some_rate({name: fields.get(name) for name in RATES})
        columns = await _target(self._store, fields)
        columns.pop("unit_id")
        limit_id = new_id("limit")
        columns |= {name: fields.get(name) for name in RATES} | {"scope": fields["scope"]}
        if not await self._store.insert_limit(id=limit_id, on_failure=fields["on_failure"], **columns):
            raise AlreadyLimited(
                "There is a limit for exactly this already.",
                hint="Find it with scutum limits list, and change it: scutum limits update ID",
            )
        made = await self.get(limit_id)
        self._changes.note("limit.create", "limit", made.id, org_id=made.org_id, after=plain(made))
        return made

    async def update(self, ref: str, fields: Mapping[str, Any]) -> Limit:
        """Changes only the fields that are given; null takes a rate away."""
        before = await self._locked(ref)
        after = msgspec.structs.replace(before, **fields)
        _some_rate({name: getattr(after, name) for name in RATES})
        if after == before:
            return before
        await self._store.update_limit(after)
        after = await self.get(before.id)
        self._changes.note(
            "limit.update", "limit", after.id, org_id=after.org_id, before=plain(before), after=plain(after)
        )
        return after

    async def delete(self, ref: str) -> None:
        limit = await self._locked(ref)
        await self._store.delete("limit", limit.id)
        self._changes.note("limit.delete", "limit", limit.id, org_id=limit.org_id, before=plain(limit))

    async def _locked(self, ref: str) -> Limit:
        limit = await self._store.lock_limit((await self.get(ref)).id)
        if limit is None:
            raise LimitNotFound(f"There is no limit “{ref}”.")
        self._changes.expect(limit.updated_at)
        return limit


def _some_rate(rates: Mapping[str, int | None]) -> None:
    if all(value is None for value in rates.values()):
        raise BadField(f"A limit has at least one of {', '.join(RATES)}.", hint="To lift it altogether, delete it.")


class BudgetService:
    def __init__(self, store: LimitStore, changes: Changes, clock: Callable[[], dt.datetime]) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock

    async def page(self, ask: Ask) -> Page[BudgetStatus]:
        """Those for an org, a unit, a team or a key are asked for by its id or name."""
        page = await self._store.budgets(await _resolved(self._store, ask, ("org", "unit", "team", "key")))
        return Page([await self._status(budget) for budget in page.items], page.next)

    async def get(self, ref: str) -> BudgetStatus:
        """By id or short form, as it stands; raises BudgetNotFound or AmbiguousRef."""
        return await self._status(await self._find(ref))

    async def create(self, fields: Mapping[str, Any]) -> BudgetStatus:
        """One budget for a target and a period; what was spent since the period's beginning counts."""
        amount = nano_usd(fields["amount_usd"])
        columns = await _target(self._store, fields)
        columns.pop("model")
        budget_id = new_id("budget")
        names = ("scope", "period", "soft_percent", "output_tokens", "on_failure")
        columns |= {name: fields[name] for name in names} | {"amount_nano_usd": amount}
        if not await self._store.insert_budget(id=budget_id, **columns):
            raise AlreadyLimited(
                "There is a budget for exactly this and this period already.",
                hint="Find it with scutum budgets list, and change it: scutum budgets update ID --amount USD",
            )
        made = await self._find(budget_id)
        self._changes.note("budget.create", "budget", made.id, org_id=made.org_id, after=plain(made))
        return await self._status(made)

    async def update(self, ref: str, fields: Mapping[str, Any]) -> BudgetStatus:
        """Changes only the fields that are given."""
        before = await self._locked(ref)
        changed = dict(fields)
        if "amount_usd" in changed:
            changed["amount_nano_usd"] = nano_usd(changed.pop("amount_usd"))
        after = msgspec.structs.replace(before, **changed)
        if after != before:
            await self._store.update_budget(after)
            after = await self._find(before.id)
            self._changes.note(
                "budget.update", "budget", after.id, org_id=after.org_id, before=plain(before), after=plain(after)
            )
        return await self._status(after)

    async def delete(self, ref: str) -> None:
        budget = await self._locked(ref)
        await self._store.delete("budget", budget.id)
        self._changes.note("budget.delete", "budget", budget.id, org_id=budget.org_id, before=plain(budget))

    async def _find(self, ref: str) -> Budget:
        missing = BudgetNotFound(f"There is no budget “{ref}”.", hint="See: scutum budgets list")
        found = await self._store.budget(refs.choose(ref, await self._store.candidates("budget", ref), missing))
        if found is None:
            raise missing
        return found

    async def _locked(self, ref: str) -> Budget:
        budget = await self._store.lock_budget((await self._find(ref)).id)
        if budget is None:
            raise BudgetNotFound(f"There is no budget “{ref}”.")
        self._changes.expect(budget.updated_at)
        return budget

    async def _status(self, budget: Budget) -> BudgetStatus:
        now = self._clock()
        start, end = bounds(budget.period, budget.zone, int(now.timestamp() * 1000))
        since, until = (dt.datetime.fromtimestamp(edge / 1000, dt.UTC) for edge in (start, end))
        spent, daily = await self._store.daily(budget.id, since, HISTORY_DAYS)
        return BudgetStatus(
            budget=budget,
            spent_nano_usd=spent,
            since=since,
            until=until,
            forecast=forecast(daily, spent, budget.amount_nano_usd, now, until, place(budget.zone)),
        )
