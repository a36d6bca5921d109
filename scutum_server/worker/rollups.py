"""Builds the spend of past days anew, one at a time: those from before days were kept, and after a change of zone."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from scutum_server.errors import Unavailable
from scutum_server.infra.db import connect
from scutum_server.infra.tasks import Heed
from scutum_server.limits.store import unavailable_on_error
from scutum_server.settings import DatabaseSettings
from scutum_server.usage.rollup_store import RollupStore

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 30.0
BREATH_SECONDS: Final = 0.2
"""Between two days, for the records that waited meanwhile."""


class Rollups:
    def __init__(self, database: DatabaseSettings, breath: float = BREATH_SECONDS) -> None:
        self._database = database
        self._breath = breath

    async def run(self) -> None:
        """Every half a minute until cancelled."""
        heed = Heed()
        while True:
            heed()
            try:
                await self.once()
            except Unavailable as error:
                log.debug("Spend by the day cannot be built: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def once(self) -> int:
        """How many days of orgs were built anew; raises Unavailable. Killed half-way, it goes on with the next day."""
        built = 0
        with unavailable_on_error():
            connection = await connect(self._database, name="worker-rollups")
            try:
                store = RollupStore(connection)
                await store.note_moves()
                while await store.build_next():
                    built += 1
                    await asyncio.sleep(self._breath)
            finally:
                await connection.close()
        if built:
            log.info("Built the spend of past days anew", extra={"days": built})
        return built
