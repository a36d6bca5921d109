"""Reading the audit trail."""

from __future__ import annotations

import datetime as dt

from scutum_server.audit.models import AuditRow
from scutum_server.audit.store import AuditStore
from scutum_server.errors import InvalidInput
from scutum_server.infra import paging
from scutum_server.infra.paging import Page


class AuditService:
    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def page(self, limit: int, cursor: str | None) -> Page[AuditRow]:
        """Newest first; raises InvalidInput for a cursor of another list."""
        position = paging.decode("audit", cursor, 2)
        rows = await self._store.page(limit + 1, _moment(position) if position else None)
        return paging.cut("audit", rows, limit, lambda row: (row.timestamp.isoformat(), row.id))


def _moment(position: list[str]) -> tuple[dt.datetime, str]:
    try:
        moment = dt.datetime.fromisoformat(position[0])
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput("This cursor does not belong to this list.", code="invalid_cursor", param="cursor")
    return moment, position[1]
