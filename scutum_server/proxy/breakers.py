"""Keeps this worker's circuit breakers in step with those of the fleet, without a request ever waiting for it.

A request waits for Redis in one case only: when a cooldown is over and it asks to be the fleet's one probe.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Final

from scutum_server.errors import Unavailable
from scutum_server.infra.tasks import Heed
from scutum_server.routing.health import Board, Health
from scutum_server.routing.models import Opening
from scutum_server.routing.store import BreakerStore, remaining

log = logging.getLogger(__name__)

PROBE_ANSWER_S: Final = 0.25
"""How long a request waits to learn whether it is the probe; then it decides for this process alone."""
PROBE_MS: Final = 10_000
OTHERS_PROBE_S: Final = 1.0
"""When to look again after another process took the probe, should its news get lost."""
RETRY_S: Final = 1.0
LONGEST_BACKLOG: Final = 10_000


class Breakers:
    """`board` holds the states; `run()` tells and hears."""

    def __init__(self, store: BreakerStore) -> None:
        self.board = Board(self)
        self._store = store
        self._untold: deque[tuple[str, Opening | None]] = deque(maxlen=LONGEST_BACKLOG)
        self._wake = asyncio.Event()

    def opened(self, deployment_id: str, cooldown_s: float, reason: str) -> None:
        """For the board: a breaker of this process opened."""
        log.warning("circuit breaker opened", extra={"deployment": deployment_id, "reason": reason})
        self._tell(deployment_id, Opening(time.time() + cooldown_s, cooldown_s, reason))

    def closed(self, deployment_id: str) -> None:
        """For the board: a breaker of this process closed."""
        log.info("circuit breaker closed", extra={"deployment": deployment_id})
        self._tell(deployment_id, None)

    def _tell(self, deployment_id: str, opening: Opening | None) -> None:
        self._untold.append((deployment_id, opening))
        self._wake.set()

    async def take_probe(self, health: Health) -> bool:
        """Whether this request may try a deployment whose cooldown is over; without Redis, one per process may."""
        # Taken here first: two requests of this process must not both ask.
        health.probe()
        try:
            async with asyncio.timeout(PROBE_ANSWER_S):
                mine = await self._store.take_probe(health.id, PROBE_MS)
        except (Unavailable, TimeoutError):
            return True
        except BaseException:
            health.abandon_probe()
            raise
        if not mine:
            health.abandon_probe()
            health.hear_opened(OTHERS_PROBE_S)
        return mine

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_all())
            group.create_task(self._hear_all())

    async def _tell_all(self) -> None:
        heed = Heed()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._untold:
                heed()
                deployment_id, opening = self._untold[0]
                try:
                    if opening is None:
                        await self._store.closed(deployment_id)
                    else:
                        await self._store.opened(deployment_id, opening)
                except Unavailable:
                    await asyncio.sleep(RETRY_S)
                    continue
                self._untold.popleft()

    async def _hear_all(self) -> None:
        heed = Heed()
        while True:
            try:
                async for news in self._store.news():
                    cooldown = None if news.opening is None else remaining(news.opening)
                    self.board.hear(news.id, cooldown_s=cooldown)
            except Unavailable as error:
                log.warning("circuit breakers are not shared for now: %s", error)
            except Exception:
                # What another release says must not end the listening.
                log.exception("news of circuit breakers cannot be read")
            heed()
            await asyncio.sleep(RETRY_S)
