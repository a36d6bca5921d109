"""A worker's leases and the one task that talks to Redis about them.

Whoever has units at hand takes them at once; everybody else waits in one queue, and one call leases for all of them.
Times are milliseconds of Redis' clock, as far as this worker can tell: never earlier than it really is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

from scutum_server.errors import Unavailable
from scutum_server.infra.tasks import Heed
from scutum_server.infra.windows import FOREVER, bounds
from scutum_server.leases.lease import Lease, Refusal
from scutum_server.leases.ledger import SUFFIX, Ledger, Void
from scutum_server.leases.models import Meter
from scutum_server.leases.queue import EARLY_MS, MEMORY_MS, Need, Queue, Take, Waiter
from scutum_server.leases.recovery import HandOver, Recovery
from scutum_server.leases.store import BEAT_MS, FRESH_MS, Ask, Granted, Holding, LeaseStore
from scutum_server.leases.succession import take_over

log = logging.getLogger(__name__)

ADOPT_MS: Final = 2_000.0
SWEEP_MS: Final = 60_000.0

Spent = Callable[[Meter, int], Awaitable[int]]
"""What was spent of a budget since the beginning of its window; raises Unavailable."""


class Keeper:
    """Belongs to one event loop. `open()`, then `run()` and `listen()` as tasks, then `close()`."""

    def __init__(
        self, store: LeaseStore, directory: Path, spent: Spent, hand_over: HandOver = lambda: lambda: True
    ) -> None:
        self.offset = 0.0
        self.fresh = 0.0
        """Until when this worker may spend what it holds without another heartbeat."""
        self.down = False
        self.generation = 0
        """Changes when leases were dropped: who keeps some must ask for them again."""
        self.round_trips = 0
        self._store = store
        self._directory = directory
        self._spent = spent
        self._recovery = Recovery(hand_over)
        self._leases: dict[str, Lease] = {}
        self.queue = Queue()
        self._renewals: dict[Lease, None] = {}
        self._untold: dict[Lease, None] = {}
        self._surplus: dict[Lease, None] = {}
        self._seeding: dict[Lease, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._adopted = self._swept = 0.0

    def open(self) -> None:
        """Raises OSError when the directory cannot be used."""
        self._ledger = Ledger(self._directory)

    @property
    def holder(self) -> str:
        """The name under which this worker leases, once it is open."""
        return self._ledger.holder

    def now(self) -> float:
        return time.monotonic() * 1000 + self.offset

    def lease(self, meter: Meter) -> Lease:
        """The worker's lease of a quota, which takes over a changed capacity."""
        lease = self._leases.get(meter.id)
        if lease is None:
            lease = self._leases[meter.id] = Lease(meter, self._ledger, self._ledger.take())
        elif lease.meter != meter:
            lease.meter = meter
            lease.forget_refusal()
            lease.give_back()
            self.tell(lease)
        return lease

    def renew(self, lease: Lease) -> None:
        """Leases some more before the last units are gone."""
        lease.low = -1
        self._renewals[lease] = None
        self._wake.set()

    def tell(self, lease: Lease) -> None:
        """Has Redis told what the lease holds now."""
        self._untold[lease] = None
        self._wake.set()

    def settled(self, lease: Lease, now: float) -> None:
        """What became free goes to whoever waits here, and to the other workers while there is little."""
        if now < lease.scarce_until:
            lease.forget_refusal()
            self._surplus[lease] = None
            self._wake.set()
        elif lease.stale:
            self.tell(lease)
        elif self.queue:
            self._wake.set()

    async def acquire(self, needs: list[Need], take: Take) -> Refusal | None:
        """Calls `take` once all needs are at hand, with the leases that were to be had without Redis left out.

        Otherwise returns why not. Raises Unavailable when Redis is away and a quota is to hold nevertheless.
        """
        waiter = Waiter(needs, take)
        if self.down:
            now = self.now()
            self.queue.decide(waiter, now, fresh=now < self.fresh)
        else:
            self.queue.add(waiter)
            self._wake.set()
        try:
            return await waiter.answer
        finally:
            self.queue.remove(waiter)

    # -- the task

    async def run(self) -> None:
        """Until cancelled."""
        heed = Heed()
        while True:
            heed()
            self._wake.clear()
            try:
                await self._turn()
            except Unavailable as error:
                self._lose(error)
            except Exception as error:
                # Without this task nothing is admitted any more: better each quota as it is to be on failure.
                log.exception("leasing failed")
                self._lose(error)
            pause = self._pause()
            if pause > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause / 1000):
                        await self._wake.wait()

    def _pause(self) -> float:
        """Milliseconds until something is to be done unasked."""
        now = self.now()
        beat = now + BEAT_MS / 4 if self.down else self.fresh - FRESH_MS + BEAT_MS
        return min(beat, self.queue.next_ask(now)) - now

    async def _turn(self) -> None:
        if self.down or self.now() >= self.fresh - FRESH_MS + BEAT_MS:
            await self._beat()
        while True:
            now = self.now()
            if now >= self.fresh:
                await self._beat()
                continue
            self.queue.serve(now)
            self._give_back()
            await self._tell_all()
            now = self.now()
            asks = self._asks(now)
            if not asks:
                return
            await self._ask(asks, now)

    async def _beat(self) -> None:
        sent = time.monotonic() * 1000
        self.round_trips += 1
        beat = await self._store.beat(self._ledger.holder, uuid4().hex, owing=self._recovery.owing)
        self.offset = beat.now - sent
        self.fresh = beat.now + FRESH_MS
        if self.down:
            log.info("Limits are counted again")
        self.down = False
        if beat.epoch != self._recovery.epoch:
            self._untold = dict.fromkeys(self._leases.values())
            self._recovery.begin(beat.epoch)
            if self._recovery.owing:
                # At once: the next heartbeat may come after the grace.
                await self._store.beat(self._ledger.holder, uuid4().hex, owing=True)
        elif not beat.alive:
            self._return_from_the_dead()
        if self._recovery.forgets():
            for lease in self._leases.values():
                if lease.meter.unit == "money":
                    lease.forget_spent()
                    self._untold[lease] = None
        await self._upkeep()

    def _return_from_the_dead(self) -> None:
        """Others took this worker for gone: its slots, and after a while money that it had not spent, went to them."""
        for lease in self._leases.values():
            if lease.meter.unit == "money":
                lease.give_back()
            if lease.meter.unit in {"money", "slots"}:
                self._untold[lease] = None

    async def _upkeep(self) -> None:
        now = self.now()
        if now - self._adopted >= ADOPT_MS:
            self._adopted = now
            for path in self._directory.glob(f"*{SUFFIX}"):
                if path.stem != self._ledger.holder:
                    await take_over(self._store, path, self._recovery.epoch)
        if now - self._swept >= SWEEP_MS:
            self._swept = now
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        """Drops leases that nobody has used in their last window."""
        kept = {need.lease for waiter in self.queue for need in waiter.needs} | set(self._seeding)
        kept |= self._untold.keys() | self._renewals.keys() | self._surplus.keys()
        for name, lease in list(self._leases.items()):
            if lease in kept or lease.reserved or lease.debt or now < lease.end + SWEEP_MS:
                continue
            del self._leases[name]
            self._ledger.free(lease.at)
            lease.ledger = Void()
            self.generation += 1

    # -- talking to Redis

    def _give_back(self) -> None:
        for lease in self._surplus:
            # Of money the others must know, too, what running requests have reserved.
            if lease.give_back() or lease.stale or (lease.meter.unit == "money" and lease.reserved != lease.told):
                self._untold[lease] = None
        self._surplus.clear()

    async def _tell_all(self) -> None:
        while self._untold:
            told = list(self._untold)
            self._untold.clear()
            holdings = []
            for lease in told:
                lease.stale, lease.told = False, lease.reserved
                if lease.start >= 0:
                    holdings.append(Holding(lease.key, lease.end, lease.granted, lease.reserved))
            try:
                self.round_trips += 1
                if holdings and not await self._store.put(self._ledger.holder, self._recovery.epoch, holdings):
                    self.fresh = 0.0
                    raise Unavailable("Redis has lost its data.")
            except Unavailable:
                self._untold |= dict.fromkeys(told)
                if self.fresh == 0.0:
                    await self._beat()
                    continue
                raise

    def _asks(self, now: float) -> dict[Lease, Need]:
        asks = self.queue.asks(now)
        for lease in self._renewals:
            if now < lease.end:
                asks.setdefault(lease, Need(lease, 0))
        self._renewals.clear()
        return asks

    async def _ask(self, asks: dict[Lease, Need], asked: float) -> None:
        calls = []
        for lease, need in asks.items():
            self._turn_window(lease)
            calls.append(
                Ask(
                    meter=lease.meter.id,
                    start=lease.start,
                    end=lease.end,
                    capacity=lease.meter.capacity,
                    need=max(0, need.need - lease.unused),
                    least=max(0, need.least - lease.unused),
                    unit=lease.meter.unit,
                    reserved=lease.reserved,
                )
            )
        sent = time.monotonic() * 1000
        self.round_trips += 1
        try:
            now, answers = await self._store.lease(self._ledger.holder, self._recovery.epoch, calls)
        except Unavailable:
            # Granted or not: Redis is told what we know of.
            self._untold |= dict.fromkeys(asks)
            raise
        self.offset = now - sent
        if answers is None:
            self.fresh = 0.0
            return
        for call, answer, (lease, need) in zip(calls, answers, asks.items(), strict=True):
            if call.start == lease.start:
                self._take_in(lease, need, answer, asked)

    def _turn_window(self, lease: Lease) -> None:
        now = self.now()
        if now >= lease.end:
            lease.roll(*bounds(lease.meter.period, lease.meter.zone, int(now)))
            self._ledger.name(lease.at, lease.key, lease.end)

    def _take_in(self, lease: Lease, need: Need, answer: Granted, asked: float) -> None:
        now = self.now()
        if answer.code == "ok":
            lease.grant(answer.units, answer.left)
        elif answer.code == "early":
            # A little ahead of Redis, or its clock was set back: then the window is an earlier one.
            lease.end, lease.ask_at = 0, now + min(answer.units, EARLY_MS)
        elif answer.code == "late":
            lease.end = 0
        elif answer.code == "settling":
            lease.ask_at = now + answer.units
            self.queue.go_without(lease, now)
        elif answer.code == "unseeded":
            lease.ask_at = float("inf")
            if lease not in self._seeding:
                self._seeding[lease] = asyncio.create_task(self._seed(lease))
        elif need.need:
            lease.left = answer.left
            self.queue.fall_short(lease, asked, now, reserved=answer.code == "reserved")

    async def _seed(self, lease: Lease) -> None:
        """Tells Redis what was spent of a budget's period before anybody leased of it."""
        key, start, end = lease.key, lease.start, lease.end
        try:
            spent = await self._spent(lease.meter, start)
            self.round_trips += 1
            await self._store.seed(key, end, spent)
            lease.ask_at = 0.0
        except Unavailable as error:
            log.warning("A budget cannot be opened: %s", error)
            now = self.now()
            lease.ask_at = now + BEAT_MS
            self.queue.go_without(lease, now)
            self.queue.fail(lease, now)
        finally:
            del self._seeding[lease]
            self._wake.set()

    def _lose(self, error: Exception) -> None:
        if not self.down:
            log.warning("Limits cannot be counted: %s", error)
        self.down = True
        now = self.now()
        for waiter in self.queue:
            self.queue.decide(waiter, now, fresh=now < self.fresh)

    # -- messages from other workers

    async def listen(self) -> None:
        """Until cancelled: gives back what is recalled, and forgets refusals when there is more."""
        heed = Heed()
        while True:
            heed()
            try:
                async for recall, key in self._store.messages():
                    heed()
                    self._hear(recall, key)
            except Unavailable as error:
                log.debug("No messages about limits: %s", error)
                await asyncio.sleep(BEAT_MS / 1000)

    def _hear(self, recall: bool, key: str) -> None:
        if not key:
            for each in self._leases.values():
                each.forget_refusal()
            return
        lease = self._leases.get(key.rpartition(":")[0])
        if lease is None or lease.key != key:
            return
        if recall:
            now = self.now()
            lease.scarce_until = min(lease.end, now + 4 * MEMORY_MS.get(lease.meter.unit, FOREVER))
            self._surplus[lease] = None
            self._wake.set()
        else:
            lease.forget_refusal()
            self._wake.set()

    async def close(self) -> None:
        """Gives everything back; without Redis the ledger stays for a successor."""
        for task in self._seeding.values():
            task.cancel()
        try:
            for lease in self._leases.values():
                lease.give_back()
            holdings = [
                Holding(lease.key, lease.end, -1 if lease.end == FOREVER else lease.granted, 0)
                for lease in self._leases.values()
                if lease.start >= 0
            ]
            if holdings:
                await self._store.put(self._ledger.holder, self._recovery.epoch, holdings)
            await self._store.leave(self._ledger.holder)
        except Unavailable as error:
            log.warning("Leases wait for a successor: %s", error)
            self._ledger.close(remove=False)
        else:
            self._ledger.close(remove=True)
