"""`scutum chat` and `scutum usage` through the real proxy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.fixtures.servers import wait_until
from tests.integration.cli.conftest import ROOT, Cli


@pytest.fixture
def chatty(cli: Cli) -> Cli:
    """The command with a key in its context."""
    cli.ok("keys", "create", f"chat-{os.urandom(4).hex()}", "--use")
    return cli


def test_an_answer_is_streamed_with_a_footer_on_stderr(chatty: Cli) -> None:
    answer = chatty.ok("chat", "hello gateway")
    assert "hello gateway" in answer.out and answer.out.endswith("\n")
    assert answer.err.startswith("sim at sim · ") and " tokens in, " in answer.err and "$0" in answer.err
    assert answer.err.rstrip().endswith("simulated")
    assert chatty.ok("chat", "hello gateway", "--no-stream").out == answer.out
    assert chatty.ok("chat", "hello", "--quiet").err == ""


def test_the_whole_completion_as_json(chatty: Cli) -> None:
    document = chatty.ok("chat", "-", "--model", "smart", "-o", "json", stdin="from a pipe").json
    assert document["object"] == "chat.completion"
    assert "from a pipe" in document["choices"][0]["message"]["content"]


def test_keys_come_from_the_context_the_environment_or_stdin_but_not_argv(cli: Cli) -> None:
    key = cli.ok("keys", "create", f"k-{os.urandom(4).hex()}").out.strip()
    none = cli("chat", "hi")
    assert none.code == 4 and "scutum keys create" in none.err
    cli.ok("chat", "hi", SCUTUM_KEY=key)
    cli.ok("chat", "hi", "--key", "-", stdin=key)
    refused = cli("chat", "hi", "--key", key)
    assert refused.code == 2 and key not in refused.err and "can be read by" in refused.err


@pytest.mark.parametrize(
    ("arguments", "env", "exit_code", "code"),
    [
        (("--model", "no-such-model"), {}, 3, "model_not_found"),
        ((), {"SCUTUM_KEY": "sk-scutum-wrong"}, 4, "invalid_api_key"),
    ],
)
def test_refusals_have_their_exit_codes(
    chatty: Cli, arguments: tuple[str, ...], env: dict[str, str], exit_code: int, code: str
) -> None:
    for stream in ((), ("--no-stream",)):
        assert chatty("chat", "hi", *arguments, *stream, **env).code == exit_code
    told = chatty("chat", "hi", *arguments, "-o", "json", **env)
    assert (told.code, told.error["code"]) == (exit_code, code)
    assert told.error["request_id"] and told.error["hint"]


@pytest.mark.parametrize(("kind", "exit_code"), [("rate_limit", 6), ("server_error", 7), ("refused", 7), ("truncated", 7)])
def test_a_failing_provider_has_its_exit_code(chatty: Cli, kind: str, exit_code: int) -> None:
    name = f"broken-{kind}-{os.urandom(3).hex()}"
    chatty.ok("providers", "add", name, "--kind", "sim")
    chatty.ok("models", "add", name, "--provider", name)
    chatty.ok("providers", "sim", name, "--error-rate", "1", "--error-kind", kind)
    wait_until(lambda: chatty("chat", "hi", "--model", name).code == exit_code, what=f"{kind} to reach the proxy")
    failed = chatty("chat", "hi", "--model", name)
    assert len(failed.err.splitlines()) <= 3


def test_ctrl_c_ends_with_130_and_no_traceback(chatty: Cli) -> None:
    name = f"slow-{os.urandom(3).hex()}"
    chatty.ok("providers", "add", name, "--kind", "sim")
    chatty.ok("models", "add", name, "--provider", name)
    chatty.ok("providers", "sim", name, "--chunk", "400ms", "--tokens", "500")
    wait_until(lambda: chatty("chat", "hi", "--model", name, "-o", "json").code != 3, what="the model to reach the proxy")
    running = subprocess.Popen(
        [sys.executable, "-m", "scutum_cli.app", "chat", "hi", "--model", name],
        env=chatty.environment(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stdout.read(1), "the first word comes before the end"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert b"Traceback" not in err and b"interrupted" in err


def test_usage_counts_what_was_asked(chatty: Cli) -> None:
    team = f"usage-{os.urandom(3).hex()}"
    chatty.ok("teams", "create", team)
    key = chatty.ok("keys", "create", team, "--team", team).out.strip()
    for _ in range(3):
        chatty.ok("chat", "hello", SCUTUM_KEY=key)

    def rows() -> list[dict]:
        report = chatty.ok("usage", "--by", "team,model", "--since", "1h", "--filter", f"team={team}", "-o", "json").json
        return report["items"]

    wait_until(lambda: rows() and rows()[0]["requests"] == 3, what="the worker to store three requests")
    assert rows()[0]["model"] == "sim" and rows()[0]["simulated"] is True
    table = chatty.ok("usage", "--by", "team")
    assert table.out.splitlines()[0].split() == ["TEAM", "REQUESTS", "ERRORS", "TOKENS", "IN", "TOKENS", "OUT", "COST"]
    assert "$0 (simulated)" in table.out and " requests, " in table.err
    csv = chatty.ok("usage", "--by", "key", "-o", "csv").out
    assert csv.startswith("key,requests,errors,tokens_in,tokens_out,cost_usd\n")


def test_usage_refuses_what_it_does_not_know(chatty: Cli) -> None:
    assert chatty("usage", "--by", "colour").code == 2
    wrong = chatty("usage", "--since", "yesterdayish")
    assert wrong.code == 2 and len(wrong.err.splitlines()) <= 3
