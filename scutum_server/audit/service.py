"""Reading the audit trail: rows of the database and of the archives as one list."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from scutum_server.audit.merge import BEHIND_ALL, Source, newest
from scutum_server.audit.models import AuditRow, Filter, Place
from scutum_server.audit.moments import read_moment
from scutum_server.audit.store import AuditStore
from scutum_server.errors import InvalidInput
from scutum_server.infra import paging
from scutum_server.infra.paging import Page

SECONDS: Final = 1.5
"""After which a page comes with what was found by then: a search through everything takes many pages."""


FIRST_STRETCH: Final = 500
LAST_STRETCH: Final = 32_000


class Vault(Protocol):
    """The months that are no longer in the database."""

    async def sources(self, wanted: Filter, before: Place | None) -> Sequence[Source]:
        """Those that may hold such rows; nothing is read yet."""

    async def count(self, wanted: Filter) -> int:
        """How many such rows they hold."""


class AuditService:
    def __init__(
        self, store: AuditStore, clock: Callable[[], dt.datetime], vault: Vault | None = None, scope: str | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._vault = vault
        self._scope = scope

    async def page(
        self, wanted: Filter, since: str | None, until: str | None, limit: int, cursor: str | None
    ) -> Page[AuditRow]:
        """Newest first; a page may be short although more follows. Raises InvalidInput, also for another list's cursor.

        `since` and `until` are a span before now or an ISO time.
        """
        now = self._clock()
        position = paging.decode("audit", cursor, 2)
        before = None if position is None else _place(position)
        wanted = _between(
            wanted,
            None if since is None else read_moment(since, now, "since"),
            None if until is None else read_moment(until, now, "until"),
        )
        if self._scope is not None and wanted.org not in {None, self._scope}:
            return Page([], None)
        archived = [] if self._vault is None else await self._vault.sources(wanted, before)
        sources: list[Source] = [_Hot(self._store, wanted, limit + 1, before), *archived]
        deadline = time.monotonic() + SECONDS
        rows, following = await newest(sources, limit, lambda: time.monotonic() < deadline)
        return Page(rows, None if following is None else paging.encode("audit", following[0].isoformat(), following[1]))

    async def count(self, wanted: Filter, since: str | None, until: str | None) -> int:
        """How many rows there are like this. Raises InvalidInput for a search through their text."""
        if wanted.text is not None:
            raise InvalidInput("Rows are not counted by their text.", param="text")
        now = self._clock()
        wanted = _between(
            wanted,
            None if since is None else read_moment(since, now, "since"),
            None if until is None else read_moment(until, now, "until"),
        )
        if self._scope is not None and wanted.org not in {None, self._scope}:
            return 0
        archived = 0 if self._vault is None else await self._vault.count(wanted)
        return archived + await self._store.count(wanted)


class _Hot:
    """The database's rows: a page at once by one condition, in growing stretches by several."""

    def __init__(self, store: AuditStore, wanted: Filter, size: int, before: Place | None) -> None:
        self._store = store
        self._wanted = wanted
        self._size = size
        self._stretch = FIRST_STRETCH
        self._leader: str | None = None
        self._led = False
        self._before = before
        self._frontier: Place | None = before or (dt.datetime.max.replace(tzinfo=dt.UTC), BEHIND_ALL)

    @property
    def frontier(self) -> Place | None:
        return self._frontier

    async def advance(self) -> list[AuditRow]:
        if self._store.conditions(self._wanted) > 1 or self._wanted.text:
            if not self._led:
                self._leader, self._led = await self._store.leader(self._wanted), True
            found = await self._store.stretch(self._wanted, self._leader, self._stretch, self._before)
            rows, self._frontier = found
            self._stretch = min(4 * self._stretch, LAST_STRETCH)
        else:
            rows = await self._store.page(self._wanted, self._size, self._before)
            self._frontier = (rows[-1].timestamp, rows[-1].id) if len(rows) == self._size else None
        self._before = self._frontier
        return rows


def _between(wanted: Filter, since: dt.datetime | None, until: dt.datetime | None) -> Filter:
    if since is not None and until is not None and since >= until:
        raise InvalidInput("`since` must lie before `until`.", param="since")
    fields = {name: getattr(wanted, name) for name in Filter.__struct_fields__}
    return Filter(**fields | {"since": since, "until": until})


def _place(position: list[str]) -> Place:
    try:
        moment = dt.datetime.fromisoformat(position[0])
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput("This cursor does not belong to this list.", code="invalid_cursor", param="cursor")
    return moment, position[1]
