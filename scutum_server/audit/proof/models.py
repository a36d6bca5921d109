"""What is asked of the keeper of the audit trail, and what it shows."""

from __future__ import annotations

import datetime as dt
from typing import Any

from msgspec import Struct

from scutum_server.errors import NotFound


class TaskNotFound(NotFound):
    code = "audit_task_not_found"


class AuditTask(Struct, frozen=True, kw_only=True):
    """`state` is waiting, running, done or failed; `result` comes with the last two."""

    id: str
    kind: str
    org_id: str | None
    state: str
    progress: dict[str, Any]
    result: dict[str, Any] | None
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


class StoredCheckpoint(Struct, frozen=True, kw_only=True):
    """A checkpoint as it was signed: times are the texts that the signature covers."""

    number: int
    org_id: str
    seq: int
    timestamp: str
    hash: str
    count: int
    signed_at: str
    key_id: str
    signature: str


class AuditKey(Struct, frozen=True, kw_only=True):
    id: str
    pem: str
    retired_at: dt.datetime | None


class Shipment(Struct, frozen=True, kw_only=True):
    """A place off the host; `behind` checkpoints have not reached it yet."""

    target: str
    shipped_at: dt.datetime | None
    behind: int
    error: str | None
    failing_since: dt.datetime | None
