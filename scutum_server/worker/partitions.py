"""Partitions for the coming months: without one, that month's changes and usage could not be written."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from scutum_server.errors import Unavailable
from scutum_server.events import models as events
from scutum_server.events import store as outbox
from scutum_server.infra.db import connect
from scutum_server.infra.tasks import Heed
from scutum_server.limits.store import unavailable_on_error
from scutum_server.settings import WorkerSettings
from scutum_server.usage.store import SpendStore

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 6 * 3600.0
RETRY_SECONDS: Final = 2.0
KEY: Final = "partitions:ahead"


class Partitions:
    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._failing: str | None = None

    async def run(self) -> None:
        """At the start and four times a day, on a connection of its own; until cancelled."""
        heed = Heed()
        while True:
            heed()
            await asyncio.sleep(EVERY_SECONDS if await self.once() else RETRY_SECONDS)

    async def once(self) -> bool:
        """Whether last month's to three months ahead are there now; that they cannot be made is told once."""
        store = SpendStore(self._settings.direct)
        try:
            await store.ensure_partitions()
        except Unavailable as error:
            if self._failing is None:
                log.warning("Partitions cannot be kept: %s", error)
                self._failing = error.detail
                await self._tell(error.detail, "firing")
            return False
        finally:
            await store.close()
        if self._failing is not None:
            await self._tell(self._failing, "resolved")
            self._failing = None
        return True

    async def _tell(self, error: str, state: events.State) -> None:
        payload = events.PartitionsMissing(error=error)
        event = events.Event(payload=payload, origin="worker", dedup_key=KEY, severity="critical", state=state)
        try:
            with unavailable_on_error():
                async with await connect(self._settings.database, name="worker-partitions") as conn:
                    await outbox.append(conn, event)
        except Unavailable as away:
            log.debug("The database is away, which others tell: %s", away)
