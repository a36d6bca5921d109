"""What host commands print without a running stack: for pipes, narrow terminals and programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.servers import free_port
from tests.integration.cli.conftest import ROOT, Cli
from tests.integration.cli.test_terminal import on_terminal

PORTS = ("proxy", "admin", "postgres", "valkey")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "deploy"
    (made / "config").mkdir(parents=True)
    (made / "run" / "services").mkdir(parents=True)
    (made / "config" / "scutum.yaml").write_text("".join(f"{name}:\n  port: {free_port()}\n" for name in PORTS))
    note = {"restarts": 3, "last": {"at": 1.0, "reason": "exit code 1: a long reason that fits no narrow terminal"}}
    for name in ("postgres", "proxy"):
        (made / "run" / "services" / f"{name}.json").write_text(json.dumps(note))
    return made


@pytest.mark.parametrize("command", ["ps", "status"])
def test_a_reader_that_has_had_enough_is_no_failure(bare: Cli, home: Path, command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "scutum_cli.app", command, "--home", str(home)]
    try:
        done = subprocess.run(argv, cwd=ROOT, env=bare.environment(), stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr and "rror" not in done.stderr


def test_ps_on_a_narrow_terminal_keeps_what_matters(bare: Cli, home: Path) -> None:
    def head(columns: int) -> list[str]:
        screen = on_terminal(bare, "ps", "--home", str(home), COLUMNS=str(columns))[1]
        lines = re.sub(r"\x1b\[\d+m", "", screen).splitlines()
        assert max(map(len, lines)) <= columns
        assert any(line.startswith("postgres  down") and " 3 " in line and " ago" in line for line in lines)
        return re.split(r"  +", lines[0].strip())

    assert "MEMORY" not in head(60)
    assert {"SERVICE", "STATE", "RESTARTS", "LAST RESTART"} <= set(head(60))
    assert "MEMORY" in head(140) and "UPTIME" in head(140)


def test_a_dry_run_is_an_object_for_programs(bare: Cli, home: Path) -> None:
    told = bare.ok("uninstall", "--home", str(home), "--dry-run", "-o", "json").json
    assert told == {"dry_run": True, "home": str(home), "delete_data": False, "removes": ["run"]}
