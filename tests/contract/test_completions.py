"""The completion scripts are those of the commands as they are, and work in a real bash."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELLS = ("bash", "zsh", "fish")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_are_up_to_date(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scutum_cli.app", "completions", shell],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    file = ROOT / "completions" / f"scutum.{shell}"
    assert file.read_text() == done.stdout, f"run: scutum completions {shell} > completions/scutum.{shell}"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_parse(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    subprocess.run([shell, "-n", ROOT / "completions" / f"scutum.{shell}"], check=True)


def complete(tmp_path: Path, *words: str) -> list[str]:
    """What a real bash offers for the last word; `scutum` itself is a stand-in that knows two teams."""
    fake = tmp_path / "scutum"
    fake.write_text('#!/bin/sh\n[ "$1 $2 $3" = "completions --live teams" ] && printf "search\\nsales\\n"\n')
    fake.chmod(0o755)
    script = f"""
      source {ROOT}/completions/scutum.bash
      complete -p scutum >/dev/null || exit 9
      COMP_WORDS=({" ".join(repr(word) for word in ("scutum", *words))})
      COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
      _scutum
      printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_bash_completes_nouns_verbs_and_options(tmp_path: Path) -> None:
    assert complete(tmp_path, "pro") == ["providers"]
    assert complete(tmp_path, "keys", "r") == ["revoke", "rotate"]
    assert complete(tmp_path, "keys", "create", "--te") == ["--team"]
    assert "--output" in complete(tmp_path, "teams", "list", "--")


def test_bash_completes_values(tmp_path: Path) -> None:
    assert complete(tmp_path, "keys", "list", "-o", "j") == ["json"]
    assert complete(tmp_path, "providers", "add", "x", "--kind", "")[:3] == ["openai", "anthropic", "azure"]
    assert complete(tmp_path, "completions", "z") == ["zsh"]


def test_bash_completes_names_that_the_server_knows(tmp_path: Path) -> None:
    assert complete(tmp_path, "teams", "show", "") == ["search", "sales"]
    assert complete(tmp_path, "keys", "create", "app", "--team", "sea") == ["search"]
    assert complete(tmp_path, "--quiet", "-o", "json", "teams", "delete", "sa") == ["sales"]
