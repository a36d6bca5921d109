"""The nightly archiving: decides what may go, has a process of its own move it, and tells what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import sys
from collections.abc import AsyncIterator

import msgspec

from scutum_server.archives.models import TABLES, ArchivingFailed, Granted, Retention
from scutum_server.archives.moving.plan import Order, Plan, Report
from scutum_server.archives.service import ArchiveService
from scutum_server.archives.store import ArchiveStore
from scutum_server.events import models as events
from scutum_server.events import store as outbox
from scutum_server.infra import jobs
from scutum_server.infra.changes import Changes
from scutum_server.infra.db import Connection, connect
from scutum_server.licensing.service import current
from scutum_server.licensing.trust import Trust
from scutum_server.settings import WorkerSettings

log = logging.getLogger(__name__)


class _Unheard(Changes):
    """Takes note of nothing: what a schedule does is told by events."""

    def note(self, *_: object, **__: object) -> None:
        return

    def expect(self, *_: object, **__: object) -> None:
        return

    def touch(self, *_: object, **__: object) -> None:
        return


class ArchiveRun:
    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._trust = Trust(settings.license_trust)
        self._unconfirmed: int | None = None

    def _service(self, conn: Connection) -> ArchiveService:
        async def granted() -> Granted:
            return await granted_by(conn, self._trust)

        queue, url = jobs.Queue(conn), self._settings.archive.url
        return ArchiveService(ArchiveStore(conn), _Unheard(), granted, queue, _now, url)

    async def keep(self, conn: Connection) -> Retention:
        """Keeps what the licence gives, and tells once of fewer days that wait for somebody's word."""
        async with conn.transaction():
            kept = await self._service(conn).keep()
            if kept.to_confirm is not None and kept.to_confirm != self._unconfirmed:
                payload = events.RetentionUnconfirmed(days=kept.confirmed, licensed=kept.to_confirm)
                event = events.Event(
                    payload=payload, origin="worker", dedup_key="archive:retention", severity="warning"
                )
                await outbox.append(conn, event)
            self._unconfirmed = kept.to_confirm
        return kept

    async def perform(self) -> None:
        """Archives every month whose time has come; raises ArchivingFailed when some could not be."""
        async with await connect(self._settings.direct, name="worker-archives") as conn:
            status = await self._service(conn).status()
            if status.url is None:
                log.info("Nothing is archived: no object store is set")
                return
            if not any(month.due for month in status.months):
                return
            plan = Plan(
                days=dict.fromkeys(TABLES, status.retention.days), lock_days=status.lock_days,
                compliance=status.lock_compliance,
            )  # fmt: skip
            errors = []
            async for report in self._move(Order(url=status.url, plan=plan)):
                await self._tell(conn, report, status.url)
                error = report.error or (report.outcome.error if report.outcome else None)
                if error and not report.busy:
                    errors.append(error)
        if errors:
            raise ArchivingFailed(errors[0])

    async def _move(self, order: Order) -> AsyncIterator[Report]:
        """The archiver's reports. It is a process of its own: what it needs of memory and CPU is not the worker's."""
        isolated = ["-I"] if sys.flags.isolated else []
        process = await asyncio.create_subprocess_exec(
            sys.executable, *isolated, "-m", "scutum_server.worker.moving",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        orders, reports = process.stdin, process.stdout
        if orders is None or reports is None:
            raise ArchivingFailed("The archiver could not be started.")
        told = False
        try:
            orders.write(msgspec.json.encode(order) + b"\n")
            await orders.drain()
            async for line in reports:
                report = msgspec.json.decode(line, type=Report)
                told = told or report.error is not None
                yield report
            if await process.wait() and not told:
                yield Report(error=f"The archiver ended with code {process.returncode}.")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _tell(self, conn: Connection, report: Report, url: str) -> None:
        if report.busy:
            log.info("Another archiver is at work")
            return
        payload, key, severity = _event(report, url)
        if report.error or (report.outcome and report.outcome.error):
            log.error("Archiving failed: %s", report.error or (report.outcome and report.outcome.error))
        else:
            log.info("A month was archived", extra={"month": key})
        async with conn.transaction():
            await outbox.append(conn, events.Event(payload=payload, origin="worker", dedup_key=key, severity=severity))


def _event(report: Report, url: str) -> tuple[events.Payload, str, events.Severity]:
    done = report.outcome
    if done is None:
        failed = events.ArchiveFailed(table=None, month=None, error=report.error or "")
        return failed, "archive:run", "high"
    month = f"{done.month:%Y-%m}"
    key = f"archive:{done.table}:{month}"
    if done.error is not None:
        return events.ArchiveFailed(table=done.table, month=month, error=done.error), key, "high"
    return events.ArchiveDone(table=done.table, month=month, rows=done.rows, bytes=done.bytes, url=url), key, "info"


async def granted_by(conn: Connection, trust: Trust) -> Granted:
    """What the licence in force gives."""
    licence = await current(conn, trust, _now())
    days = licence.bound("audit_retention_days") or 30
    return Granted(days, enterprise=licence.tier == "enterprise")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
