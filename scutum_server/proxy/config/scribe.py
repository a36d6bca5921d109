"""Writes the configuration to disk behind the requests' back: one process of the host, on a connection of its own.

It reads the database anew instead of the snapshot in memory, which holds parsed objects: a base row by row in small
pieces, later only what changed. With 100 000 keys no piece keeps the loop for more than a few milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from scutum_server.errors import Unavailable
from scutum_server.proxy.config.disk import SnapshotFile
from scutum_server.proxy.config.store import ConfigStore

log = logging.getLogger(__name__)

LOOK_S: Final = 2.0
GATHER_S: Final = 0.1
ANSWER_S: Final = 5.0
RETRY_S: Final = (1.0, 30.0)
CLAIM_S: Final = 5.0
PAUSE_S: Final = 0.002
SMALL_BYTES: Final = 1024 * 1024


class Scribe:
    """`run()` as a task; `close()` after it was cancelled."""

    def __init__(self, store: ConfigStore, file: SnapshotFile) -> None:
        self._store = store
        self._file = file
        self._version = -1

    async def run(self) -> None:
        """Until cancelled: waits for its turn to be the host's writer, writes, and starts again after every failure."""
        wait = RETRY_S[0]
        while True:
            try:
                if not self._file.claim():
                    await asyncio.sleep(CLAIM_S)
                    continue
                async with asyncio.timeout(ANSWER_S):
                    await self._store.open()
                await self._write_base()
                wait = RETRY_S[0]
                await self._follow()
            except (Unavailable, TimeoutError):
                wait = RETRY_S[0]  # the feed says that the database is away
            except OSError as error:
                log.warning("the configuration cannot be saved in %s: %s", self._file.path.parent, error.strerror)
                wait = min(wait * 2, RETRY_S[1])
            except Exception:
                # The requests are served from memory: only the next start without a database would miss it.
                log.exception("the configuration cannot be saved")
                wait = RETRY_S[1]
            await asyncio.sleep(wait)

    async def close(self) -> None:
        self._file.release()
        await self._store.close()

    async def _write_base(self) -> None:
        self._file.begin()
        async with asyncio.timeout(ANSWER_S) as limit:
            async for version, batch in self._store.everything():
                self._version = version
                if batch:
                    self._file.write(version, batch)
                limit.reschedule(asyncio.get_running_loop().time() + ANSWER_S)
                await asyncio.sleep(PAUSE_S)
        self._file.write(self._version, [])
        await asyncio.to_thread(self._file.commit)
        log.info("configuration saved", extra={"version": self._version, "bytes": self._file.base_bytes})

    async def _follow(self) -> None:
        while True:
            await self._store.wait(LOOK_S)
            async with asyncio.timeout(ANSWER_S):
                now = await self._store.version()
            if now == self._version:
                self._file.confirm()
                continue
            await asyncio.sleep(GATHER_S)
            async with asyncio.timeout(ANSWER_S):
                changed = await self._store.since(self._version)
            if changed is None or self._file.added_bytes > SMALL_BYTES + self._file.base_bytes:
                await self._write_base()
                continue
            self._version, batch = changed
            self._file.write(self._version, batch)
            await asyncio.to_thread(self._file.sync)
