"""What is archived and what is due, for the control plane and the worker."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scutum_server.archives.models import Archive, Partition
from scutum_server.infra.listing import Ask, Listing, Sort, exact
from scutum_server.infra.paging import Page
from scutum_server.infra.refs import Candidate
from scutum_server.infra.store import Store

COLUMNS = """
    id, table_name AS table, month, part, state, store_url, object_key AS key, version, rows, bytes, sha256, first_at,
    last_at, locked_until, error, started_at, verified_at, dropped_at
"""
ARCHIVES: Final = Listing(
    "archives",
    columns=COLUMNS,
    source="archives",
    id="id",
    sorts={"month": Sort("month", "date"), "rows": Sort("coalesce(rows, 0)", "bigint")},
    filters={"table": exact("table_name"), "state": exact("state")},
)
ARCHIVE = f"SELECT {COLUMNS} FROM archives WHERE id = %(id)s"
CANDIDATES = """
SELECT id, id AS name, table_name || ' ' || to_char(month, 'YYYY-MM') AS label FROM archives
WHERE id = %(ref)s OR starts_with(id, %(part)s) OR right(id, length(%(part)s)) = %(part)s LIMIT 20
"""
PARTITIONS = "SELECT parent AS table, month, estimate AS rows, bytes FROM archive_partitions()"
CONFIRMED = "SELECT days FROM archive_retention"
CONFIRM = """
INSERT INTO archive_retention (days) VALUES (%(days)s)
ON CONFLICT (singleton) DO UPDATE SET days = excluded.days, updated_at = now()
"""
SETTINGS = "SELECT key, value FROM settings WHERE key LIKE 'archive.%%'"


class ArchiveStore(Store):
    async def page(self, ask: Ask) -> Page[Archive]:
        return await ARCHIVES.page(self._conn, ask, lambda row: msgspec.convert(row, Archive))

    async def archive(self, archive_id: str) -> Archive | None:
        rows = await self._rows(ARCHIVE, {"id": archive_id})
        return msgspec.convert(rows[0], Archive) if rows else None

    async def candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(CANDIDATES, ref, "arc")

    async def partitions(self) -> list[Partition]:
        """The months in the database, oldest first within a table."""
        return [msgspec.convert(row, Partition) for row in await self._rows(PARTITIONS, {})]

    async def confirmed_days(self) -> int | None:
        rows = await self._rows(CONFIRMED, {})
        return rows[0]["days"] if rows else None

    async def confirm_days(self, days: int) -> None:
        await self._conn.execute(CONFIRM, {"days": days})

    async def settings(self) -> dict[str, Any]:
        """What was set of `archive.…`."""
        return {row["key"]: row["value"] for row in await self._rows(SETTINGS, {})}
