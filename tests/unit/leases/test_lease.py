"""The arithmetic of leases under every order of asking, spending, settling, recalling, crashing and time."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from scutum_server.leases.lease import Lease, slice_of
from scutum_server.leases.models import Meter


class Page:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.granted = 0
        self.words = {1: 0}

    @property
    def unused(self) -> int:
        return self.words[1]

    def write(self, at: int, granted: int, unused: int) -> None:
        self.granted, self.words[1] = granted, unused


class Worker:
    def __init__(self, meter: Meter, window: int) -> None:
        self.page = Page()
        self.lease = Lease(meter, self.page, 0)
        self.lease.roll(window * 1000, (window + 1) * 1000)
        self.running: list[tuple[int, int]] = []
        self.used: Counter[int] = Counter()
        """By window."""
        self.deaf = False
        """Its answers from Redis are lost: what was granted is not known here until it is told anew."""


class Fleet(RuleBasedStateMachine):
    """Redis as a dict of what each holder is counted for; workers that come and go."""

    @initialize(capacity=st.integers(1, 2000), workers=st.integers(1, 3))
    def start(self, capacity: int, workers: int) -> None:
        self.meter = Meter(id="m", unit="tokens", period="second", capacity=capacity)
        self.window = 2
        self.latest = 2
        self.set_back = False
        self.books: dict[int, dict[int, int]] = {2: {}}
        self.workers = {name: Worker(self.meter, self.window) for name in range(workers)}
        self.next = workers
        self.spent = {2: 0}
        """Units of each window that were really used, by the living and by the dead."""

    @property
    def counted(self) -> dict[int, int]:
        """What Redis counts for whom in the present window."""
        return self.books[self.window]

    def tell(self, name: int) -> None:
        self.counted[name] = self.workers[name].lease.granted

    def pick(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.workers)))

    def ask(self, name: int, need: int, least: int = 0) -> int:
        free = self.meter.capacity - sum(self.counted.values())
        units = slice_of(max(0, free), need, least, len(self.workers))
        if units:
            self.counted[name] = self.counted.get(name, 0) + units
        return units

    @rule(data=st.data(), need=st.integers(1, 300), lost=st.booleans())
    def lease(self, data: st.DataObject, need: int, lost: bool) -> None:
        name = self.pick(data)
        lease = self.workers[name].lease
        units = self.ask(name, max(0, need - lease.unused))
        if lost:
            # The answer never came: Redis is told what is known here, and counts that.
            self.tell(name)
        else:
            lease.grant(units, 0)

    @rule(data=st.data(), need=st.integers(1, 300))
    def reserve(self, data: st.DataObject, need: int) -> None:
        worker = self.workers[self.pick(data)]
        need = min(need, worker.lease.unused)
        if need and worker.lease.has(need, self.window * 1000):
            worker.lease.reserve(need)
            worker.running.append((need, self.window))

    @rule(data=st.data(), share=st.floats(0, 1))
    def settle(self, data: st.DataObject, share: float) -> None:
        worker = self.workers[self.pick(data)]
        if worker.running:
            reserved, window = worker.running.pop(0)
            actual = int(reserved * share)
            worker.lease.settle(reserved, actual, window * 1000 + 1)
            worker.used[window] += actual
            if window in self.spent:
                self.spent[window] += actual

    @rule(data=st.data())
    def recall(self, data: st.DataObject) -> None:
        name = self.pick(data)
        self.workers[name].lease.give_back()
        self.tell(name)

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        name = self.pick(data)
        worker = self.workers.pop(name)
        # A successor knows only the ledger: what was in flight is spent.
        if name in self.counted:
            self.counted[name] = worker.page.granted - worker.page.unused
        for units, window in worker.running:
            if window in self.spent:
                self.spent[window] += units
        self.workers[self.next] = Worker(self.meter, self.window)
        self.next += 1

    @rule()
    def next_window(self) -> None:
        self._turn(self.window + 1)

    @rule()
    def clock_is_set_back(self) -> None:
        """By a window at most: Redis keeps those of the last minute."""
        self.set_back = True
        self._turn(max(self.latest - 1, 2))

    @rule(data=st.data(), need=st.integers(1, 300))
    def clock_wobbles_while_requests_run(self, data: st.DataObject, need: int) -> None:
        """Into the next window and back, with something begun on either side."""
        name = self.pick(data)
        for turn in (self.window, self.latest + 1, self.latest):
            self._turn(turn)
            lease = self.workers[name].lease
            lease.grant(self.ask(name, need), 0)
            taken = min(need, lease.unused)
            lease.reserve(taken)
            self.workers[name].running.append((taken, turn))
        self.set_back = True

    def _turn(self, window: int) -> None:
        self.window, self.latest = window, max(self.latest, window)
        self.books.setdefault(window, {})
        self.spent.setdefault(window, 0)
        for book in (self.books, self.spent):
            book.pop(self.latest - 2, None)
        for worker in self.workers.values():
            if worker.lease.start != window * 1000:
                worker.lease.roll(window * 1000, (window + 1) * 1000)

    @rule(data=st.data(), need=st.integers(1, 300))
    def nothing_is_refused_while_it_is_free(self, data: st.DataObject, need: int) -> None:
        """Once everybody returned what is unused, one call gets all that is neither spent nor reserved."""
        name = self.pick(data)
        for each, worker in self.workers.items():
            worker.lease.give_back()
            self.tell(each)
        taken = self.spent[self.window] + self._reserved(self.window)
        units = self.ask(name, need)
        free = self.meter.capacity - taken >= need
        assert units < need if not free else units >= need or self.set_back
        self.workers[name].lease.grant(units, 0)

    def _reserved(self, window: int) -> int:
        running = [one for worker in self.workers.values() for one in worker.running]
        return sum(units for units, when in running if when == window)

    @invariant()
    def never_above_the_limit(self) -> None:
        if not hasattr(self, "meter"):
            return
        for window, book in self.books.items():
            assert self.spent[window] + self._reserved(window) <= self.meter.capacity
            assert sum(book.values()) <= self.meter.capacity
        for name, worker in self.workers.items():
            lease = worker.lease
            assert lease.unused >= 0 and lease.granted - lease.unused >= lease.reserved
            assert (worker.page.granted, worker.page.unused) == (lease.granted, lease.unused)
            assert self.counted.get(name, 0) >= lease.granted
            running = sum(units for units, window in worker.running if window == self.window)
            assert self.counted.get(name, 0) >= worker.used[self.window] + running


Fleet.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestFleet = Fleet.TestCase


def lease_of(unit: str, granted: int = 100) -> Lease:
    lease = Lease(Meter(id="m", unit=unit, period="minute", capacity=100), Page(), 0)
    lease.roll(0, 60_000)
    lease.grant(granted, 0)
    return lease


def test_tokens_beyond_a_reservation_are_taken_from_the_next_window() -> None:
    lease = lease_of("tokens")
    lease.reserve(100)
    lease.settle(100, 130, 1)
    assert (lease.unused, lease.debt) == (0, 30)
    lease.roll(60_000, 120_000)
    lease.grant(50, 50)
    assert (lease.unused, lease.debt) == (20, 0)


def test_money_beyond_a_reservation_is_counted_although_nothing_is_left() -> None:
    lease = lease_of("money")
    lease.reserve(100)
    lease.settle(100, 130, 1)
    assert (lease.granted, lease.unused, lease.stale) == (130, 0, True)


def test_what_was_reserved_in_a_former_window_is_not_returned_to_this_one() -> None:
    lease = lease_of("tokens")
    lease.reserve(60)
    lease.roll(60_000, 120_000)
    lease.grant(10, 0)
    lease.settle(60, 20, 59_999)
    assert (lease.granted, lease.unused, lease.reserved) == (10, 10, 0)


def test_after_a_loss_of_data_only_what_is_not_in_the_spend_log_is_counted() -> None:
    lease = lease_of("money")
    lease.reserve(40)
    lease.settle(40, 40, 1)
    lease.reserve(25)
    lease.forget_spent()
    assert (lease.granted, lease.unused, lease.reserved) == (60, 35, 25)


def test_a_refusal_is_remembered_for_as_much_as_was_refused() -> None:
    lease = lease_of("tokens", 0)
    lease.refuse(50, 1000, reserved=False)
    assert lease.refuses(50, 999) and lease.refuses(80, 999)
    assert not lease.refuses(49, 999) and not lease.refuses(50, 1000)
    lease.forget_refusal()
    assert not lease.refuses(50, 0)
