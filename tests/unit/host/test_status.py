"""How `scutum status` speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from scutum_cli.commands import status
from scutum_cli.host import findings, health
from scutum_cli.host.config import HostConfig
from scutum_cli.host.health import Answer
from scutum_cli.host.layout import Layout
from scutum_cli.host.overview import Overview, look
from tests.fixtures.servers import free_port


def overview(today: dict[str, object]) -> Overview:
    return Overview("healthy", "/deploy", "1", "http://p/v1", "http://a", {}, [], today, [], [])


def test_money_and_counts_read_as_in_usage(capsys: pytest.CaptureFixture[str]) -> None:
    status._show(overview({"requests": 1, "errors": 0, "cost_usd": "0"}))
    assert "today   1 request, $0\n" in capsys.readouterr().out
    status._show(overview({"requests": 1200, "errors": 3, "cost_usd": "12.3456"}))
    assert "today   1,200 requests, 3 failed, $12.35\n" in capsys.readouterr().out


def test_a_broken_contexts_file_does_not_hide_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "scutum").mkdir()
    (tmp_path / "scutum" / "contexts.json").write_text("not json")
    layout = Layout(tmp_path / "root")
    layout.config.mkdir(parents=True)
    ports = {"proxy_port": free_port(), "admin_port": free_port()}
    layout.yaml_file.write_text(HostConfig(**ports).text())
    answer = Answer(200, {"status": "ok", "checks": {}})
    monkeypatch.setattr(health, "admin", lambda host: answer)
    seen = look(layout)
    assert seen.today is None and "postgres is down" in seen.findings
    monkeypatch.setattr(findings, "all_of", lambda *_: [])
    assert look(layout).word == "down"
