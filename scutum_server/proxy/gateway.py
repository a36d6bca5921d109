"""What all requests of this process share: snapshot, journal, transport; started and stopped as one."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from scutum_server.infra.crypto import SecretBox
from scutum_server.infra.redis import make_redis
from scutum_server.proxy.disk import SnapshotFile
from scutum_server.proxy.feed import ConfigFeed
from scutum_server.proxy.lanes import lane_factory
from scutum_server.proxy.scribe import Scribe
from scutum_server.proxy.snapshot import Snapshot
from scutum_server.proxy.store import SHAPE, ConfigStore
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
        saved = SnapshotFile(settings.state_dir, settings.encryption_key, SHAPE)
        self.feed = ConfigFeed(
            ConfigStore(settings.database),
            lambda: Snapshot(settings.master_key, lane_of),
            saved,
            settings.max_stale_seconds,
        )
        self._scribe = Scribe(ConfigStore(settings.database), saved)
        self._redis = make_redis(settings.redis, name="proxy")
        self.journal = Journal(settings.spill_dir, UsageStream(self._redis))
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        return self.feed.usable and not self.draining

    def start(self) -> None:
        """Opens the journal and starts the background tasks; raises OSError when the spill directory is unusable."""
        self.journal.open()
        for work in (self.feed.run(), self._scribe.run(), self.journal.run(), self._report()):
            self._tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """Ends the background tasks and hands over the last records."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._scribe.close()
        self.transport.close()
        await self.journal.close()
        await self._redis.aclose()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            if self.failed_authentications:
                log.warning("%d requests with an invalid key in the last minute", self.failed_authentications)
                self.failed_authentications = 0
