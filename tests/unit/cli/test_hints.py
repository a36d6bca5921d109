"""Hints lead to the server and the install that the command was about."""

from __future__ import annotations

from pathlib import Path

import pytest

from scutum_cli import app, output
from scutum_cli.client.http import unreachable
from scutum_cli.host.layout import Layout
from scutum_cli.settings import Context


@pytest.mark.parametrize(
    ("hint", "aimed"),
    [
        ("scutum login", "scutum login --context local-2"),
        ("scutum keys create NAME --use", "scutum keys create --context local-2 NAME --use"),
        ("scutum login asks for it", "scutum login --context local-2 asks for it"),
        ("scutum up --home /x", "scutum up --home /x"),
        ("scutum context list", "scutum context list"),
        (None, None),
    ],
)
def test_a_named_context_stays_named(hint: str | None, aimed: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output.style, "context", None)
    assert app._aimed(hint) == hint
    monkeypatch.setattr(output.style, "context", "local-2")
    assert app._aimed(hint) == aimed


def test_a_hint_about_another_root_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "one" / "releases" / "1" / "venv" / "bin" / "scutum"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "scutum").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("SCUTUM_HOME", raising=False)
    two = tmp_path / "second one"
    assert Layout(tmp_path / "one").says("up") == "scutum up"
    assert Layout(two).says("up") == f"scutum up --home '{two}'"
    monkeypatch.setenv("SCUTUM_HOME", str(two))
    assert Layout(two).says("up") == "scutum up"
    context = Context("local-2", "http://a", "http://p", home=str(two))
    assert unreachable(context, "http://a", "admin API", OSError()).hint == f"scutum up --home '{two}'"
