"""What all requests of this process share: snapshot, journal, transport; started and stopped as one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sized
from typing import Final

from scutum_server.infra.crypto import SecretBox, key_hash
from scutum_server.infra.outbox import outbox_of
from scutum_server.infra.redis import make_redis
from scutum_server.leases.keeper import Keeper
from scutum_server.leases.store import LeaseStore
from scutum_server.proxy.breakers import Breakers
from scutum_server.proxy.config.disk import SnapshotFile
from scutum_server.proxy.config.feed import ConfigFeed
from scutum_server.proxy.config.scribe import Scribe
from scutum_server.proxy.config.snapshot import Snapshot
from scutum_server.proxy.config.store import SHAPE, ConfigStore
from scutum_server.proxy.estimates import Estimates
from scutum_server.proxy.http.addresses import Throttle, TrustedProxies
from scutum_server.proxy.ids.wrapped import UpstreamIds
from scutum_server.proxy.lanes import lane_factory
from scutum_server.proxy.limits.admission import Admission
from scutum_server.proxy.limits.spending import Spending
from scutum_server.proxy.passthrough.batch_charge import BatchWatch
from scutum_server.proxy.telemetry.metrics import Metrics
from scutum_server.proxy.telemetry.records import Records
from scutum_server.proxy.telemetry.tracing import Tracing
from scutum_server.routing.store import BreakerStore
from scutum_server.settings import ProxySettings
from scutum_server.upstream.forward_proxy import outgoing
from scutum_server.upstream.litellm import LiteLLMProcess, Place
from scutum_server.upstream.transport import Transport
from scutum_server.usage.journal import Journal
from scutum_server.usage.store import OpenBatches, UsageStream

log = logging.getLogger(__name__)

REPORT_S: Final = 60.0
MOST_SEEN: Final = 10_000


class Gateway:
    """Belongs to one event loop; must be made inside it."""

    def __init__(self, settings: ProxySettings) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self.max_upload_bytes = settings.max_upload_bytes
        self.failed_authentications = 0
        self._reported_failures = 0
        self.draining = False
        self.addresses = TrustedProxies(settings.trusted_proxies)
        self.throttle = Throttle(settings.failed_per_minute)
        self.ids = UpstreamIds(settings.encryption_key)
        self.transport = Transport(outgoing(settings.upstream_proxy, settings.upstream_no_proxy))
        self.tracing = None if settings.traced_share is None else Tracing(settings.traced_share)
        place = Place(settings.litellm_python, settings.upstream_proxy, settings.upstream_no_proxy)
        self._litellm = LiteLLMProcess(self.transport, place)
        lane_of = lane_factory(self.transport, self._litellm, SecretBox(settings.encryption_key))
        self._redis = make_redis(settings.redis, name="proxy")
        self.breakers = breakers = Breakers(BreakerStore(self._redis))
        saved = SnapshotFile(settings.state_dir, settings.encryption_key, SHAPE)
        self.feed = ConfigFeed(
            ConfigStore(settings.direct),
            lambda: Snapshot(settings.master_key, lane_of, breakers.board),
            saved,
            settings.max_stale_seconds,
        )
        self._scribe = Scribe(ConfigStore(settings.direct), saved)
        self.stream = UsageStream(self._redis)
        self.journal = Journal(settings.spill_dir, self.stream)
        self.metrics = Metrics(settings.state_dir / "metrics", self._counted)
        self.records = Records(self.journal, self.metrics, outbox_of(asyncio.get_running_loop()))
        self.metrics_keys = {key_hash(key) for key in (settings.master_key, settings.internal_service_key) if key}
        # A client of its own, which gives up soon: requests wait for its answers.
        self._lease_redis = make_redis(settings.redis, name="proxy-leases", timeout=1.0)
        spending = Spending(settings.database, UsageStream(self._redis))
        self._keeper = Keeper(
            LeaseStore(self._lease_redis), settings.spill_dir / "leases", spending.since, self.journal.send_again
        )
        self.admission = Admission(self._keeper)
        self.batches = BatchWatch(self, OpenBatches(self._redis), settings.batch_poll_seconds)
        self._seen: dict[str, None] = {}
        self.estimates = Estimates()
        self.tasks: Sized = ()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        return self.feed.usable and not self.draining

    def start(self) -> None:
        """Opens the files and starts the background tasks; raises OSError when the spill directory is unusable."""
        self.journal.open()
        try:
            self.metrics.open()
        except OSError as error:
            log.warning("counters stay this worker's own: %s cannot be used: %s", error.filename, error.strerror)
        self._keeper.open()
        self.records.worker = self._keeper.holder
        parts = (self.feed, self._scribe, self._keeper, self.journal, self.metrics, self.breakers, self.batches)
        for work in (*(part.run() for part in parts), self._keeper.listen(), self._report()):
            self._tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """Ends the background tasks and hands over the last records."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._litellm.close()
        await self._scribe.close()
        self.transport.close()
        self.records.write()
        await self.journal.close()
        self.metrics.close()
        await self._keeper.close()
        await self._lease_redis.aclose()
        await self._redis.aclose()

    def first_sight(self, record_id: str) -> bool:
        """Whether a record that may be made again and again is new to this process."""
        if record_id in self._seen:
            return False
        if len(self._seen) >= MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        self._seen[record_id] = None
        return True

    def body_limit(self, route: str) -> int:
        """Bytes that a request's body may have; uploads have a cap of their own for each kind."""
        return self.max_upload_bytes.get(route, self.max_body_bytes)

    def _counted(self) -> tuple[dict[str, float], dict[str, float], dict[str, int]]:
        gauges: dict[str, float] = {
            "workers": 1,
            "requests_in_flight": len(self.tasks),
            "journal_backlog_bytes": self.journal.pending_bytes,
        }
        plain = {
            "authentication_failures": self.failed_authentications,
            "journal_records": self.journal.counters.appended,
            "journal_records_dropped": self.journal.counters.dropped,
        }
        return gauges, {"configuration_age_seconds": self.feed.age() if self.feed.loaded else 0.0}, plain

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            failed = self.failed_authentications - self._reported_failures
            if failed:
                log.warning("%d requests with an invalid key in the last minute", failed)
                self._reported_failures = self.failed_authentications
