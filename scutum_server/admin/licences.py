"""The licence at the control plane: the first one out of the settings, and the answer that anybody may ask for."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from scutum_server.admin.changes import SYSTEM, Changes, Context
from scutum_server.errors import Unavailable
from scutum_server.infra.db import Connection, Pool, transaction
from scutum_server.licensing.jobs import EVERY_SECONDS
from scutum_server.licensing.models import Licence, LicenceRefused
from scutum_server.licensing.service import Clock, LicenceService, current
from scutum_server.licensing.store import LicenceStore
from scutum_server.licensing.trust import Trust

_log = logging.getLogger(__name__)


class LicenceDesk:
    def __init__(self, pool: Pool, trust: Trust, key: str | None, clock: Clock) -> None:
        self.trust = trust
        self._pool = pool
        self._key = key
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._last: Licence | None = None
        self._refused: str | None = None
        self._open = asyncio.Event()
        """Set once the database is known to have the tables."""

    async def seed(self, conn: Connection) -> None:
        """Activates LICENSE_KEY where no licence ever was; one that is refused is told of, and stops nothing."""
        self._open.set()
        if self._key is None:
            return
        changes = Changes(Context(actor=SYSTEM, role="owner", source="system"))
        service = LicenceService(LicenceStore(conn), changes, self.trust, self._clock, SYSTEM.id)
        if await service.ever():
            self._refused = None
            return
        try:
            licence = await service.activate(self._key, "seed")
        except LicenceRefused as error:
            if self._refused != error.detail:
                _log.warning("LICENSE_KEY is refused: %s", error.detail, extra={"hint": error.hint})
            self._refused = error.detail
            return
        await changes.write(conn)
        _log.info("licence activated from LICENSE_KEY", extra={"tier": licence.tier})

    async def look(self) -> Licence:
        """The licence in force now; however many ask at once, the database is asked once. Raises Unavailable."""
        if not self._open.is_set():
            raise Unavailable("The control plane is starting.", code="starting", hint="Try again in a second.")
        came = time.monotonic()
        async with self._lock:
            # Who came after the question was put must not get what may have been true before.
            if self._last is None or self._asked_at < came:
                self._asked_at = time.monotonic()
                async with transaction(self._pool) as conn:
                    found = await current(conn, self.trust, self._clock())
                if not found.present and self._refused is not None:
                    found = msgspec.structs.replace(found, error=f"LICENSE_KEY is refused: {self._refused}")
                self._last = found
            return self._last

    async def keep(self) -> None:
        """Verifies the licence every five minutes, and tries LICENSE_KEY again, until cancelled."""
        await self._open.wait()
        told: str | None = None
        while True:
            try:
                async with transaction(self._pool) as conn:
                    await self.seed(conn)
                    licence = await current(conn, self.trust, self._clock())
            except Unavailable as error:
                _log.debug("the licence cannot be verified: %s", error.detail)
            else:
                if licence.error != told and licence.present:
                    _log.warning("licence: %s", licence.error or "in force again")
                told = licence.error
            await asyncio.sleep(EVERY_SECONDS)
