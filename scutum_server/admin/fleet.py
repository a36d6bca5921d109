"""What the proxies have told about themselves, for the routes that show it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence

from scutum_server.admin.store import Vitals
from scutum_server.errors import Unavailable
from scutum_server.gateway.models import Breaker
from scutum_server.limits.models import Reserved


class Fleet:
    """All proxies together, as Redis knows them."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals

    async def breakers(self) -> dict[str, Breaker] | None:
        """Of every deployment whose breaker is not closed; None when Redis does not answer."""
        try:
            shut = await self._vitals.breakers.states()
        except Unavailable:
            return None
        now = time.time()
        return {
            name: Breaker(
                state="open" if opening.until > now else "half-open",
                retry_at=dt.datetime.fromtimestamp(opening.until, dt.UTC),
                reason=opening.reason,
            )
            for name, opening in shut.items()
        }

    async def reserved(self, keys: Sequence[str]) -> list[Reserved] | None:
        """What running requests hold of budgets' periods; None when Redis does not answer."""
        try:
            return [Reserved(units, refused) for units, refused in await self._vitals.leases.reserved(keys)]
        except Unavailable:
            return None
