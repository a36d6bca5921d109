"""The table audit_logs: appended to through its definer function, read by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString

import msgspec
from psycopg.types.json import Jsonb

from scutum_server.audit.models import AuditEntry, AuditRow, Filter, Holdings, Place
from scutum_server.infra.archives import dropped_parts
from scutum_server.infra.db import Connection
from scutum_server.infra.ids import new_id
from scutum_server.infra.store import Store

APPEND: Final = "SELECT audit_append_all(%(org_id)s, %(entries)s)"
SELECT: Final[LiteralString] = """
SELECT timestamp, id, org_id, seq, actor_id, actor_kind, actor_email, host(ip) AS ip, action, resource_type,
    resource_id, diff, request_id, outcome, source
FROM audit_logs WHERE true"""
COUNT: Final[LiteralString] = "SELECT count(*) AS found FROM audit_logs WHERE true"
# A comparison of rows leaves out no partition, hence the bare one beside it.
BEFORE: Final[LiteralString] = (
    " AND timestamp <= %(timestamp)s AND (timestamp, id) < (%(timestamp)s::timestamptz, %(id)s::text)"
)
SINCE: Final[LiteralString] = " AND timestamp >= %(since)s"
UNTIL: Final[LiteralString] = " AND timestamp < %(until)s"
EQUAL: Final[dict[str, LiteralString]] = {
    "actor_id": " AND actor_id = %(actor_id)s",
    "actor_email": " AND actor_email = %(actor_email)s",
    "action": " AND action = %(action)s",
    "resource_type": " AND resource_type = %(resource_type)s",
    "resource_id": " AND resource_id = %(resource_id)s",
    "org_id": " AND org_id = %(org_id)s",
    "source": " AND source = %(source)s",
    "outcome": " AND outcome = %(outcome)s",
}
NEWEST: Final[LiteralString] = " ORDER BY timestamp DESC, id DESC LIMIT %(limit)s"
# Of several conditions one leads through its index; the others are held against the rows of a stretch, whose last row
# comes in any case, since it says where to go on.
STRETCH: Final[LiteralString] = """
SELECT * FROM (SELECT *, row_number() OVER () AS place, count(*) OVER () AS stretch, true"""
FROM: Final[LiteralString] = " AS holds FROM ("
LOOKED_AT: Final[LiteralString] = ") part) numbered WHERE holds OR place = stretch ORDER BY place"
TEXT: Final[LiteralString] = """
AND strpos(lower(concat_ws(' ', actor_id, actor_email, ip, action, resource_type, resource_id, request_id, outcome,
    source, diff::text)), %(text)s) > 0"""
HOLD: Final[LiteralString] = "LOCK TABLE audit_logs IN ACCESS SHARE MODE"
INSTALL: Final[LiteralString] = """
SELECT (SELECT value #>> '{}' FROM settings WHERE key = 'install_id') AS id,
    coalesce((SELECT value FROM settings WHERE key = 'archive.other_roots'), '[]') AS others
"""
ESTIMATE: Final[LiteralString] = "EXPLAIN (FORMAT JSON) SELECT FROM audit_logs WHERE true"


class AuditStore(Store):
    """Works inside the connection's transaction; never commits."""

    def __init__(self, conn: Connection, scope: str | None = None) -> None:
        super().__init__(conn, scope)

    async def append(self, org_id: str, entries: Sequence[AuditEntry]) -> None:
        """Locks the end of the org's chain until the transaction ends, so it comes last in it.

        In one go: one at a time would take time with the square of their number in one transaction.
        """
        told = [msgspec.structs.asdict(entry) | {"id": new_id("aud")} for entry in entries]
        await self._conn.execute(APPEND, {"org_id": org_id, "entries": Jsonb(told)})

    async def page(self, wanted: Filter, limit: int, before: Place | None) -> list[AuditRow]:
        """Newest first, starting after the row `before`: for one condition at most, which has an index of its own."""
        query, params = self._query(wanted, before, list(self._equal(wanted)))
        return [AuditRow(**row) for row in await self._rows(query + NEWEST, params | {"limit": limit})]

    async def stretch(
        self, wanted: Filter, leader: str | None, size: int, before: Place | None
    ) -> tuple[list[AuditRow], Place | None]:
        """Which of the next `size` rows of the leading condition fit, and the last row looked at, None at the end."""
        query, params = self._query(wanted, before, [] if leader is None else [leader])
        held: LiteralString = STRETCH
        for name in self._equal(wanted):
            if name != leader:
                held += EQUAL[name]
        if wanted.text:
            held += TEXT
        params |= {"limit": size, "text": (wanted.text or "").lower()}
        rows = await self._rows(held + FROM + query + NEWEST + LOOKED_AT, params)
        more = bool(rows) and rows[-1]["stretch"] == size
        end = (rows[-1]["timestamp"], rows[-1]["id"]) if more else None
        return [_row(row) for row in rows if row["holds"]], end

    async def leader(self, wanted: Filter) -> str | None:
        """The condition that the fewest rows fulfil, by Postgres' statistics; None without any."""
        equal = self._equal(wanted)
        if len(equal) < 2:
            return next(iter(equal), None)
        estimates = {}
        for name in equal:
            rows = await self._rows(ESTIMATE + EQUAL[name], equal)
            estimates[name] = rows[0]["QUERY PLAN"][0]["Plan"]["Plan Rows"]
        return min(estimates, key=lambda name: estimates[name])

    async def count(self, wanted: Filter) -> int:
        """How many rows there are; `text` is not looked at."""
        query, params = self._query(wanted, None, list(self._equal(wanted)))
        rows = await self._rows(COUNT + query.removeprefix(SELECT), params)
        return int(rows[0]["found"])

    async def holdings(self, wanted: Filter) -> Holdings:
        """Where rows are that are not in the table.

        From now on no partition goes until the transaction ends: a month that went between this look and the next one
        would be in neither place.
        """
        await self._conn.execute(HOLD)
        parts = await dropped_parts(self._conn, "audit_logs", wanted.since, wanted.until)
        (row,) = await self._rows(INSTALL, {})
        return Holdings(install=row["id"], parts=parts, others=row["others"])

    def conditions(self, wanted: Filter) -> int:
        """How many a row must fulfil, times aside."""
        return len(self._equal(wanted)) + (wanted.text is not None)

    def _equal(self, wanted: Filter) -> dict[str, str]:
        return wanted.equal() | ({} if self._scope is None else {"org_id": self._scope})

    def _query(
        self, wanted: Filter, before: Place | None, conditions: list[str]
    ) -> tuple[LiteralString, dict[str, Any]]:
        query = SELECT
        for name in conditions:
            query += EQUAL[name]
        if wanted.since is not None:
            query += SINCE
        if wanted.until is not None:
            query += UNTIL
        params: dict[str, Any] = {**self._equal(wanted), "since": wanted.since, "until": wanted.until}
        if before is not None:
            query += BEFORE
            params |= {"timestamp": before[0], "id": before[1]}
        return query, params


def _row(row: dict[str, Any]) -> AuditRow:
    return AuditRow(**{name: row[name] for name in AuditRow.__struct_fields__})
