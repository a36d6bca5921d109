"""The sentences that clients read when a limit holds them back."""

from __future__ import annotations

import pytest

from scutum_server.leases.lease import Lease, Refusal
from scutum_server.leases.models import Meter
from scutum_server.proxy.limits.refusals import limit_reached
from tests.unit.leases.test_lease import Page


@pytest.mark.parametrize(
    ("unit", "period", "capacity", "said"),
    [
        ("slots", None, 1, "1 concurrent request, is reached"),
        ("slots", None, 2, "2 concurrent requests, is reached"),
        ("requests", "minute", 1, "1 request a minute, is reached"),
        ("tokens", "day", 5000, "5000 tokens a day, is reached"),
    ],
)
def test_a_limit_is_told_in_words(unit: str, period: str | None, capacity: int, said: str) -> None:
    meter = Meter(id="limit_1", unit=unit, period=period, capacity=capacity, whose="of this key")
    error = limit_reached(Refusal(Lease(meter, Page(), 0), reserved=False, wait_ms=2000.0), b"")
    assert f"The limit of this key, {said}. Try again in 2 s." in str(error)
    assert error.head == b"retry-after: 2\r\n"
