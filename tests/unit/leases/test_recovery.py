"""When a worker owes records, and when what it spent is forgotten."""

from __future__ import annotations

from scutum_server.leases.recovery import Recovery


def test_after_a_loss_of_data_spent_money_is_forgotten_once_its_records_are_there() -> None:
    there = False
    recovery = Recovery(lambda: lambda: there)
    recovery.begin("one")
    recovery.begin("two")
    assert recovery.owing and not recovery.forgets()
    there = True
    assert recovery.owing, "until it has forgotten, it would count twice"
    assert recovery.forgets()
    assert not recovery.forgets() and not recovery.owing


def test_a_new_worker_owes_what_its_predecessor_left_and_forgets_nothing() -> None:
    there = False
    recovery = Recovery(lambda: lambda: there)
    assert not recovery.owing
    recovery.begin("one")
    assert recovery.owing
    there = True
    assert not recovery.owing and not recovery.forgets()
