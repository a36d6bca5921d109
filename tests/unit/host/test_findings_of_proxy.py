"""What `scutum status` makes of a proxy that serves and yet is not as it should be, and of external stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scutum_cli.host import findings
from scutum_cli.host.health import Answer
from scutum_cli.host.layout import Layout
from scutum_cli.host.services import NAMES
from scutum_cli.host.state import ServiceState

ADMIN = Answer(200, {"status": "ok", "schema": {"current": "1", "expected": "1"}, "checks": {}})


def row(name: str, **more: Any) -> ServiceState:
    plain = {"state": "running", "pids": (10,), "wanted": 1, "since": 1.0, "memory_bytes": 1, "restarts": 0}
    return ServiceState(**{"name": name, **plain, "last_reason": None, "last_at": None, **more})


def texts(tmp_path: Path, ready: dict[str, Any], **rows: Any) -> list[tuple[str, str]]:
    services = [row(name, **rows.get(name, {})) for name in NAMES]
    found = findings.all_of(Layout(tmp_path), services, Answer(200, ready), ADMIN)
    return [(finding.text, finding.hint) for finding in found if "disk" not in finding.text]


@pytest.mark.parametrize(
    ("ready", "words", "step"),
    [
        ({"stale": True, "age_seconds": 130.0}, "its last configuration, 2 m", "scutum logs"),
        ({"stale": False, "maintenance": True}, "maintenance is on", "scutum maintenance off"),
    ],
)
def test_what_the_proxy_says_about_itself(tmp_path: Path, ready: dict[str, Any], words: str, step: str) -> None:
    [(text, hint)] = texts(tmp_path, {"status": "ready", **ready})
    assert words in text and hint.startswith(step)
    assert texts(tmp_path, {"status": "ready", "stale": False}) == []


def test_an_external_store_that_is_away_is_not_started_by_us(tmp_path: Path) -> None:
    reason = "db.example.com:5432 cannot be reached: connection refused"
    away = {"state": "down", "pids": (), "external": "db.example.com:5432", "last_reason": reason}
    [(text, hint)] = texts(tmp_path, {"status": "ready"}, postgres=away)
    assert text == f"postgres is down: {reason}"
    assert hint.startswith("start the external store")
