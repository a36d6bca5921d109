"""Looks at the licence every five minutes, and tells what is new of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import Any

from scutum_server.errors import Unavailable
from scutum_server.events import models as events
from scutum_server.events import store as outbox
from scutum_server.infra.db import Connection, connect
from scutum_server.infra.tasks import Heed
from scutum_server.licensing.jobs import EVERY_SECONDS, Matter, look
from scutum_server.licensing.models import Licence
from scutum_server.licensing.trust import Trust
from scutum_server.limits.store import unavailable_on_error
from scutum_server.settings import DatabaseSettings

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
_SEVERITY: dict[Matter, events.Severity] = {
    "expiring": "warning", "expired": "high", "missing": "warning", "invalid": "high", "clock": "warning",
}  # fmt: skip


class LicenceWatch:
    def __init__(self, database: DatabaseSettings, trust: Trust) -> None:
        self._database = database
        self._trust = trust

    async def run(self) -> None:
        """At once and every five minutes until cancelled."""
        heed = Heed()
        while True:
            heed()
            pause = EVERY_SECONDS
            try:
                await self.once(dt.datetime.now(dt.UTC))
            except Unavailable as error:
                log.debug("The licence cannot be looked at: %s", error)
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def once(self, now: dt.datetime) -> Licence:
        """One look at the time `now`; raises Unavailable."""
        with unavailable_on_error():
            connection = await connect(self._database, name="worker-licence")
            try:
                async with connection.transaction():
                    return await look(connection, self._trust, now, _tell)
            finally:
                await connection.close()


async def _tell(conn: Connection, matter: Matter, licence: Licence, *, resolved: bool, **more: Any) -> None:
    event = events.Event(
        payload=_payload(matter, licence, more),
        origin="worker",
        dedup_key=f"license:{matter}",
        severity="info" if resolved else _SEVERITY[matter],
        state="resolved" if resolved else "firing",
    )
    await outbox.append(conn, event)
    if not resolved:
        log.warning("Licence: %s", licence.error or f"{licence.days_remaining} days left")


def _payload(matter: Matter, licence: Licence, more: dict[str, Any]) -> events.Payload:
    message = licence.error or "The licence is in force."
    if matter == "missing":
        return events.LicenseMissing(message=message)
    if matter == "invalid":
        return events.LicenseInvalid(message=message)
    if matter == "clock":
        return events.ClockSetBack(seen_at=more["seen_at"].isoformat(), now=more["now"].isoformat(), message=message)
    if matter == "expiring":
        days = "1 day" if licence.days_remaining == 1 else f"{licence.days_remaining} days"
        message = f"The licence expires in {days}. Renew it, and then: scutum license activate FILE"
    kind = events.LicenseExpiring if matter == "expiring" else events.LicenseExpired
    return kind(
        tier=licence.tier,
        company=licence.company,
        expires_at=None if licence.expires_at is None else licence.expires_at.isoformat(),
        days_remaining=licence.days_remaining,
        message=message,
    )
