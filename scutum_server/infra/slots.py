"""How many may work at once: the rest waits its turn instead of being turned away."""

from __future__ import annotations

import asyncio
from types import TracebackType

from scutum_server.errors import Unavailable

WAIT_S = 60.0


class Slots:
    """`async with` takes a slot, first come, first served; raises Unavailable after `WAIT_S` or in too long a queue."""

    def __init__(self, count: int, *, queue: int = 5000) -> None:
        self._free = asyncio.Semaphore(count)
        self._queue = queue
        self._waiting = 0

    async def __aenter__(self) -> None:
        if self._waiting >= self._queue:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await self._free.acquire()
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free.release()


def _busy() -> Unavailable:
    return Unavailable("The control plane has more to do than it can.", code="busy", hint="Try again in a moment.")
