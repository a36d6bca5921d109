"""Wrong usage, help, and what the command loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scutum_cli.app import COMMANDS
from tests.integration.cli.conftest import ROOT, Cli

HEAVY = {"textual", "scutum_server", "pydantic", "rich", "httpx", "fastapi", "yaml", "asyncio", "msgspec"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("stauts",), "did you mean: scutum status"),
        (("teams", "lst"), "did you mean: scutum teams list"),
        (("frobnicate",), "next: scutum --help"),
        (("teams", "show"), "scutum teams show needs TEAM."),
        (("context", "add", "x"), "scutum context add needs --admin-url."),
        (("teams", "list", "--limt", "3"), "did you mean: --limit"),
        (("teams", "list", "--limit", "three"), "--limit takes a whole number"),
        (("teams", "list", "--limit"), "--limit needs a value."),
        (("keys", "create", "x", "--expires", "soon"), "--expires takes a duration"),
        (("teams", "show", "a", "b"), "does not know what to do with: b."),
        (("teams", "list", "-o", "xml"), "--output must be one of"),
        (("providers", "add", "x", "--kind", "cohere"), "--kind must be one of openai, anthropic, azure"),
        (("completions", "tcsh"), "completions knows bash, zsh, fish"),
        (("--no-such",), "scutum has no option --no-such."),
    ],
)
def test_wrong_usage_is_at_most_three_lines_and_exit_code_2(bare: Cli, arguments: tuple[str, ...], said: str) -> None:
    result = bare(*arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err and len(result.err.splitlines()) <= 3
    if "-o" not in arguments:
        told = bare(*arguments, "-o", "json") if "--limit" not in arguments[-1:] else bare("-o", "json", *arguments)
        assert told.code == 2 and set(told.error) == {"code", "message", "hint", "request_id"}


def test_a_noun_alone_shows_its_help(bare: Cli) -> None:
    for noun in ((), ("teams",), ("context",)):
        result = bare(*noun)
        assert result.code == 2 and result.out == "" and result.err.startswith("Usage: scutum")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(bare: Cli, name: str) -> None:
    text = bare.ok(name, "--help").out
    assert text.startswith(f"Usage: scutum {name}")
    assert "\nExamples:\n  " in text or name == "config"
    assert max(len(line) for line in text.splitlines()) <= 120


def test_an_unexpected_error_is_a_sentence_and_a_traceback_only_with_debug(bare: Cli) -> None:
    command = (
        "import sys; sys.argv[1:] = sys.argv[1:]; import scutum_cli.app as app;"
        "app.load = lambda name: 1 / 0; app.main()"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", command, "teams", "list", *arguments], cwd=ROOT, env=bare.environment(),
            capture_output=True, text=True,
        )  # fmt: skip

    plain = run()
    assert plain.returncode == 8 and "Traceback" not in plain.stderr and "--debug" in plain.stderr
    assert "ZeroDivisionError" in run("--debug").stderr


@pytest.mark.parametrize("arguments", [("--help",), ("status",), ("teams", "list"), ("chat", "hi"), ("ps",)])
def test_no_command_loads_more_than_it_needs(bare: Cli, arguments: tuple[str, ...]) -> None:
    dead = {"name": "d", "admin_url": "http://127.0.0.1:1", "proxy_url": "http://127.0.0.1:1", "key": "k", "token": "t",
            "token_expires_at": 9e9}  # fmt: skip
    bare.write_contexts(dead, current="d")
    command = "import sys, scutum_cli.app as app\ntry: app.main()\nfinally: print('LOADED', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments], cwd=ROOT, env=bare.environment(), capture_output=True, text=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.partition("LOADED")[2].split()}
    assert "scutum_cli" in loaded
    assert loaded & HEAVY == set()
