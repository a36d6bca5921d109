"""Gives back what a lost host had leased of budgets and not spent, once its records have had time to arrive.

A worker of the proxy that dies is succeeded by another of its host, which knows what it had spent. When the host itself
is gone, all that its workers had leased counts as spent, until the spend log can say how much of it that was.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import Final

from scutum_server.errors import Unavailable
from scutum_server.infra.db import connect
from scutum_server.infra.tasks import Heed
from scutum_server.leases.store import LOST_MS, Held, LeaseStore
from scutum_server.limits.spent_store import spent_by
from scutum_server.limits.store import unavailable_on_error
from scutum_server.settings import DatabaseSettings
from scutum_server.usage.store import UsageStream

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 60.0
_BUDGETS: Final = "budget_"


class Reclaim:
    def __init__(
        self, leases: LeaseStore, stream: UsageStream, database: DatabaseSettings, silent_ms: int = LOST_MS
    ) -> None:
        self._leases = leases
        self._stream = stream
        self._database = database
        self._silent_ms = silent_ms

    async def run(self) -> None:
        """Every minute until cancelled."""
        heed = Heed()
        while True:
            heed()
            try:
                await self.once()
            except Unavailable as error:
                log.debug("Lost leases cannot be reconciled: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def once(self) -> int:
        """How many workers' leases were reconciled; raises Unavailable."""
        lost = await self._leases.lost(self._silent_ms)
        if not lost:
            return 0
        oldest = await self._stream.oldest()
        if oldest is not None and oldest <= max(lost.values()) + self._silent_ms:
            # Some of what they have spent may be among the records that the log does not have yet.
            return 0
        held = await self._leases.held_by(list(lost), _BUDGETS)
        if held:
            spent = await self._spent(held)
            await self._leases.reconcile(spent, self._silent_ms)
            returned = sum(each.units - units for each, units in spent)
            log.info("Took back what a lost host had leased of budgets", extra={"nano_usd": returned})
        for holder in lost:
            await self._leases.leave(holder)
        return len(lost)

    async def _spent(self, held: list[Held]) -> list[tuple[Held, int]]:
        asked = []
        for each in held:
            meter, _, start = each.key.rpartition(":")
            asked.append((meter.rpartition(".")[0], each.holder, dt.datetime.fromtimestamp(int(start) / 1000, dt.UTC)))
        with unavailable_on_error():
            connection = await connect(self._database, name="worker-budgets")
            try:
                found = await spent_by(connection, asked)
            finally:
                await connection.close()
        # The key of a budget that was deleted meanwhile lapses by itself.
        return [(each, found[place]) for place, each in enumerate(held) if place in found]
