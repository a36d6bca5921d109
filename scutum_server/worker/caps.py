"""Tells that a budget's soft or hard cap is passed: once for each cap and period, within seconds of the record.

What arrives is added to what was known, and the database is asked only when that may have passed a cap; all budgets are
looked at anew now and then, for what other workers have stored.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Sequence
from typing import Final

from scutum_server.errors import Unavailable
from scutum_server.events import store as events
from scutum_server.events.models import BudgetExceeded, Event
from scutum_server.infra.db import Connection, connect
from scutum_server.infra.listing import Ask
from scutum_server.infra.tasks import Heed
from scutum_server.infra.windows import bounds
from scutum_server.leases.store import LeaseStore
from scutum_server.limits.models import Budget, BudgetStatus, Cap, Reserved
from scutum_server.limits.store import LimitStore, unavailable_on_error
from scutum_server.settings import DatabaseSettings
from scutum_server.usage.models import UsageRecord

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 1.0
SWEEP_SECONDS: Final = 15.0
_PAGE: Final = 500
_NANO: Final = 1_000_000_000
Target = tuple[str | None, str | None, str | None]
"""Org, team and key of records."""


class Watched:
    """A budget, and what of its period is spent as far as this process knows: rather too much than too little."""

    def __init__(self, budget: Budget, since: dt.datetime, until: dt.datetime, spent: int) -> None:
        self.budget, self.since, self.until, self.spent = budget, since, until, spent

    def may_concern(self, target: Target) -> bool:
        org, team, key = target
        budget = self.budget
        match budget.scope:
            case "org":
                return org == budget.org_id
            case "team":
                return team == budget.team_id
            case "key":
                return key == budget.key_id
            case _:
                return True

    def passed(self, reserved: Reserved | None = None) -> list[Cap]:
        """The caps that are passed and not told yet."""
        budget = self.budget
        state = BudgetStatus(
            budget=budget, spent_nano_usd=self.spent, since=self.since, until=self.until, reserved=reserved
        ).state
        found: list[Cap] = []
        if state != "ok" and budget.soft_told != self.since:
            found.append("soft")
        if state == "hard" and budget.hard_told != self.since:
            found.append("hard")
        return found


class Caps:
    """`leases` tells of requests that were turned away for lack of money."""

    def __init__(self, database: DatabaseSettings, leases: LeaseStore) -> None:
        self._database = database
        self._leases = leases
        self._fresh: dict[Target, int] = {}
        self._watched: dict[str, Watched] = {}
        self._swept = 0.0

    def offer(self, rows: Sequence[tuple[dt.datetime, UsageRecord]]) -> None:
        """Takes note of records that were stored; neither fails nor blocks."""
        for _, record in rows:
            if record.cost_nano_usd:
                target = (record.org_id, record.team_id, record.key_id)
                self._fresh[target] = self._fresh.get(target, 0) + record.cost_nano_usd

    async def run(self) -> None:
        """Until cancelled."""
        heed = Heed()
        while True:
            heed()
            try:
                if time.monotonic() - self._swept >= SWEEP_SECONDS:
                    await self.once()
                    self._swept = time.monotonic()
                else:
                    await self.look()
            except Unavailable as error:
                log.debug("Budgets cannot be watched: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def look(self) -> int:
        """How many caps were told of that what was offered since the last look has passed; raises Unavailable."""
        fresh, self._fresh = self._fresh, {}
        due = []
        for each in self._watched.values():
            added = sum(cost for target, cost in fresh.items() if each.may_concern(target))
            each.spent += added
            if added and (each.passed() or dt.datetime.now(dt.UTC) >= each.until):
                due.append(each.budget.id)
        if not due:
            return 0
        with unavailable_on_error():
            connection = await connect(self._database, name="worker-budgets")
            try:
                store = LimitStore(connection)
                found = [await store.budget(budget_id) for budget_id in due]
                return await self._tell(connection, [budget for budget in found if budget is not None])
            finally:
                await connection.close()

    async def once(self) -> int:
        """How many caps of all budgets were told of; raises Unavailable."""
        told = 0
        cursor: str | None = ""
        self._fresh, watched = {}, self._watched
        self._watched = {}
        try:
            with unavailable_on_error():
                connection = await connect(self._database, name="worker-budgets")
                try:
                    while cursor is not None:
                        page = await LimitStore(connection).budgets(Ask(limit=_PAGE, cursor=cursor))
                        cursor = page.next
                        told += await self._tell(connection, page.items)
                finally:
                    await connection.close()
        except Unavailable:
            self._watched = watched | self._watched
            raise
        return told

    async def _tell(self, connection: Connection, budgets: Sequence[Budget]) -> int:
        now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        store = LimitStore(connection)
        told = 0
        looked = []
        for budget in budgets:
            start, end = bounds(budget.period, budget.zone, now)
            since, until = (dt.datetime.fromtimestamp(edge / 1000, dt.UTC) for edge in (start, end))
            spent, _ = await store.daily(budget.id, since, 0)
            each = self._watched[budget.id] = Watched(budget, since, until, spent)
            looked.append(each)
        for each, reserved in zip(looked, await self._reserved(looked), strict=True):
            for cap in each.passed(reserved):
                async with connection.transaction():
                    # Another process of this kind may have been faster.
                    if await store.tell(cap, each.budget.id, each.since):
                        await events.append(connection, _event(each, cap))
                        told += 1
        return told

    async def _reserved(self, looked: Sequence[Watched]) -> list[Reserved | None]:
        keys = [f"{each.budget.id}.{each.budget.period}:{int(each.since.timestamp() * 1000)}" for each in looked]
        try:
            return [Reserved(units, refused) for units, refused in await self._leases.reserved(keys)]
        except Unavailable:
            return [None] * len(looked)


def _event(watched: Watched, cap: Cap) -> Event:
    budget = watched.budget
    whose = next((name for name in (budget.key, budget.user, budget.team, budget.unit, budget.org) if name), None)
    payload = BudgetExceeded(
        cap=cap,
        budget_id=budget.id,
        scope=budget.scope,
        name=whose,
        period=budget.period,
        since=watched.since.isoformat(),
        until=watched.until.isoformat(),
        amount_usd=_usd(budget.amount_nano_usd),
        spent_usd=_usd(watched.spent),
        soft_percent=budget.soft_percent,
    )
    return Event(
        payload=payload,
        origin="worker",
        dedup_key=f"budget:{budget.id}:{watched.since.isoformat()}:{cap}",
        org_id=budget.org_id,
        severity="high" if cap == "hard" else "warning",
    )


def _usd(nano: int) -> str:
    whole, part = divmod(nano, _NANO)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".")
