"""Requests that are wrong: the right status and code, one record each, and a worker that lives on."""

from __future__ import annotations

import json
import socket

import pytest
from tests.fixtures.gateway import MASTER_KEY, Proxy
from tests.integration.proxy.scripted import error

CHAT = "/v1/chat/completions"
LIMIT = 10 * 1024 * 1024


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        (CHAT, b"", "invalid_json", None),
        (CHAT, b"{", "invalid_json", None),
        (CHAT, b"[]", "invalid_request", None),
        (CHAT, b"null", "invalid_request", None),
        (CHAT, b'{"model": "sim", "messages": []} {}', "invalid_json", None),
        (CHAT, b'{"model": "sim", "messages": [], "x": "\xff\xfe"}', "invalid_json", None),
        (CHAT, b'{"model": "sim", "messages": [' + b"[" * 200_000 + b"]" * 200_000 + b"]}", "invalid_json", None),
        (CHAT, b'{"model": "sim", "messages": [NaN]}', "invalid_json", None),
        (CHAT, b'{"messages": []}', "invalid_request", "model"),
        (CHAT, b'{"model": "sim"}', "invalid_request", "messages"),
        (CHAT, b'{"model": 3, "messages": []}', "invalid_request", "model"),
        (CHAT, b'{"model": null, "messages": []}', "invalid_request", "model"),
        (CHAT, b'{"model": "sim", "messages": "hello"}', "invalid_request", "messages"),
        (CHAT, b'{"model": "sim", "messages": [], "stream": "yes"}', "invalid_request", "stream"),
        (CHAT, b'{"model": "sim", "messages": [], "stream_options": 1}', "invalid_request", "stream_options"),
        (CHAT, b'{"model": "sim", "messages": [], "max_tokens": "9"}', "invalid_request", "max_tokens"),
        (CHAT, b'{"model": "sim", "messages": [], "user": {}}', "invalid_request", "user"),
        ("/v1/embeddings", b'{"model": "sim-embedding"}', "invalid_request", "input"),
    ],
)
def test_bodies_that_are_wrong(proxy: Proxy, path: str, body: bytes, code: str, param: str | None) -> None:
    status, headers, answer = proxy.request("POST", path, body, key=MASTER_KEY)
    assert (status, error(answer)["code"], error(answer)["param"]) == (400, code, param)
    assert error(answer)["message"].endswith(".")
    record = proxy.record(headers["x-request-id"])
    assert (record["status"], record["error_kind"]) == (400, code)


@pytest.mark.parametrize("name", ["no such model", "nul\0", "x" * 100_000, "é", "a\r\nb: c"])
def test_models_that_do_not_exist(proxy: Proxy, name: str) -> None:
    status, headers, answer = proxy.chat(name)
    assert (status, error(answer)["code"]) == (404, "model_not_found")
    assert "\0" not in (proxy.record(headers["x-request-id"])["requested_model"])


def test_paths_and_methods_that_do_not_exist(proxy: Proxy) -> None:
    for method, path in (("GET", "/"), ("POST", "/v1/nothing"), ("GET", "/v1/chat/completions/x")):
        status, headers, answer = proxy.request(method, path)
        assert (status, error(answer)["code"]) == (404, "not_found")
        assert headers["x-request-id"]
    for method, path in (("GET", CHAT), ("PUT", CHAT), ("POST", "/v1/models")):
        status, _, answer = proxy.request(method, path, key=MASTER_KEY)
        assert (status, error(answer)["code"]) == (405, "method_not_allowed")


def test_a_query_string_does_not_matter(proxy: Proxy) -> None:
    assert proxy.request("GET", "/v1/models?limit=3", key=MASTER_KEY)[0] == 200


