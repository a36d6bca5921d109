"""What is archived, what is next, and for how long rows stay in the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from scutum_server.archives.models import (
    Archive,
    ArchiveNotFound,
    Due,
    Granted,
    Retention,
    RetentionConflict,
    Run,
    Status,
    due_at,
    retention,
)
from scutum_server.archives.store import ArchiveStore
from scutum_server.errors import Conflict
from scutum_server.infra import refs
from scutum_server.infra.changes import Changes
from scutum_server.infra.listing import Ask
from scutum_server.infra.paging import Page

TASK: Final = "archives.run"
NO_STORE: Final = "No object store is set: archives have no place to go, so nothing leaves the database."


async def find(store: ArchiveStore, ref: str) -> Archive:
    """By id or short form; raises ArchiveNotFound or AmbiguousRef."""
    missing = ArchiveNotFound(f"There is no archive “{ref}”.", hint="See: scutum archives list")
    found = await store.archive(refs.choose(ref, await store.candidates(ref), missing))
    if found is None:
        raise missing
    return found


class Queue(Protocol):
    """Where background jobs wait."""

    async def enqueue(self, task: str) -> bool:
        """False when one of its kind waits or runs already."""
        ...

    async def waits(self, task: str) -> bool: ...


class ArchiveService:
    """`granted` tells what the licence says now; `url` is where archives go while the setting says nothing."""

    def __init__(
        self,
        store: ArchiveStore,
        changes: Changes,
        granted: Callable[[], Awaitable[Granted]],
        queue: Queue,
        clock: Callable[[], dt.datetime],
        url: str | None,
    ) -> None:
        self._store, self._changes, self._granted, self._queue = store, changes, granted, queue
        self._clock, self._url = clock, url

    async def page(self, ask: Ask) -> Page[Archive]:
        return await self._store.page(ask)

    async def get(self, ref: str) -> Archive:
        """See `find`."""
        return await find(self._store, ref)

    async def status(self) -> Status:
        found = await self._store.settings()
        url = found.get("archive.url") or self._url
        return Status(
            url=url,
            at=found.get("archive.at", "03:17"),
            other_roots=found.get("archive.other_roots", []),
            lock_days=found.get("archive.lock_days", 2557),
            lock_compliance=found.get("archive.lock_compliance", False),
            retention=(now := await self._retention(found)),
            months=await self._months(now.days),
            running=await self._queue.waits(TASK),
            problem=None if url else NO_STORE,
        )

    async def _retention(self, found: dict[str, Any]) -> Retention:
        granted = await self._granted()
        return retention(
            licensed=granted.days,
            confirmed=await self._store.confirmed_days(),
            wanted=found.get("archive.retention_days"),
            enterprise=granted.enterprise,
        )

    async def _months(self, days: int) -> list[Due]:
        now = self._clock()
        return [
            Due(table=one.table, month=one.month, rows=one.rows, bytes=one.bytes, due_at=due_at(one.month, days),
                due=one.due(days, now))
            for one in await self._store.partitions()
        ]  # fmt: skip

    async def run(self) -> Run:
        """Orders the worker to archive what is due; raises Conflict without a store."""
        status = await self.status()
        months = [month for month in status.months if month.due]
        if status.problem is not None:
            raise Conflict(
                status.problem, code="no_archive_store", hint="scutum settings set archive.url=s3://bucket/prefix"
            )
        queued = await self._queue.enqueue(TASK)
        if queued:
            after = {"months": [f"{month.table} {month.month:%Y-%m}" for month in months]}
            self._changes.note("archive.run", "archive", "all", after=after)
        return Run(queued=queued, running=not queued, months=months)

    async def keep(self) -> Retention:
        """Takes note of a licence that gives more days than before: from now on fewer need a confirmation."""
        now = await self._retention(await self._store.settings())
        if now.confirmed != await self._store.confirmed_days():
            await self._store.confirm_days(now.confirmed)
        return now

    async def confirm(self, days: int) -> Retention:
        """Lets the licence's fewer days come into force; raises RetentionConflict when it gives another number."""
        found = await self._store.settings()
        now = await self._retention(found)
        if days != now.licensed:
            raise RetentionConflict(
                f"The licence gives {now.licensed} days, not {days}.",
                param="days",
                hint=f"scutum archives confirm {now.licensed}",
            )
        if now.to_confirm is not None:
            await self._store.confirm_days(days)
            self._changes.note(
                "archive.retention", "archive", "retention", before={"days": now.confirmed}, after={"days": days}
            )
        return await self._retention(found)
