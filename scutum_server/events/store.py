"""The table events_outbox: written with the change that an event tells of, published later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from scutum_server.events.models import Event
from scutum_server.infra.db import Connection
from scutum_server.infra.ids import new_id

APPEND = """
INSERT INTO events_outbox (id, type, severity, origin, org_id, dedup_key, state, payload)
VALUES (%(id)s, %(type)s, %(severity)s, %(origin)s, %(org_id)s, %(dedup_key)s, %(state)s, %(payload)s)
"""


async def append(conn: Connection, event: Event) -> str:
    """Writes the event in the connection's transaction and returns its id."""
    params = _row(event)
    await conn.execute(APPEND, params)
    return str(params["id"])


async def append_all(conn: Connection, events: Sequence[Event]) -> None:
    """Many of them, in few round trips."""
    async with conn.cursor() as cursor:
        await cursor.executemany(APPEND, [_row(event) for event in events])


def _row(event: Event) -> dict[str, Any]:
    payload = msgspec.to_builtins(event.payload)
    payload.pop("type")
    return {
        "id": new_id("evt"), "type": event.type, "severity": event.severity, "origin": event.origin,
        "org_id": event.org_id, "dedup_key": event.dedup_key, "state": event.state, "payload": Jsonb(payload),
    }  # fmt: skip
