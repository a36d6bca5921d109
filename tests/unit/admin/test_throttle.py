"""Failed logins per address."""

from __future__ import annotations

import pytest

from scutum_server.identity.models import TooManyAttemptsError
from scutum_server.identity.sessions import Throttle


def test_the_throttle_forgets_after_its_window_and_keeps_addresses_apart() -> None:
    now = 1000.0
    throttle = Throttle(lambda: now, attempts=2, window=60)
    throttle.failed("10.0.0.1")
    now = 1010.0
    throttle.failed("10.0.0.1")
    throttle.check("10.0.0.2")
    with pytest.raises(TooManyAttemptsError) as caught:
        throttle.check("10.0.0.1")
    assert caught.value.retry_after == 50
    now = 1060.0
    throttle.check("10.0.0.1")


def test_the_throttle_s_memory_is_bounded() -> None:
    throttle = Throttle(lambda: 0.0)
    for number in range(10_500):
        throttle.failed(str(number))
    assert len(throttle._failures) == 10_000
