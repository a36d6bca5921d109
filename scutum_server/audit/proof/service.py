"""Asks the keeper for what only it can do, and shows how far it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec

from scutum_server.audit.chain.models import Checkpoint
from scutum_server.audit.chain.signing import moment, parse_public
from scutum_server.audit.moments import read_moment
from scutum_server.audit.proof.models import AuditKey, AuditTask, Shipment, StoredCheckpoint, TaskNotFound
from scutum_server.audit.proof.store import ProofStore
from scutum_server.errors import InvalidInput
from scutum_server.infra import paging
from scutum_server.infra.changes import Changes
from scutum_server.infra.paging import Page

Clock = Callable[[], dt.datetime]


class ProofService:
    def __init__(self, store: ProofStore, changes: Changes, clock: Clock, scope: str | None) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock
        self._scope = scope

    async def verify(
        self, since: str | None, until: str | None, keys: list[str], checkpoints: list[dict[str, Any]]
    ) -> AuditTask:
        """Asks for a walk over the trail; the same question that is still open is asked once. Raises InvalidInput."""
        now = self._clock()
        start, end = (
            None if text is None else read_moment(text, now, name) for text, name in ((since, "from"), (until, "to"))
        )
        if start is not None and end is not None and start >= end:
            raise InvalidInput("`from` must lie before `to`.", param="from")
        request = {
            "since": None if start is None else moment(start),
            "until": None if end is None else moment(end),
            "keys": [_kept(pem) for pem in keys],
            "checkpoints": [msgspec.structs.asdict(Checkpoint(**fields)) for fields in checkpoints],
        }
        return await self._ask("verify", request, "audit.verify")

    async def seal(self) -> AuditTask:
        """Asks for checkpoints now."""
        return await self._ask("checkpoint", {}, "audit.checkpoint")

    async def rotate(self) -> AuditTask:
        """Asks for a new signing key."""
        return await self._ask("rotate", {}, "audit.rotate_key")

    async def _ask(self, kind: str, request: dict[str, Any], action: str) -> AuditTask:
        open_one = await self._store.waiting(kind, request)
        if open_one is not None:
            return open_one
        task = await self._store.ask(kind, request)
        after = {"since": request.get("since"), "until": request.get("until")} if kind == "verify" else {}
        self._changes.note(action, "audit_task", task.id, org_id=self._scope, after=after)
        return task

    async def task(self, task_id: str) -> AuditTask:
        """Raises TaskNotFound."""
        task = await self._store.task(task_id)
        if task is None:
            raise TaskNotFound("There is no such task of the audit's keeper.", hint="It is kept for three months.")
        return task

    async def verifications(self, limit: int, cursor: str | None) -> Page[AuditTask]:
        """The newest first."""
        position = paging.decode("audit-verify", cursor)
        rows = await self._store.verifications(limit + 1, position[0] if position else None)
        return paging.cut("audit-verify", rows, limit, lambda task: (task.id,))

    async def checkpoints(self, limit: int, cursor: str | None) -> Page[StoredCheckpoint]:
        """The newest first."""
        position = paging.decode("audit-checkpoints", cursor)
        after = None if position is None else _number(position[0])
        rows = await self._store.checkpoints(limit + 1, after)
        return paging.cut("audit-checkpoints", rows, limit, lambda one: (str(one.number),))

    async def keys(self) -> list[AuditKey]:
        return await self._store.keys()

    async def shipments(self) -> list[Shipment]:
        return await self._store.shipments()


def _kept(pem: str) -> str:
    key = parse_public(pem)
    return key.pem if key.retired_at is None else f"Retired: {key.retired_at}\n{key.pem}"


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise InvalidInput("This cursor does not belong to this list.", code="invalid_cursor", param="cursor")
    return int(text)
