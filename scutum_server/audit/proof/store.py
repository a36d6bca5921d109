"""The keeper's tables as the control plane sees them."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from scutum_server.audit.proof.models import AuditKey, AuditTask, Shipment, StoredCheckpoint
from scutum_server.infra.ids import new_id
from scutum_server.infra.store import Store

ASK = """
INSERT INTO audit_tasks (id, kind, org_id, request) VALUES (%(id)s, %(kind)s, %(org)s, %(request)s)
RETURNING id, kind, org_id, state, progress, result, created_at, started_at, finished_at
"""
TASK = """
SELECT id, kind, org_id, state, progress, result, created_at, started_at, finished_at FROM audit_tasks
WHERE id = %(id)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s)
"""
VERIFICATIONS = """
SELECT id, kind, org_id, state, progress, result, created_at, started_at, finished_at FROM audit_tasks
WHERE kind = 'verify' AND (%(scope)s::text IS NULL OR org_id = %(scope)s)
    AND (%(before)s::text IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""
WAITING = """
SELECT id, kind, org_id, state, progress, result, created_at, started_at, finished_at FROM audit_tasks
WHERE state IN ('waiting', 'running') AND kind = %(kind)s AND org_id IS NOT DISTINCT FROM %(org)s
    AND request = %(request)s
ORDER BY created_at LIMIT 1
"""
CHECKPOINTS = """
SELECT id AS number, org_id, seq, to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS timestamp,
    encode(hash, 'hex') AS hash, count,
    to_char(signed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS signed_at, key_id,
    encode(signature, 'hex') AS signature
FROM audit_checkpoints
WHERE (%(scope)s::text IS NULL OR org_id = %(scope)s) AND (%(after)s::bigint IS NULL OR id < %(after)s)
ORDER BY id DESC LIMIT %(limit)s
"""
KEYS = "SELECT id, pem, retired_at FROM audit_keys ORDER BY seen_at DESC, id"
SHIPMENTS = """
SELECT target, shipped_at, error, failing_since,
    (SELECT count(*) FROM audit_checkpoints c WHERE c.id > s.through) AS behind
FROM audit_shipments s ORDER BY target
"""


class ProofStore(Store):
    """`scope` is the one org that a session may see."""

    async def ask(self, kind: str, request: dict[str, Any]) -> AuditTask:
        params = {"id": new_id("aut"), "kind": kind, "org": self._scope, "request": Jsonb(request)}
        return AuditTask(**(await self._rows(ASK, params))[0])

    async def waiting(self, kind: str, request: dict[str, Any]) -> AuditTask | None:
        """The same that somebody has asked for already and that is not over."""
        rows = await self._rows(WAITING, {"kind": kind, "org": self._scope, "request": Jsonb(request)})
        return AuditTask(**rows[0]) if rows else None

    async def task(self, task_id: str) -> AuditTask | None:
        rows = await self._rows(TASK, {"id": task_id, "scope": self._scope})
        return AuditTask(**rows[0]) if rows else None

    async def verifications(self, limit: int, before: str | None) -> list[AuditTask]:
        """The newest first."""
        rows = await self._rows(VERIFICATIONS, {"scope": self._scope, "limit": limit, "before": before})
        return [AuditTask(**row) for row in rows]

    async def checkpoints(self, limit: int, after: int | None) -> list[StoredCheckpoint]:
        """The newest first."""
        rows = await self._rows(CHECKPOINTS, {"scope": self._scope, "limit": limit, "after": after})
        return [StoredCheckpoint(**row) for row in rows]

    async def keys(self) -> list[AuditKey]:
        return [AuditKey(**row) for row in await self._rows(KEYS, {})]

    async def shipments(self) -> list[Shipment]:
        return [Shipment(**row) for row in await self._rows(SHIPMENTS, {})]
