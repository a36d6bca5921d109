"""Money in reports."""

from __future__ import annotations

import pytest

from scutum_server.usage.service import usd


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "0.000000"),
        (1, "0.000000001"),
        (1_234_000, "0.001234"),
        (10**9, "1.000000"),
        (1_234_567_891_234, "1234.567891234"),
    ],
)
def test_money_is_exact(nano: int, text: str) -> None:
    assert usd(nano) == text
