"""Keeps the snapshot as new as the database, and serves the last one while the database is away."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from typing import Final

from scutum_server.errors import Unavailable
from scutum_server.proxy.config.disk import SnapshotFile, UnusableError
from scutum_server.proxy.config.snapshot import Snapshot
from scutum_server.proxy.config.store import Batch, ConfigStore

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
ANSWER_S: Final = 5.0
BACKOFF_S: Final = (0.1, 1.0)
FIRST_S: Final = 1.0
"""How long the first start waits for a silent database when there is a saved configuration."""
STALE_S: Final = 3.0
_RESOLVED: Final = {"provider", "deployment", "alias"}


class ConfigFeed:
    """`current` is the snapshot to serve from: an empty one until `loaded`, when `first` is set.

    `max_stale` is after how many seconds without the database it is not `usable` any more; 0 is never.
    """

    def __init__(
        self, store: ConfigStore, new_snapshot: Callable[[], Snapshot], saved: SnapshotFile, max_stale: float = 0.0
    ) -> None:
        self.current = new_snapshot()
        self.first = asyncio.Event()
        self._store = store
        self._new_snapshot = new_snapshot
        self._saved = saved
        self._max_stale = max_stale
        self._confirmed = time.monotonic()
        self._from_disk = False

    @property
    def loaded(self) -> bool:
        return self.current.version >= 0

    @property
    def usable(self) -> bool:
        """Whether requests may be answered from `current`."""
        return self.current.version >= 0 and (not self._max_stale or self.age() <= self._max_stale)

    def age(self) -> float:
        """Seconds since the database confirmed `current`."""
        return time.monotonic() - self._confirmed

    @property
    def stale(self) -> bool:
        """Whether the database has been away for longer than a missed poll or two."""
        return self.age() > STALE_S

    async def run(self) -> None:
        """Until cancelled: hears of changes, polls twice a second as well, reconnects."""
        wait = BACKOFF_S[0]
        try:
            while True:
                try:
                    async with asyncio.timeout(self._patience()):
                        await self._store.open()
                    await self.refresh()
                    wait = BACKOFF_S[0]
                    await self._follow()
                except (Unavailable, TimeoutError) as error:
                    log.warning("configuration cannot be read, serving from the last snapshot: %s", error)
                except Exception:
                    # A row that nobody foresaw must not end the feed: revoked keys would stay valid.
                    log.exception("configuration cannot be applied, serving from the last snapshot")
                if not self.loaded:
                    await self._load_saved()
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
            self._confirmed = time.monotonic()

    async def refresh(self) -> None:
        """Applies what changed; loads everything anew at first and when the history of changes has a gap."""
        snapshot = self.current
        # A saved configuration may be older than a restored backup, whose versions mean other changes: read all anew.
        if self.loaded and not self._from_disk:
            async with asyncio.timeout(ANSWER_S):
                changed = await self._store.since(snapshot.version)
            if changed is not None:
                version, batch = changed
                apply(snapshot, batch)
                snapshot.version = version
                return
        fresh = self._new_snapshot()
        async with asyncio.timeout(ANSWER_S) as limit:
            async for version, batch in self._store.everything():
                for kind, object_id, row in batch:
                    fresh.put(kind, object_id, row)
                fresh.version = version
                limit.reschedule(asyncio.get_running_loop().time() + ANSWER_S)
                await asyncio.sleep(0)
        self._confirmed = time.monotonic()
        self._from_disk = False
        self._take(fresh, "configuration loaded")

    def _patience(self) -> float:
        return ANSWER_S if self.loaded or self._saved.age() is None else FIRST_S

    async def _load_saved(self) -> None:
        """Takes what an earlier worker saved, if there is any."""
        age = self._saved.age()
        if age is None:
            return
        fresh = self._new_snapshot()
        try:
            for version, batch in self._saved.read():
                for kind, object_id, row in batch:
                    fresh.put(kind, object_id, row)
                fresh.version = version
                await asyncio.sleep(0)
        except (UnusableError, KeyError, TypeError, ValueError) as error:
            log.warning("the saved configuration is not used: %s", error)
            return
        self._confirmed = time.monotonic() - age
        self._from_disk = True
        self._take(fresh, "configuration loaded from disk, the database is away")

    def _take(self, fresh: Snapshot, message: str) -> None:
        fresh.rebuild()
        self.current = fresh
        self.first.set()
        # 100 000 keys are half a million objects: out of the collector's sight they cost no pauses later.
        gc.collect()
        gc.freeze()
        log.info(message, extra={"version": fresh.version, "keys": len(fresh.credentials) - 1, "ready": True})


def apply(snapshot: Snapshot, batch: Batch) -> None:
    """Puts every row of `batch` into `snapshot`."""
    for kind, object_id, row in batch:
        snapshot.put(kind, object_id, row)
    if any(kind in _RESOLVED for kind, _, _ in batch):
        snapshot.rebuild()
