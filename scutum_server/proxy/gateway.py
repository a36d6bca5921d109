"""What all requests of this process share: snapshot, journal, transport; started and stopped as one."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from scutum_server.infra.crypto import SecretBox
from scutum_server.infra.redis import make_redis
from scutum_server.leases.keeper import Keeper
from scutum_server.leases.store import LeaseStore
from scutum_server.proxy.admission import Admission
from scutum_server.proxy.feed import ConfigFeed
from scutum_server.proxy.lanes import lane_factory
from scutum_server.proxy.snapshot import Snapshot
from scutum_server.proxy.spending import Spending
from scutum_server.proxy.store import ConfigStore
from scutum_server.settings import ProxySettings
from scutum_server.upstream.transport import Transport
from scutum_server.usage.journal import Journal
from scutum_server.usage.store import UsageStream

log = logging.getLogger(__name__)

REPORT_S: Final = 60.0


class Gateway:
    """Belongs to one event loop; must be made inside it."""

    def __init__(self, settings: ProxySettings) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self.failed_authentications = 0
        self.draining = False
        self.transport = Transport()
        lane_of = lane_factory(self.transport, SecretBox(settings.encryption_key))
        self.feed = ConfigFeed(ConfigStore(settings.database), lambda: Snapshot(settings.master_key, lane_of))
        self._redis = make_redis(settings.redis, name="proxy")
        self.journal = Journal(settings.spill_dir, UsageStream(self._redis))
        # A client of its own, which gives up soon: requests wait for its answers.
        self._lease_redis = make_redis(settings.redis, name="proxy-leases", timeout=1.0)
        spending = Spending(settings.database, UsageStream(self._redis))
        self._keeper = Keeper(LeaseStore(self._lease_redis), settings.spill_dir / "leases", spending.since)
        self.admission = Admission(self._keeper)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        return self.feed.loaded and not self.draining

    def start(self) -> None:
        """Opens the journal and starts the background tasks; raises OSError when the spill directory is unusable."""
        self.journal.open()
        self._keeper.open()
        works = (self.feed.run(), self.journal.run(), self._keeper.run(), self._keeper.listen(), self._report())
        for work in works:
            self._tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """Ends the background tasks and hands over the last records."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.transport.close()
        await self.journal.close()
        await self._keeper.close()
        await self._lease_redis.aclose()
        await self._redis.aclose()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            if self.failed_authentications:
                log.warning("%d requests with an invalid key in the last minute", self.failed_authentications)
                self.failed_authentications = 0
