"""Tells when the install leaves the configuration file that was applied last, and when it is back."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

from scutum_server.declarative.service import drifted
from scutum_server.declarative.store import DeclarativeStore
from scutum_server.errors import Unavailable
from scutum_server.events import store as events
from scutum_server.events.models import ConfigDrifted, Event
from scutum_server.gateway.settings import KNOWN
from scutum_server.infra.db import connect
from scutum_server.infra.tasks import Heed
from scutum_server.limits.store import unavailable_on_error
from scutum_server.settings import DatabaseSettings

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 30.0
SURELY_SECONDS: Final = 600.0
"""So often it is looked for even though nothing was changed through the control plane."""
_SHOWN: Final = 20
_DEFAULTS: Final[dict[str, Any]] = {key: known.default for key, known in KNOWN.items()}


class DriftWatch:
    def __init__(self, database: DatabaseSettings) -> None:
        self._database = database
        self._mark: str | None = None
        self._looked = float("-inf")

    async def run(self) -> None:
        """Every half minute until cancelled."""
        heed = Heed()
        while True:
            heed()
            try:
                await self.once()
            except Unavailable as error:
                log.debug("The configuration cannot be compared: %s", error)
            except Exception:
                # What is kept of a file may be another release's: usage must be booked nevertheless.
                log.exception("The configuration cannot be compared with the file applied last")
            await asyncio.sleep(PAUSE_SECONDS)

    async def once(self) -> bool:
        """Whether it was compared: only when something was changed since, or long ago. Raises Unavailable."""
        with unavailable_on_error():
            connection = await connect(self._database, name="worker-drift")
            try:
                async with connection.transaction():
                    store = DeclarativeStore(connection)
                    mark = await store.mark()
                    if mark == self._mark and time.monotonic() - self._looked < SURELY_SECONDS:
                        return False
                    await self._compare(connection, store)
                    self._mark, self._looked = mark, time.monotonic()
                    return True
            finally:
                await connection.close()

    async def _compare(self, connection: Any, store: DeclarativeStore) -> None:
        held = await store.lock_applied()
        if held is None:
            return
        changes = drifted(await store.content(), await store.state(_DEFAULTS), pruned=held.pruned)
        await store.note_drift(drifted=bool(changes))
        if bool(changes) == (held.drifted_since is not None):
            return
        names = [f"{change.noun} {change.name}" for change in changes]
        payload = ConfigDrifted(sha256=held.sha256, objects=names[:_SHOWN], count=len(names))
        event = Event(
            payload=payload,
            origin="worker",
            dedup_key="config:drift",
            severity="warning" if changes else "info",
            state="firing" if changes else "resolved",
        )
        await events.append(connection, event)
