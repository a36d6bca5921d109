"""What the command does on a real terminal: it asks, it colours, and only there."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

from tests.integration.cli.conftest import ROOT, Cli


def on_terminal(cli: Cli, *arguments: str, typed: str = "", after: str = "", **env: str) -> tuple[int, str]:
    """Runs the command on a terminal of its own; types once `after` is on the screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scutum_cli.app", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT,
        env=cli.environment({"TERM": "xterm", **env}), start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    screen = b""
    while True:
        if typed and after.encode() in screen:
            os.write(ours, typed.encode())
            typed = ""
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        screen += piece
    os.close(ours)
    return process.wait(30), screen.decode().replace("\r\n", "\n")


def context(name: str) -> dict:
    return {"name": name, "admin_url": "http://127.0.0.1:1", "proxy_url": "http://127.0.0.1:1"}


def test_a_destructive_command_asks_and_takes_no_for_an_answer(bare: Cli) -> None:
    bare.write_contexts(context("a"), current="a")
    for typed in ("n\n", "\n", "\x04"):
        code, screen = on_terminal(bare, "context", "delete", "a", typed=typed)
        assert code == 2 and "Forget the context a" in screen and "Nothing was changed." in screen
        assert bare.stored("a")
    code, screen = on_terminal(bare, "context", "delete", "a", typed="y\n")
    assert code == 0 and "Context a deleted" in screen
    assert bare.ok("context", "list", "-o", "json").json["items"] == []


def test_colours_are_for_terminals_that_want_them(bare: Cli) -> None:
    bare.write_contexts(context("a"), current="a")
    assert "\x1b[1m" in on_terminal(bare, "context", "list")[1]
    assert "\x1b[31merror:" in on_terminal(bare, "context", "use", "x")[1]
    assert "\x1b" not in on_terminal(bare, "context", "list", "--no-color")[1]
    assert "\x1b" not in on_terminal(bare, "context", "list", NO_COLOR="1")[1]
    assert "\x1b" not in bare("context", "use", "x").err


def test_tables_fit_the_terminal(bare: Cli) -> None:
    long = context("a") | {"admin_url": "http://a-very-long-host-name.with-a-long-domain.example:8086", "home": "/srv/" + "x" * 60}
    bare.write_contexts(long, current="a")
    for columns in (50, 80, 200):
        screen = on_terminal(bare, "context", "list", COLUMNS=str(columns))[1]
        plain = re.sub(r"\x1b\[\d+m", "", screen)
        assert max(len(line) for line in plain.splitlines()) <= columns
        assert len(plain.splitlines()) == 2
    assert "x" * 60 in bare.ok("context", "list").out, "in a pipe nothing is cut"


def test_the_master_key_is_not_echoed(bare: Cli) -> None:
    bare.write_contexts(context("a"), current="a")
    code, screen = on_terminal(bare, "login", "--api-key-stdin", typed="sk-secret-typed\n", after="master key: ")
    assert code == 7 and "master key:" in screen
    assert "sk-secret-typed" not in screen


def test_closed_streams_and_narrow_encodings_are_no_crash(bare: Cli) -> None:
    bare.write_contexts(context("a") | {"home": "/srv/größe"}, current="a")
    command = f"{sys.executable} -m scutum_cli.app context list"
    for redirection, env in (("", {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}), (">&-", {}), ("2>&-", {})):
        done = subprocess.run(
            ["sh", "-c", f"{command} {redirection}"], cwd=ROOT, env=bare.environment(env), capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, ""), (redirection, env)


def test_a_provider_s_needs_are_asked_for_and_its_key_is_not_echoed(cli: Cli) -> None:
    code, screen = on_terminal(cli, "providers", "add", "az", "--kind", "azure", "--base-url", "https://x.openai.azure.com",
                               typed="key-that-is-typed\n", after="Its key (an API key): ")  # fmt: skip
    assert code == 0 and "Provider az added" in screen
    assert "key-that-is-typed" not in screen
    cli.ok("providers", "delete", "az", "--yes")
    code, screen = on_terminal(cli, "providers", "add", "any", "--kind", "litellm", typed="cohere\n", after="Its vendor: ")
    assert code == 0
    assert cli.ok("providers", "show", "any", "-o", "json").json["settings"] == {"vendor": "cohere"}
    cli.ok("providers", "delete", "any", "--yes")
