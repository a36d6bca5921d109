"""Requests whose framing is a trap, for us or for whoever stands before us: one reading, one answer, or none."""

from __future__ import annotations

import gzip
import re
import socket
import zlib

import pytest
from tests.fixtures.gateway import MASTER_KEY, Proxy
from tests.integration.proxy.scripted import error

KEY = b"Authorization: Bearer %b\r\n" % MASTER_KEY.encode()
BODY = b'{"model":"sim","messages":[{"role":"user","content":"hello"}]}'
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + KEY
GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LAST = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def statuses(proxy: Proxy, data: bytes) -> list[int]:
    """Of every answer to `data` on one connection, read until the proxy closes it."""
    got = b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as sock:
        try:
            sock.sendall(data)
            while part := sock.recv(65536):
                got += part
        except ConnectionError:
            pass  # closed with bytes unread
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", got)]


REFUSED = {
    "both lengths": POST + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
    "chunked, then not": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS,
    "two codings": POST + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + CHUNKS,
    "no coding": POST + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + BODY,
    "two lengths": POST + LENGTH + b"Content-Length: 5\r\n\r\n" + BODY,
    "one length twice": POST + LENGTH + LENGTH + b"\r\n" + BODY,
    "a list of lengths": POST + b"Content-Length: %d, %d\r\n\r\n" % (len(BODY), len(BODY)) + BODY,
    "signed": POST + b"Content-Length: +%d\r\n\r\n" % len(BODY) + BODY,
    "negative": POST + b"Content-Length: -1\r\n\r\n" + BODY,
    "hexadecimal": POST + b"Content-Length: 0x3e\r\n\r\n" + BODY,
    "two numbers": POST + b"Content-Length: 6 2\r\n\r\n" + BODY,
    "no number": POST + b"Content-Length: \r\n\r\n" + BODY,
    "over 64 bits": POST + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY,
    "folded": POST + b"X-A: b\r\n c\r\n" + LENGTH + b"\r\n" + BODY,
    "folded length": POST + b"Content-Length:\r\n %d\r\n\r\n" % len(BODY) + BODY,
    "bare line feeds": (POST + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "a bare carriage return": POST + b"X-A: b\rX-B: c\r\n" + LENGTH + b"\r\n" + BODY,
    "NUL in a value": POST + b"X-A: b\0c\r\n" + LENGTH + b"\r\n" + BODY,
    "NUL in a name": POST + b"X\0A: b\r\n" + LENGTH + b"\r\n" + BODY,
    "no colon": POST + b"X-A\r\n" + LENGTH + b"\r\n" + BODY,
    "no name": POST + b": x\r\n" + LENGTH + b"\r\n" + BODY,
    "a space before the first header": b"GET /v1/models HTTP/1.1\r\n Host: x\r\n\r\n",
    "a line feed in a chunk extension": POST + CHUNKED + b"\r\n%x;a\nb\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
    "chunks with line feeds": POST + CHUNKED + b"\r\n%x\n%b\n0\n\n" % (len(BODY), BODY),
    "a chunk size with 0x": POST + CHUNKED + b"\r\n0x" + CHUNKS,
    "a negative chunk": POST + CHUNKED + b"\r\n-1\r\n" + BODY,
    "a chunk over 64 bits": POST + CHUNKED + b"\r\nffffffffffffffff1\r\n" + BODY,
    "a trailer that is a length": POST + CHUNKED + b"\r\n" + CHUNKS[:-2] + b"Content-Length: 9\r\n\r\n",
    "a tunnel": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "HTTP/2 in the open": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    "HTTP/2 by name": GET.replace(b"HTTP/1.1", b"HTTP/2.0"),
    "a method that is none": GET.replace(b"GET", b"FOO"),
    "a method in lower case": GET.replace(b"GET", b"get"),
    "a target without a slash": GET.replace(b"/v1/models", b"v1/models"),
    "a space in the target": GET.replace(b"/v1/models", b"/v1/ models"),
    "bytes over 127 in the target": GET.replace(b"/v1/models", b"/v1/models/\xc3\xa9"),
    "a port that is none": GET.replace(b"/v1/models", b"http://u:p@x:99999/v1/models"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_framing_that_two_could_read_differently_is_refused_and_ends_the_connection(proxy: Proxy, name: str) -> None:
    assert statuses(proxy, REFUSED[name] + LAST) == [400]


REFUSED_BY_US = {
    "gzip, chunked": (400, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS),
    "identity, chunked": (400, POST + b"Transfer-Encoding: identity, chunked\r\n\r\n" + CHUNKS),
    "no host": (400, GET.replace(b"Host: x\r\n", b"")),
    "two hosts": (400, GET.replace(b"Host: x\r\n", b"Host: x\r\nHost: x\r\n")),
    "two API keys": (400, GET.replace(KEY, b"x-api-key: sk-x\r\nx-api-key: %b\r\n" % MASTER_KEY.encode())),
    "a key in a trailer": (401, POST.replace(KEY, b"") + CHUNKED + b"\r\n" + CHUNKS[:-2] + KEY + b"\r\n"),
    "a length of 5 000 digits": (413, POST + b"Content-Length: " + b"0" * 5000 + LENGTH[16:] + b"\r\n" + BODY),
}


@pytest.mark.parametrize("name", REFUSED_BY_US)
def test_heads_that_say_two_things_are_refused(proxy: Proxy, name: str) -> None:
    status, data = REFUSED_BY_US[name]
    assert statuses(proxy, data + LAST) == [status, 200]


ANSWERED = {
    "a tab before the coding": POST + b"Transfer-Encoding:\tchunked\r\n\r\n" + CHUNKS,
    "chunk extensions": POST + CHUNKED + b'\r\n%x;a=b;c="d"\r\n%b\r\n0;e\r\n\r\n' % (len(BODY), BODY),
    "trailers": POST + CHUNKED + b"\r\n" + CHUNKS[:-2] + b"X-T: 1\r\n\r\n",
    "high bytes in a value": POST + b"X-A: \xff\xfe\r\n" + LENGTH + b"\r\n" + BODY,
    "a body on a GET": GET[:-2] + LENGTH + b"\r\n" + BODY,
    "an expectation that nobody has": POST + b"Expect: 200-ok\r\n" + LENGTH + b"\r\n" + BODY,
    "an upgrade": POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + LENGTH + b"\r\n" + BODY,
    "a target with another's host": GET.replace(b"/v1/models", b"http://evil.example/v1/models"),
    "blank lines before": b"\r\n" * 100 + GET,
}


@pytest.mark.parametrize("name", ANSWERED)
def test_oddities_that_can_be_read_in_one_way_only(proxy: Proxy, name: str) -> None:
    assert statuses(proxy, ANSWERED[name] + LAST) == [200, 200]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("//v1/models", "not_found"), ("/v1/x/../models", "not_found"), ("/v1/%6dodels", "not_found"),
        ("/v1/models/../../health/live", "model_not_found"), ("/v1/models/%2e%2e%2fsim", "model_not_found"),
        ("/v1/models/%00", "model_not_found"), ("/v1/models/%zz%f", "model_not_found"), ("/v1/models/", "model_not_found"),
        ("/v1/models/%ff%fe", "model_not_found"), ("/v1/models#sim", "not_found"), ("/V1/MODELS", "not_found"),
        ("/v1/models;x=y", "not_found"), ("/v1/models/" + "a" * 60_000, "model_not_found"), ("/v1%2fmodels", "not_found"),
    ],
)  # fmt: skip
def test_paths_that_look_like_others(proxy: Proxy, path: str, code: str) -> None:
    status, _, body = proxy.request("GET", path, key=MASTER_KEY)
    assert (status, error(body)["code"]) == (404, code)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "x-unknown"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_compressed_bodies_are_not_taken(proxy: Proxy, coding: str, path: str) -> None:
    bomb = gzip.compress(b" " * 2**24) if coding == "gzip" else zlib.compress(b" " * 2**24)
    status, headers, body = proxy.request("POST", path, bomb, key=MASTER_KEY, headers={"Content-Encoding": coding})
    assert status == 415
    assert b"unsupported_content_encoding" in body
    assert coding.encode() in body
    assert proxy.record(headers["x-request-id"])["status"] == 415


def test_wrong_methods_say_which_is_right(proxy: Proxy) -> None:
    for method, path, allow in (("GET", "/v1/messages", "POST"), ("DELETE", "/v1/models", "GET"),
                                ("PUT", "/v1/files", "POST, GET"), ("POST", "/v1/files/x", "GET, DELETE"),
                                ("POST", "/health/live", "GET, HEAD"), ("PUT", "/metrics", "GET, HEAD")):  # fmt: skip
        status, headers, _ = proxy.request(method, path, key=MASTER_KEY)
        assert (status, headers["allow"]) == (405, allow)


def test_unknown_paths_of_messages_are_refused_in_their_format(proxy: Proxy) -> None:
    for method, path in (("POST", "/v1/messages/batches"), ("GET", "/v1/messages")):
        _, headers, body = proxy.request(method, path, key=MASTER_KEY)
        assert b'"type":"error"' in body
        assert headers["request-id"] == headers["x-request-id"]