def exchange(proxy: Proxy, data: bytes) -> bytes:
    """Sends bytes and reads until the first answer is whole."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
        sock.sendall(data)
        got = b""
        while b"\r\n\r\n" not in got:
            part = sock.recv(65536)
            assert part, got
            got += part
        head, _, rest = got.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(rest) < length:
            rest += sock.recv(65536)
        return head + b"\r\n\r\n" + rest


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n" % MASTER_KEY.encode()


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(proxy: Proxy) -> None:
    head, _, body = exchange(proxy, HEAD + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert error(body)["code"] == "request_too_large"


def test_a_body_that_grows_too_large_is_refused(proxy: Proxy) -> None:
    piece = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    answer = exchange(proxy, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + piece * 20 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_twenty_megabytes(proxy: Proxy) -> None:
    status, headers, body = proxy.request("POST", CHAT, b"x" * 20 * 2**20, key=MASTER_KEY)
    assert (status, error(body)["code"]) == (413, "request_too_large")
    assert proxy.record(headers["x-request-id"])["status"] == 413


def test_a_large_body_within_the_limit(proxy: Proxy) -> None:
    body = {"model": "sim", "messages": [{"role": "user", "content": "x" * (LIMIT - 1000)}]}
    assert proxy.request("POST", CHAT, body, key=MASTER_KEY)[0] == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400), (b"GET / HTTP/9.9\r\n\r\n", 400), (b"hello\r\n\r\n", 400),
     (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, 431)],
)  # fmt: skip
def test_bytes_that_are_no_request(proxy: Proxy, data: bytes, status: int) -> None:
    answer = exchange(proxy, data)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]


def test_requests_in_a_row_on_one_connection(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
        body = b'{"model":"sim","messages":[{"role":"user","content":"hello"}]}'
        one = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        sock.sendall(one * 3 + b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while got.count(b"HTTP/1.1 200 OK") < 4:
            part = sock.recv(65536)
            assert part, got
            got += part
    assert got.index(b'{"status":"ok"}') > got.rindex(b"chat.completion")


def test_an_old_client_gets_its_stream_until_the_connection_ends(proxy: Proxy) -> None:
    body = b'{"model":"sim","messages":[{"role":"user","content":"hello"}],"stream":true}'
    head = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
        sock.sendall(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        got = b""
        while part := sock.recv(65536):
            got += part
    assert b"transfer-encoding" not in got
    assert got.endswith(b"data: [DONE]\n\n")


def test_a_connection_that_asks_for_a_go_ahead(proxy: Proxy) -> None:
    body = b'{"model":"sim","messages":[{"role":"user","content":"hello"}]}'
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
        sock.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(body)
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_look_at_the_head_alone(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
        sock.sendall(b"HEAD /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while part := sock.recv(65536):
            got += part
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("content", [r"\ud800", r"a \uD83D b", r"\ude00", r"\ud83d\u0041", r"\\\ud800 x"])
def test_half_of_a_surrogate_pair(proxy: Proxy, content: str) -> None:
    body = f'{{"model": "sim", "messages": [{{"role": "user", "content": "{content}"}}]}}'.encode()
    status, _, answer = proxy.request("POST", CHAT, body, key=MASTER_KEY)
    assert (status, error(answer)["code"]) == (400, "invalid_json")
    assert "not valid Unicode" in error(answer)["message"]


@pytest.mark.parametrize("content", [r"\ud83d\ude00", r"\\ud800"])
def test_whole_characters_in_escapes(proxy: Proxy, content: str) -> None:
    body = f'{{"model": "sim", "messages": [{{"role": "user", "content": "{content}"}}]}}'.encode()
    assert proxy.request("POST", CHAT, body, key=MASTER_KEY)[0] == 200


@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}{}{}{}\r\n0\r\n\r\n",
    ],
)
def test_a_body_that_is_framed_wrongly(proxy: Proxy, rest: bytes) -> None:
    head, _, body = exchange(proxy, HEAD + rest).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in head.lower()
    assert error(body)["code"] == "invalid_request"


def test_a_framing_that_breaks_later(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
        sock.sendall(HEAD + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")  # the request is being read
        sock.sendall(b"2\r\n{}\r\nzz\r\n")
        got = b""
        while part := sock.recv(65536):
            got += part
    assert got.startswith(b"HTTP/1.1 400 ")
    assert error(got.partition(b"\r\n\r\n")[2])["code"] == "invalid_request"


@pytest.mark.parametrize("twice", [b"Host: y\r\n", b"Authorization: Bearer sk-other\r\n"])
def test_headers_that_may_be_there_once(proxy: Proxy, twice: bytes) -> None:
    body = b'{"model":"sim","messages":[{"role":"user","content":"hello"}]}'
    answer = exchange(proxy, HEAD + twice + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert twice.partition(b":")[0].decode() in error(answer.partition(b"\r\n\r\n")[2])["message"]


def test_models_of_the_other_kind(proxy: Proxy) -> None:
    bodies = {CHAT: {"messages": [{"role": "user", "content": "hello"}]}, "/v1/embeddings": {"input": "hello"}}
    for path, model, kind in ((CHAT, "sim-embedding", "embedding"), ("/v1/embeddings", "fast", "chat")):
        status, headers, answer = proxy.request("POST", path, {"model": model, **bodies[path]}, key=MASTER_KEY)
        assert (status, error(answer)["code"], error(answer)["param"]) == (400, "invalid_request", "model")
        assert f"is of kind {kind}" in error(answer)["message"]
        assert proxy.record(headers["x-request-id"])["error_kind"] == "invalid_request"
