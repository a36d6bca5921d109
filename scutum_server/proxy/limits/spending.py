"""What was spent of a budget before anything was leased of it: the spend log and what is still on its way there."""

from __future__ import annotations

import datetime as dt

from scutum_server.infra.db import connect
from scutum_server.leases.models import Meter
from scutum_server.limits.models import Spend
from scutum_server.limits.spent_store import spent
from scutum_server.limits.store import unavailable_on_error
from scutum_server.settings import DatabaseSettings
from scutum_server.usage.ingest import parse
from scutum_server.usage.store import UsageStream


class Spending:
    def __init__(self, database: DatabaseSettings, stream: UsageStream) -> None:
        self._database = database
        self._stream = stream

    async def since(self, meter: Meter, start: int) -> int:
        """Nano-USD since `start`, in milliseconds of the epoch; raises Unavailable."""
        budget_id = meter.id.rpartition(".")[0]
        moment = dt.datetime.fromtimestamp(start / 1000, dt.UTC)
        # The stream first: what leaves it afterwards is in the log, and nothing counts twice.
        pending = await self._pending()
        with unavailable_on_error():
            connection = await connect(self._database, name="proxy-budgets")
            try:
                return await spent(connection, budget_id, moment, pending)
            finally:
                await connection.close()

    async def _pending(self) -> list[Spend]:
        """By request: journals send again what a crash of Redis may have taken."""
        found: dict[str, Spend] = {}
        async for lines in self._stream.waiting():
            for line in lines:
                # Most of a long stream may be refusals: records leave out a cost of zero.
                spend = _spend(line) if b'"cost_nano_usd"' in line else None
                if spend is not None:
                    found[spend.request_id] = spend
        return list(found.values())


def _spend(line: bytes) -> Spend | None:
    try:
        ts, record = parse(line)
    except ValueError:
        return None
    return Spend(ts, record.request_id, record.org_id, record.team_id, record.key_id, record.cost_nano_usd)
