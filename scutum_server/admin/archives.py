"""The control plane's look into object stores, and what the licence says of archives."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

from scutum_server.archives.models import Archive, Check, Granted, Probe
from scutum_server.archives.service import NO_STORE, ArchiveService, find
from scutum_server.archives.store import ArchiveStore
from scutum_server.errors import Conflict
from scutum_server.infra import archives, jobs
from scutum_server.infra.archives import Part, PartDamaged
from scutum_server.infra.changes import Changes
from scutum_server.infra.db import Connection, Pool, transaction
from scutum_server.infra.objectstore import make_store
from scutum_server.licensing.service import LicenceService
from scutum_server.object_settings import ArchiveSettings


def service(
    conn: Connection, changes: Changes, licences: LicenceService, clock: Callable[[], dt.datetime], url: str | None
) -> ArchiveService:
    """Over one connection."""
    return ArchiveService(ArchiveStore(conn), changes, granted_by(licences), jobs.Queue(conn), clock, url)


def granted_by(licences: LicenceService) -> Callable[[], Awaitable[Granted]]:
    async def granted() -> Granted:
        licence = await licences.current()
        return Granted(licence.bound("audit_retention_days") or 30, enterprise=licence.tier == "enterprise")

    return granted


class ArchiveDesk:
    def __init__(self, pool: Pool, settings: ArchiveSettings) -> None:
        self._pool = pool
        self._settings = settings

    async def check(self, ref: str) -> Check:
        """Raises ArchiveNotFound, and Conflict for one that is not finished."""
        async with transaction(self._pool) as conn:
            found = await find(ArchiveStore(conn), ref)
        part = _part(found)
        store = make_store(part.store_url, self._settings.s3)
        try:
            await asyncio.to_thread(archives.check, store, part)
        except PartDamaged as error:
            return Check(ok=False, detail=str(error))
        return Check(ok=True, detail=None)

    async def probe(self) -> Probe:
        """Raises Conflict without a store, ObjectStoreError for one that is away."""
        async with transaction(self._pool) as conn:
            url = (await ArchiveStore(conn).settings()).get("archive.url") or self._settings.url
        if url is None:
            raise Conflict(NO_STORE, code="no_archive_store", hint="scutum settings set archive.url=s3://bucket/prefix")
        found = await asyncio.to_thread(make_store(url, self._settings.s3).probe_lock)
        return Probe(url, found.enforced, found.reason)


def _part(found: Archive) -> Part:
    if found.state != "verified" or found.sha256 is None or found.rows is None or found.bytes is None:
        raise Conflict(
            "This archive is not finished: its month is still in the database.", code="archive_unfinished",
            hint="scutum archives list",
        )  # fmt: skip
    moment = found.started_at
    return Part(
        table=found.table, month=found.month, part=found.part, store_url=found.store_url, key=found.key,
        version=found.version, rows=found.rows, bytes=found.bytes, sha256=found.sha256,
        first_at=found.first_at or moment, last_at=found.last_at or moment,
    )  # fmt: skip
