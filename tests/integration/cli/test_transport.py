"""What the command says when the server is down, is something else, or dies on the way."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fixtures.servers import free_port
from tests.integration.cli.conftest import Cli


@contextmanager
def stub(*answers: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A socket that gives each connection the next answer, whatever was asked; None hangs up at once."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if answer is not None:
                        seen.append(whole_request(connection))
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", seen


def whole_request(connection: socket.socket) -> bytes:
    """Head and body of one request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


def remote(url: str, **more) -> dict:
    return {"name": "r", "admin_url": url, "proxy_url": url, "key": "sk-x", "token": "t", "token_expires_at": 9e9, **more}


def test_a_server_that_is_down_with_and_without_a_home(bare: Cli, tmp_path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    bare.write_contexts(remote(url, home=str(tmp_path)), current="r")
    down = bare("teams", "list")
    assert down.code == 7
    said = f"error: The admin API at {url} does not answer: nothing listens there."
    assert down.err == f"{said}\nnext: scutum up --home {tmp_path}\n"
    assert bare("chat", "hi").code == 7
    bare.write_contexts(remote(url), current="r")
    told = bare("teams", "list", "-o", "json").error
    assert told["code"] == "unreachable" and url in told["hint"]


@pytest.mark.parametrize(
    "sent",
    [
        answer("200 OK", b"<html>hello</html>", "text/html"),
        answer("200 OK", b"\xff\xfe\x00"),
        answer("404 Not Found", b'{"detail": "Not Found"}'),
        answer("500 Internal Server Error", b"oops", "text/plain"),
        answer("200 OK", b'["no", "page"]'),
        answer("200 OK", b'{"items": 3}'),
        answer("404 Not Found", b'["x"]'),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"items\": [",
    ],
)
def test_something_else_at_the_address(bare: Cli, sent: bytes) -> None:
    with stub(sent, sent) as (url, _):
        bare.write_contexts(remote(url), current="r")
        result = bare("teams", "list")
    assert (result.code, result.out) == (7, "")
    assert len(result.err.splitlines()) <= 3 and url in result.err


def test_a_connection_that_closes_at_once(bare: Cli) -> None:
    with stub(None, None) as (url, _):
        bare.write_contexts(remote(url), current="r")
        result = bare("teams", "list")
    assert result.code == 7 and "does not answer" in result.err


def test_a_stream_that_breaks_off_is_not_taken_for_whole(bare: Cli) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\nx-request-id: r-7\r\n\r\n"
    first = b'data: {"choices": [{"delta": {"content": "half a"}}]}\n\n'
    error = b'data: {"error": {"message": "The provider went away.", "code": "upstream_disconnected"}}\n\n'
    for tail, said in ((b"", "broke off"), (error, "The provider went away."), (b"data: {garbage\n\n", "not as Scutum's proxy")):
        with stub(head + first + tail) as (url, _):
            bare.write_contexts(remote(url), current="r")
            result = bare("chat", "hi")
        assert result.code == 7 and result.out == "half a\n"
        assert said in result.err and "r-7" in result.err


def test_the_cost_of_a_stream_and_the_real_price(bare: Cli) -> None:
    stream = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\nx-scutum-model: gpt-5-mini\r\n"
        b"x-scutum-provider: openai\r\n\r\n"
        b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n'
        b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}\n\n'
        b": x-scutum-cost=0.001234\n\ndata: [DONE]\n\n"
    )
    with stub(stream) as (url, seen):
        bare.write_contexts(remote(url), current="r")
        result = bare.ok("chat", "hi")
    assert result.out == "Hi\n"
    assert result.err.startswith("gpt-5-mini at openai · 3 tokens in, 5 out · $0.0012 · ") and "simulated" not in result.err
    assert json.loads(seen[0].partition(b"\r\n\r\n")[2])["stream_options"] == {"include_usage": True}


def test_a_hostile_text_cannot_steer_the_terminal(bare: Cli) -> None:
    team = {"id": "team_1", "name": "a\x1b[2Jb\nc", "org": "o", "created_at": "2026-01-01T00:00:00Z"}
    with stub(answer("200 OK", json.dumps({"items": [team], "next": None}).encode())) as (url, _):
        bare.write_contexts(remote(url), current="r")
        result = bare.ok("teams", "list")
    assert "\x1b" not in result.out and len(result.out.splitlines()) == 2


def test_a_reader_that_leaves_early_is_no_error(bare: Cli) -> None:
    import subprocess
    import sys

    from tests.integration.cli.conftest import ROOT

    script = f"{sys.executable} -m scutum_cli.app completions zsh | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], cwd=ROOT, env=bare.environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
