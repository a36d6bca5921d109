"""The import contracts hold, and each one fails when somebody breaks it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

VIOLATIONS = {
    "infra looks up": ("scutum_server/infra/ids.py", "import scutum_server.usage.models", "composition roots"),
    "a domain imports a domain": ("scutum_server/usage/models.py", "import scutum_server.audit.models", "composition roots"),
    "rules import routes": ("scutum_server/identity/service.py", "import scutum_server.identity.routes", "a domain"),
    "SQL outside a store": ("scutum_server/usage/models.py", "import psycopg", "SQL and Redis"),
    "FastAPI on the hot path": ("scutum_server/proxy/app.py", "import fastapi", "FastAPI and pydantic"),
    "host imports commands": ("scutum_cli/host/process.py", "import scutum_cli.commands.status", "command:"),
    "the command imports the server": ("scutum_cli/output.py", "import scutum_server.settings", "never import each other"),
    "a second module starts programs": ("scutum_cli/output.py", "import subprocess", "starts other programs"),
}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [tool, "--no-cache"], cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("tree")
    for package in ("scutum_server", "scutum_cli"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def test_the_contracts_hold(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_planted_violation_is_found(tree: Path, name: str) -> None:
    file, statement, contract = VIOLATIONS[name]
    target = tree / file
    original = target.read_text()
    target.write_text(original + f"\n{statement}\n")
    try:
        result = lint(tree)
    finally:
        target.write_text(original)
    assert result.returncode == 1, result.stdout
    broken = [line for line in result.stdout.splitlines() if " BROKEN" in line]
    assert any(contract in line for line in broken), broken
