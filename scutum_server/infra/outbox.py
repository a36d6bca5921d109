"""Writes of one turn of the event loop, made one right after the other at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

LARGE_BYTES: Final = 16 * 1024
"""What is written at once: a slow reader must be noticed before more comes for it."""


class Outbox:
    """One for an event loop. A peer that sleeps is woken by the first of several writes, and is awake for the others:
    to wake it for each costs 6 µs a write.

    Whoever writes to a transport past this, or closes it, calls `flush()` before.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.before: Callable[[], None] = _nothing
        """Runs before each flush: for what must have happened when the bytes leave."""
        self._waiting: list[tuple[asyncio.WriteTransport, bytes]] = []
        self._due = False

    def put(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        if len(data) > LARGE_BYTES:
            self.flush()
            transport.write(data)
            return
        self._waiting.append((transport, data))
        if not self._due:
            self.soon()

    def soon(self) -> None:
        """Has everything flushed at the end of this turn."""
        if not self._due:
            self._due = True
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._due = False
        self.flush()

    def flush(self) -> None:
        """Writes what waits; an empty outbox costs nothing."""
        self.before()
        waiting = self._waiting
        if waiting:
            self._waiting = []
            for transport, data in waiting:
                if not transport.is_closing():  # its peer is gone, and the others' writes must not go with it
                    transport.write(data)


def _nothing() -> None:
    """Nothing has to happen first."""


_OUTBOXES: WeakKeyDictionary[asyncio.AbstractEventLoop, Outbox] = WeakKeyDictionary()


def outbox_of(loop: asyncio.AbstractEventLoop) -> Outbox:
    """The loop's outbox."""
    found = _OUTBOXES.get(loop)
    if found is None:
        found = _OUTBOXES[loop] = Outbox(loop)
    return found
