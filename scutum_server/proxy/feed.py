"""Keeps the snapshot as new as the database, and serves the last one while the database is away."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Final

from scutum_server.errors import Unavailable
from scutum_server.proxy.snapshot import Snapshot
from scutum_server.proxy.store import Batch, ConfigStore

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
ANSWER_S: Final = 5.0
BACKOFF_S: Final = (0.1, 1.0)
_RESOLVED: Final = {"provider", "deployment", "alias"}


class ConfigFeed:
    """`current` is the snapshot to serve from: an empty one until `loaded`, when `first` is set."""

    def __init__(self, store: ConfigStore, new_snapshot: Callable[[], Snapshot]) -> None:
        self.current = new_snapshot()
        self.first = asyncio.Event()
        self._store = store
        self._new_snapshot = new_snapshot

    @property
    def loaded(self) -> bool:
        return self.current.version >= 0

    async def run(self) -> None:
        """Until cancelled: hears of changes, polls twice a second as well, reconnects."""
        wait = BACKOFF_S[0]
        try:
            while True:
                try:
                    async with asyncio.timeout(ANSWER_S):
                        await self._store.open()
                    await self.refresh()
                    wait = BACKOFF_S[0]
                    await self._follow()
                except (Unavailable, TimeoutError) as error:
                    log.warning("configuration cannot be read, serving from the last snapshot: %s", error)
                except Exception:
                    # A row that nobody foresaw must not end the feed: revoked keys would stay valid.
                    log.exception("configuration cannot be applied, serving from the last snapshot")
                else:
                    continue
                await asyncio.sleep(wait)
                wait = min(wait * 2, BACKOFF_S[1])
        finally:
            await self._store.close()

    async def _follow(self) -> None:
        while True:
            await self._store.wait(POLL_S)
            async with asyncio.timeout(ANSWER_S):
                behind = await self._store.version() != self.current.version
            if behind:
                await self.refresh()

    async def refresh(self) -> None:
        """Applies what changed; loads everything anew at first and when the history of changes has a gap."""
        snapshot = self.current
        if self.loaded:
            async with asyncio.timeout(ANSWER_S):
                changed = await self._store.since(snapshot.version)
            if changed is not None:
                version, batch = changed
                apply(snapshot, batch)
                snapshot.version = version
                return
        fresh = self._new_snapshot()
        async for version, batch in self._store.everything():
            for kind, object_id, row in batch:
                fresh.put(kind, object_id, row)
            fresh.version = version
            await asyncio.sleep(0)
        fresh.rebuild()
        self.current = fresh
        self.first.set()
        # 100 000 keys are half a million objects: out of the collector's sight they cost no pauses later.
        gc.collect()
        gc.freeze()
        log.info(
            "configuration loaded", extra={"version": fresh.version, "keys": len(fresh.credentials) - 1, "ready": True}
        )


def apply(snapshot: Snapshot, batch: Batch) -> None:
    """Puts every row of `batch` into `snapshot`."""
    for kind, object_id, row in batch:
        snapshot.put(kind, object_id, row)
    if any(kind in _RESOLVED for kind, _, _ in batch):
        snapshot.rebuild()
