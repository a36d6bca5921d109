"""The worker tells that it lives, and what it waits for, in Redis and in a file beside its log."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from scutum_server import __version__
from scutum_server.errors import Unavailable
from scutum_server.infra.tasks import Heed
from scutum_server.worker.store import HeartbeatStore
from scutum_server.worker.tracing import TraceState

log = logging.getLogger(__name__)

BEAT_SECONDS = 2.0


class Beat(msgspec.Struct, kw_only=True):
    """`waiting` is "database" or "redis" while usage records cannot go on, else null; counts since the start.

    `traces` is null when no collector takes them.
    """

    at: dt.datetime
    pid: int
    version: str
    waiting: str | None
    stored: int
    rejected: int
    traces: TraceState | None = None


class Heartbeat:
    def __init__(self, store: HeartbeatStore, status_file: Path | None, report: Callable[[], Beat]) -> None:
        self._store = store
        self._status_file = status_file
        self._report = report
        self._file_failed = False

    async def run(self) -> None:
        """Every two seconds until cancelled."""
        heed = Heed()
        while True:
            heed()
            beat = msgspec.json.encode(self._report())
            self._write(beat)
            # Who reads it notices; the log has one line about Redis already.
            with contextlib.suppress(Unavailable):
                await self._store.put(beat)
            await asyncio.sleep(BEAT_SECONDS)

    def _write(self, beat: bytes) -> None:
        if self._status_file is None:
            return
        draft = self._status_file.with_suffix(f".{os.getpid()}.tmp")
        try:
            draft.write_bytes(beat + b"\n")
            draft.replace(self._status_file)
        except OSError as error:
            if not self._file_failed:
                log.warning("The status file cannot be written: %s", error)
            self._file_failed = True
        else:
            self._file_failed = False


def beat(*, waiting: str | None, stored: int, rejected: int, traces: TraceState | None = None) -> Beat:
    return Beat(
        at=dt.datetime.now(dt.UTC),
        pid=os.getpid(),
        version=__version__,
        waiting=waiting,
        stored=stored,
        rejected=rejected,
        traces=traces,
    )
