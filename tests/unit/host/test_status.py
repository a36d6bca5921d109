"""How `scutum status` speaks."""

from __future__ import annotations

import pytest

from scutum_cli.commands import status
from scutum_cli.host.overview import Overview


def overview(today: dict[str, object]) -> Overview:
    return Overview("healthy", "/deploy", "1", "http://p/v1", "http://a", {}, [], today, [], [])


def test_money_and_counts_read_as_in_usage(capsys: pytest.CaptureFixture[str]) -> None:
    status._show(overview({"requests": 1, "errors": 0, "cost_usd": "0"}))
    assert "today   1 request, $0\n" in capsys.readouterr().out
    status._show(overview({"requests": 1200, "errors": 3, "cost_usd": "12.3456"}))
    assert "today   1,200 requests, 3 failed, $12.35\n" in capsys.readouterr().out
