"""Background jobs: what the worker does at its time and what others ask it for, from one queue in Postgres."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from scutum_server.archives.service import TASK as ARCHIVES
from scutum_server.archives.store import ArchiveStore
from scutum_server.infra import jobs
from scutum_server.infra.db import connect
from scutum_server.infra.tasks import Heed
from scutum_server.settings import WorkerSettings
from scutum_server.worker.archives import ArchiveRun

if TYPE_CHECKING:
    from procrastinate import App

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 5.0
CATCH_UP: Final = dt.timedelta(hours=23)
"""A time that passed while no worker was there is made up for within this."""
_POLL_SECONDS: Final = 15.0


def last_due(at: str, now: dt.datetime, zone: dt.tzinfo | None = None) -> dt.datetime:
    """When it was last `HH:MM` on the clocks of `zone` (None: this host's), once a day whatever they do.

    A time that clocks skip in spring is as long after midnight as on other days, so an hour later on them; one that
    they show twice is the first of the two.
    """
    hour, minute = (int(part) for part in at.split(":"))
    today = now.astimezone(zone)
    for back in (0, 1):
        day = today.date() - dt.timedelta(days=back)
        local = dt.datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001 -- the zone is given next
        moment = (local.astimezone() if zone is None else local.replace(tzinfo=zone)).astimezone(dt.UTC)
        if moment <= now:
            return moment
    return moment


class Jobs:
    """Runs the queue until cancelled; while the database is away it waits."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._archives = ArchiveRun(settings)
        self._complained = False

    async def run(self) -> None:
        """Both halves: what is asked for, and what is due by the clock."""
        await asyncio.gather(self._patiently(self._serve), self._patiently(self._keep_time))

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        heed = Heed()
        while True:
            heed()
            try:
                await work()
            except Exception as error:  # noqa: BLE001 -- whatever it is, the spend records beside it go on
                if not self._complained:
                    log.warning("Background jobs wait: %s", error)
                self._complained = True
            await asyncio.sleep(RETRY_SECONDS)

    def _app(self) -> App:
        app = jobs.make_app(self._settings.direct)
        app.task(name=ARCHIVES)(self._archives.perform)
        return app

    async def _serve(self) -> None:
        app = self._app()
        async with app.open_async():
            self._complained = False
            tidying = asyncio.create_task(self._tidy(app))
            try:
                await app.run_worker_async(
                    install_signal_handlers=False, listen_notify=True, fetch_job_polling_interval=_POLL_SECONDS,
                    shutdown_graceful_timeout=1.0, concurrency=2,
                )  # fmt: skip
            finally:
                tidying.cancel()
                await asyncio.gather(tidying, return_exceptions=True)

    async def _tidy(self, app: App) -> None:
        """Puts jobs whose worker died back into the queue, and lets finished ones go in time."""
        while True:
            for job in await app.job_manager.get_stalled_jobs():
                await app.job_manager.retry_job(job)
            await app.job_manager.delete_old_jobs(nb_hours=jobs.KEPT_HOURS, include_failed=True)
            await asyncio.sleep(TICK_SECONDS)

    async def _keep_time(self) -> None:
        async with await connect(self._settings.direct, name="worker-clock") as conn:
            while True:
                await self._archives.keep(conn)
                found = await ArchiveStore(conn).settings()
                now = dt.datetime.now(dt.UTC)
                due = last_due(found.get("archive.at", "03:17"), now)
                if now - due < CATCH_UP:
                    await jobs.schedule(conn, ARCHIVES, due)
                await asyncio.sleep(TICK_SECONDS)
