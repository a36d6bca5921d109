"""Composition root of the background side: usage records into Postgres, and the partitions they go to."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import signal
import socket
from collections.abc import Sequence

import uvloop

from scutum_server.errors import Unavailable
from scutum_server.infra import logs
from scutum_server.infra.redis import make_redis
from scutum_server.leases.store import LeaseStore
from scutum_server.licensing.trust import Trust
from scutum_server.settings import WorkerSettings
from scutum_server.usage.ingest import Ingest
from scutum_server.usage.models import UsageRecord
from scutum_server.usage.store import SpendStore, UsageQueue, UsageStream
from scutum_server.worker.caps import Caps
from scutum_server.worker.drift import DriftWatch
from scutum_server.worker.heartbeat import Beat, Heartbeat, beat
from scutum_server.worker.jobs import Jobs
from scutum_server.worker.keeper import Keeper
from scutum_server.worker.licences import LicenceWatch
from scutum_server.worker.partitions import Partitions
from scutum_server.worker.reclaim import Reclaim
from scutum_server.worker.rollups import Rollups
from scutum_server.worker.spans import Place, place
from scutum_server.worker.store import HeartbeatStore, ProviderStore
from scutum_server.worker.tracing import Exporter

log = logging.getLogger(__name__)

FINISH_SECONDS = 4.0
PROVIDERS_SECONDS = 15.0
LAST_SPANS_SECONDS = 3.0


def run(settings: WorkerSettings) -> None:
    """Runs until SIGTERM or SIGINT, then finishes the batch in hand within four seconds."""
    logs.configure("worker")
    uvloop.run(_main(settings))


async def _main(settings: WorkerSettings) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    redis = make_redis(settings.redis, name="worker")
    spend = SpendStore(settings.direct)
    # The host's name outlives a restart, so that the successor finds what this process had in hand.
    places: dict[str, Place] = {}
    exporter = None if settings.traces is None else Exporter(settings.traces, lambda: places)
    queue = UsageQueue(redis, socket.gethostname())
    leases = LeaseStore(redis)
    caps = Caps(settings.database, leases)

    def stored(rows: Sequence[tuple[dt.datetime, UsageRecord]]) -> None:
        caps.offer(rows)
        if exporter is not None:
            exporter.offer(rows)

    ingest = Ingest(queue, spend, stop, stored)

    def report() -> Beat:
        progress = ingest.progress
        traces = None if exporter is None else exporter.state
        return beat(waiting=progress.waiting, stored=progress.stored, rejected=progress.rejected, traces=traces)

    heartbeat = Heartbeat(HeartbeatStore(redis), settings.status_file, report)
    reclaim = Reclaim(leases, UsageStream(redis), settings.database)
    keeper = Keeper(settings)
    licences = LicenceWatch(settings.database, Trust(settings.license_trust))
    log.info("Worker started")
    try:
        async with asyncio.TaskGroup() as group:
            works = [
                heartbeat.run(),
                Partitions(settings).run(),
                Jobs(settings).run(),
                reclaim.run(),
                caps.run(),
                licences.run(),
                keeper.run(),
                Rollups(settings.database).run(),
                DriftWatch(settings.database).run(),
            ]
            others = [group.create_task(work) for work in works]
            if exporter is not None:
                exporter.start()
                others.append(group.create_task(_know_places(ProviderStore(settings.database), places)))
            await _until_stopped(group.create_task(ingest.run()), stop)
            for task in others:
                task.cancel()
    finally:
        if exporter is not None:
            await asyncio.to_thread(exporter.stop, LAST_SPANS_SECONDS)
        await spend.close()
        await redis.aclose()
    log.info("Worker stopped", extra={"stored": ingest.progress.stored})


async def _until_stopped(ingest: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Waits for the signal, then for the batch in hand; a batch that takes too long comes again after the start."""
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({ingest, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.wait({ingest}, timeout=FINISH_SECONDS)
    ingest.cancel()


async def _know_places(providers: ProviderStore, places: dict[str, Place]) -> None:
    """Keeps what spans tell of providers; while the database is away, as it was last."""
    while True:
        # Its absence is told by who writes to it.
        with contextlib.suppress(Unavailable):
            places.update({name: place(kind, base_url) for name, kind, base_url in await providers.all()})
        await asyncio.sleep(PROVIDERS_SECONDS)
