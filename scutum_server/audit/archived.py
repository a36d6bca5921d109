"""Archived rows as the audit's list shows them: this install's months, and those of other regions' archives."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import msgspec

from scutum_server.audit.merge import BEHIND_ALL, Source
from scutum_server.audit.models import AuditRow, Filter, Holdings, Place
from scutum_server.errors import Unavailable
from scutum_server.infra.archives import Part, PartDamaged, Roots, manifests, read_back
from scutum_server.infra.objectstore import ObjectStore

_FIELDS: Final = AuditRow.__struct_fields__
_FRESH_SECONDS: Final = 60.0
_MICROSECOND: Final = dt.timedelta(microseconds=1)


Look = Callable[[Filter], Awaitable[Holdings]]
"""Says where archived rows are, under a lock that keeps months from going meanwhile."""


class ArchiveUnreadable(Unavailable):
    """A month's rows cannot be had now: a list without them would be a lie."""

    code = "archive_unreadable"


class Vaults:
    """What the requests of a process share: opened stores, and what lies below other installs' roots, for a minute."""

    def __init__(self, make: Callable[[str], ObjectStore]) -> None:
        self.roots = Roots(make)
        self._found: dict[str, tuple[float, list[tuple[str, Part]]]] = {}

    def of(self, look: Look, scope: str | None) -> Archived:
        return Archived(look, self, scope)

    async def foreign(self, held: Holdings) -> list[tuple[ObjectStore, Part]]:
        """The parts of other installs. Raises ArchiveUnreadable."""
        found = []
        for url in held.others:
            looked, parts = self._found.get(url, (-_FRESH_SECONDS, []))
            if time.monotonic() - looked > _FRESH_SECONDS:
                parts = await asyncio.to_thread(self._look, url)
                self._found[url] = (time.monotonic(), parts)
            found += [(self.roots(url), part) for install, part in parts if install != held.install]
        return found

    def _look(self, url: str) -> list[tuple[str, Part]]:
        try:
            return [(one.install_id, one.part) for one in manifests(self.roots(url), "audit_logs")]
        except PartDamaged as error:
            raise ArchiveUnreadable(str(error)) from error


class Archived:
    """The vault of one request."""

    def __init__(self, look: Look, vaults: Vaults, scope: str | None) -> None:
        self._look = look
        self._vaults = vaults
        self._scope = scope

    async def sources(self, wanted: Filter, before: Place | None) -> list[Source]:
        """Raises ArchiveUnreadable."""
        return [
            _Archive(store, part, wanted, self._scope, before)
            for store, part in await self._parts(wanted)
            if before is None or part.first_at <= before[0]
        ]

    async def count(self, wanted: Filter) -> int:
        """A part that lies whole in the time and is asked for whole is not opened. Raises ArchiveUnreadable."""
        total = 0
        for store, part in await self._parts(wanted):
            whole = (wanted.since is None or wanted.since <= part.first_at) and (
                wanted.until is None or part.last_at < wanted.until
            )
            if whole and not wanted.equal() and self._scope is None:
                total += part.rows
                continue
            source = _Archive(store, part, wanted, self._scope, None)
            while source.frontier is not None:
                total += len(await source.advance())
        return total

    async def _parts(self, wanted: Filter) -> list[tuple[ObjectStore, Part]]:
        """Those whose time is asked for."""
        held = await self._look(wanted)
        places = [(self._vaults.roots(part.store_url), part) for part in held.parts]
        # Another region's rows are of other orgs than the one that a session is bound to.
        if self._scope is None:
            places += await self._vaults.foreign(held)
        return [(store, part) for store, part in places if _within(part, wanted)]


class _Archive:
    """One file, read from its end, in threads: a list that is full before its time never opens it."""

    def __init__(self, store: ObjectStore, part: Part, wanted: Filter, scope: str | None, before: Place | None) -> None:
        self._wanted = wanted
        self._before = before
        equal = wanted.equal() | ({} if scope is None else {"org_id": scope})
        until = min(filter(None, (wanted.until, None if before is None else before[0] + _MICROSECOND)), default=None)
        self._groups: Iterator[tuple[Any, dt.datetime | None]] = read_back(
            store, part, columns=_FIELDS, since=wanted.since, until=until, equal={k: [v] for k, v in equal.items()}
        )
        top = (part.last_at, BEHIND_ALL)
        self._frontier: Place | None = top if before is None else min(top, before)

    @property
    def frontier(self) -> Place | None:
        return self._frontier

    async def advance(self) -> list[AuditRow]:
        """One row group. Raises ArchiveUnreadable."""
        try:
            found = await asyncio.to_thread(self._next)
        except PartDamaged as error:
            raise ArchiveUnreadable(str(error), hint="What is wrong with it says: scutum audit verify") from error
        if found is None:
            self._frontier = None
            return []
        rows, oldest = found
        self._frontier = None if oldest is None else (oldest, "")
        return rows

    def _next(self) -> tuple[list[AuditRow], dt.datetime | None] | None:
        group = next(self._groups, None)
        if group is None:
            return None
        text = None if self._wanted.text is None else self._wanted.text.lower()
        rows = [_row(fields) for fields in group[0].to_pylist() if text is None or text in _told(fields)]
        return [row for row in rows if self._before is None or (row.timestamp, row.id) < self._before], group[1]


def _within(part: Part, wanted: Filter) -> bool:
    return (wanted.since is None or part.last_at >= wanted.since) and (
        wanted.until is None or part.first_at < wanted.until
    )


def _row(fields: dict[str, Any]) -> AuditRow:
    shown = {name: fields[name] for name in _FIELDS}
    return AuditRow(**shown | {"diff": msgspec.json.decode(fields["diff"]), "ip": _address(fields["ip"])})


def _address(ip: str | None) -> str | None:
    return None if ip is None else ip.partition("/")[0]


def _told(fields: dict[str, Any]) -> str:
    """What a search for text looks through, put together as in the database."""
    parts = (
        fields["actor_id"], fields["actor_email"], _address(fields["ip"]), fields["action"], fields["resource_type"],
        fields["resource_id"], fields["request_id"], fields["outcome"], fields["source"], fields["diff"],
    )  # fmt: skip
    return " ".join(part for part in parts if part is not None).lower()
