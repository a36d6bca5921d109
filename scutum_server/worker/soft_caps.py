"""Tells once in a period that a budget's soft cap is passed."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import Final

from scutum_server.errors import Unavailable
from scutum_server.events import store as events
from scutum_server.events.models import BudgetSoft, Event
from scutum_server.infra.db import Connection, connect
from scutum_server.infra.listing import Ask
from scutum_server.infra.tasks import Heed
from scutum_server.infra.windows import bounds
from scutum_server.limits.models import Budget, BudgetStatus
from scutum_server.limits.store import LimitStore, unavailable_on_error
from scutum_server.settings import DatabaseSettings

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 15.0
_PAGE: Final = 500
_NANO: Final = 1_000_000_000


class SoftCaps:
    def __init__(self, database: DatabaseSettings) -> None:
        self._database = database

    async def run(self) -> None:
        """Every fifteen seconds until cancelled."""
        heed = Heed()
        while True:
            heed()
            try:
                await self.once()
            except Unavailable as error:
                log.debug("Budgets cannot be watched: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def once(self) -> int:
        """How many budgets have passed their soft cap since the last look; raises Unavailable."""
        told, now = 0, int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        cursor: str | None = ""
        with unavailable_on_error():
            connection = await connect(self._database, name="worker-budgets")
            try:
                while cursor is not None:
                    page = await LimitStore(connection).budgets(Ask(limit=_PAGE, cursor=cursor))
                    cursor = page.next
                    for budget in page.items:
                        told += await _look(connection, budget, now)
            finally:
                await connection.close()
        return told


async def _look(connection: Connection, budget: Budget, now: int) -> bool:
    start, end = bounds(budget.period, budget.zone, now)
    since, until = (dt.datetime.fromtimestamp(edge / 1000, dt.UTC) for edge in (start, end))
    if budget.soft_told is not None and budget.soft_told >= since:
        return False
    store = LimitStore(connection)
    status = BudgetStatus(budget=budget, spent_nano_usd=await store.spent(budget.id, since), since=since, until=until)
    if status.state == "ok":
        return False
    async with connection.transaction():
        # Another process of this kind may have been faster.
        if not await store.tell_soft(budget.id, since):
            return False
        await events.append(connection, _event(status))
    return True


def _event(status: BudgetStatus) -> Event:
    budget = status.budget
    whose = next((name for name in (budget.key, budget.user, budget.team, budget.unit, budget.org) if name), None)
    payload = BudgetSoft(
        budget_id=budget.id,
        scope=budget.scope,
        name=whose,
        period=budget.period,
        since=status.since.isoformat(),
        until=status.until.isoformat(),
        amount_usd=_usd(budget.amount_nano_usd),
        spent_usd=_usd(status.spent_nano_usd),
        soft_percent=budget.soft_percent,
    )
    return Event(
        payload=payload,
        origin="worker",
        dedup_key=f"budget:{budget.id}:{status.since.isoformat()}",
        org_id=budget.org_id,
        severity="warning",
    )


def _usd(nano: int) -> str:
    whole, part = divmod(nano, _NANO)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".")
