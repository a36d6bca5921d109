"""The table audit_logs: appended to through its definer function, read by page."""

from __future__ import annotations

import datetime as dt

import msgspec
from psycopg.types.json import Jsonb

from scutum_server.audit.models import AuditEntry, AuditRow
from scutum_server.infra.db import Connection
from scutum_server.infra.ids import new_id

APPEND = """
SELECT audit_append(%(id)s, %(org_id)s, %(actor_id)s, %(actor_kind)s, %(actor_email)s, %(ip)s::inet, %(action)s,
    %(resource_type)s, %(resource_id)s, %(diff)s, %(request_id)s, %(outcome)s, %(source)s)
"""
PAGE = """
SELECT timestamp, id, org_id, seq, actor_id, actor_kind, actor_email, host(ip) AS ip, action, resource_type,
    resource_id, diff, request_id, outcome, source
FROM audit_logs
WHERE %(timestamp)s::timestamptz IS NULL OR (timestamp, id) < (%(timestamp)s::timestamptz, %(id)s::text)
ORDER BY timestamp DESC, id DESC LIMIT %(limit)s
"""


class AuditStore:
    """Works inside the connection's transaction; never commits."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def append(self, entry: AuditEntry) -> None:
        """Locks the head of the org's chain until the transaction ends, so it comes last in it."""
        fields = msgspec.structs.asdict(entry)
        await self._conn.execute(APPEND, fields | {"id": new_id("aud"), "diff": Jsonb(entry.diff)})

    async def page(self, limit: int, before: tuple[dt.datetime, str] | None) -> list[AuditRow]:
        """Newest first, starting after the row `before`."""
        timestamp, row_id = before or (None, None)
        cursor = await self._conn.execute(PAGE, {"timestamp": timestamp, "id": row_id, "limit": limit})
        return [AuditRow(**row) for row in await cursor.fetchall()]
