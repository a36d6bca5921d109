"""The keeper of the audit trail: signs it every ten minutes, ships what it signed, and answers what is asked of it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from scutum_server.audit.chain.models import Finding
from scutum_server.audit.chain.sealing import Sealed, Sealer, Shelf
from scutum_server.audit.chain.shelf import StoreShelf
from scutum_server.audit.chain.signing import Keyring
from scutum_server.audit.chain.store import ChainStore, Task, unavailable_on_error
from scutum_server.errors import ScutumError, Unavailable
from scutum_server.events import store as events
from scutum_server.events.models import AuditTampered, Event
from scutum_server.infra.db import connect
from scutum_server.settings import WorkerSettings

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 5.0
_NO_KEYS: Final = "This worker has no directory for the signing key (SCUTUM_AUDIT_KEYS)."


class Keeper:
    """Alone in holding the signing key; several hosts' keepers take turns."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._told: set[tuple[object, ...]] = set()
        self._complaint: str | None = None
        self._proofs: set[asyncio.Task[None]] = set()
        self._store: ChainStore | None = None

    async def run(self) -> None:
        """Until cancelled; what is under way then is taken up by the next keeper."""
        due = 0.0
        clock = asyncio.get_running_loop().time
        try:
            while True:
                try:
                    while (task := await self._take()) is not None:
                        await self._do(task)
                    if self._settings.audit.keys is not None and clock() >= due:
                        await self._turn()
                        due = clock() + self._settings.audit.every_seconds
                    await asyncio.sleep(LOOK_SECONDS)
                except ScutumError as error:
                    self._complain(error.detail)
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            for proof in self._proofs:
                proof.cancel()
            await asyncio.gather(*self._proofs, return_exceptions=True)
            if self._store is not None:
                self._store.close()

    async def _take(self) -> Task | None:
        # One walk at a time: a second one would only slow the first.
        kinds = ["checkpoint", "rotate", *([] if self._proofs else ["verify"])]
        return await self._stored(lambda store: store.take(kinds))

    async def _do(self, task: Task) -> None:
        if task.kind == "verify":
            proof = asyncio.create_task(self._prove(task))
            self._proofs.add(proof)
            proof.add_done_callback(self._proofs.discard)
            return
        try:
            done = await self._turn(rotate=task.kind == "rotate")
        except Unavailable:
            raise
        except ScutumError as error:
            await self._end(task.id, "failed", {"error": error.detail})
            return
        state = "failed" if done.busy else "done"
        result = {"error": "Another worker signs just now; ask again."} if done.busy else _told(done)
        await self._end(task.id, state, result)

    async def _turn(self, *, rotate: bool = False) -> Sealed:
        """Signs and ships; raises Unavailable, and KeyUnreadable or SettingsError where no key is to be had."""
        audit = self._settings.audit
        if audit.keys is None:
            raise ScutumError(_NO_KEYS)
        places = await self._stored(lambda store: shelves(self._settings, store))
        sealer = Sealer(self._connect, Keyring(audit.keys), places, lambda: dt.datetime.now(dt.UTC))
        done = await asyncio.to_thread(sealer.turn, rotate=rotate)
        await self._alarm(done.findings)
        self._complain("; ".join(f"{name}: {why}" for name, why in done.failures.items()) or None)
        return done

    async def _prove(self, task: Task) -> None:
        """In a process of its own: millions of hashes would hold up the spend records here."""
        isolated = ["-I"] if sys.flags.isolated else []
        process = await asyncio.create_subprocess_exec(
            sys.executable, *isolated, "-m", "scutum_server.worker.proof", task.id, start_new_session=True
        )
        try:
            code = await process.wait()
            if code != 0:
                await self._end(task.id, "failed", {"error": f"The verification ended with code {code}."})
                return
            result = await self._stored(lambda store: store.result(task.id))
            await self._alarm(msgspec.convert((result or {}).get("findings", []), list[Finding]))
        except Unavailable as error:
            self._complain(error.detail)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _alarm(self, findings: list[Finding]) -> None:
        """An event for what this process has not told yet."""
        fresh = [one for one in findings if (one.kind, one.org_id, one.seq) not in self._told]
        if not fresh:
            return
        log.critical("The audit trail was tampered with: %s", fresh[0].detail, extra={"findings": len(fresh)})
        with unavailable_on_error():
            async with await connect(self._settings.database, name="keeper") as conn, conn.transaction():
                for one in fresh[:20]:
                    payload = AuditTampered(
                        kind=one.kind,
                        org_id=one.org_id,
                        seq=one.seq,
                        last_seq=one.last_seq,
                        id=one.id,
                        detail=one.detail,
                    )
                    key = f"audit:{one.org_id}:{one.kind}:{one.seq}"
                    event = Event(
                        payload=payload, origin="worker", dedup_key=key, org_id=one.org_id, severity="critical"
                    )
                    await events.append(conn, event)
        self._told.update((one.kind, one.org_id, one.seq) for one in fresh)

    async def _end(self, task_id: str, state: str, result: dict[str, Any]) -> None:
        await self._stored(lambda store: store.end(task_id, state, result))

    def _connect(self) -> ChainStore:
        return ChainStore(self._settings.direct, "keeper")

    async def _stored(self, work: Callable[[ChainStore], T]) -> T:
        """On the kept connection, which is given up when it fails. Raises Unavailable."""

        def attempt() -> T:
            store = self._store = self._store or self._connect()
            try:
                return work(store)
            except Unavailable:
                self._store = None
                store.close()
                raise

        return await asyncio.to_thread(attempt)

    def _complain(self, what: str | None) -> None:
        """Once for each trouble, not once a try."""
        if what is not None and what != self._complaint:
            log.warning("The audit trail's keeper cannot do its work: %s", what)
        self._complaint = what


def shelves(settings: WorkerSettings, store: ChainStore) -> list[Shelf]:
    """The places that checkpoints are shipped to: those that are named, else where the archives are."""
    from scutum_server.infra.objectstore import make_store

    archive = store.setting("archive.url") or settings.archive.url
    urls = settings.audit.ship or (() if archive is None else (archive,))
    return [StoreShelf(make_store(url, settings.archive.s3)) for url in urls]


def _told(done: Sealed) -> dict[str, Any]:
    return {"signed": done.signed, "shipped": done.shipped, "found": len(done.findings), "failures": done.failures}
