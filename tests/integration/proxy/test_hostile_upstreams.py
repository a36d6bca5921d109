"""Providers that lie in their framing or say more than they were asked: no client sees another's answer, or theirs."""

from __future__ import annotations

import asyncio
import gzip
import json

import psutil
import pytest
from tests.fixtures.gateway import Proxy
from tests.fixtures.upstream import COMPLETION, DONE, LAST, STREAM_HEAD, USAGE, Request, Upstream, answer, chunk, event
from tests.integration.proxy.scripted import ask, ask_path, error, provide, record_of

DATA = json.dumps(COMPLETION).encode()
LENGTH = b"Content-Length: %d\r\n" % len(DATA)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = chunk(DATA) + LAST


def says(head: bytes, body: bytes = DATA, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%b\r\n%b" % (status, head, body)


BAD = {
    "both lengths": says(LENGTH + CHUNKED, CHUNKS),
    "two lengths": says(LENGTH + b"Content-Length: 5\r\n"),
    "signed": says(b"Content-Length: +%d\r\n" % len(DATA)),
    "over 64 bits": says(b"Content-Length: 99999999999999999999\r\n"),
    "a chunk over 64 bits": says(CHUNKED, b"ffffffffffffffff1\r\n" + DATA),
    "folded": says(LENGTH + b"X-A: b\r\n c\r\n"),
    "bare line feeds": says(LENGTH, b"").replace(b"\r\n", b"\n") + DATA,
    "NUL in a value": says(LENGTH + b"X-A: b\0c\r\n"),
    "status 000": says(LENGTH, status=b"000 X"),
    "status 099": says(LENGTH, status=b"099 X"),
    "status 600": says(LENGTH, status=b"600 X"),
    "status 999": says(LENGTH, status=b"999 X"),
    "201": says(LENGTH, status=b"201 Created"),
    "204 with a body": says(LENGTH, status=b"204 No Content"),
    "206": says(LENGTH, status=b"206 Partial Content"),
    "304 with a body": says(LENGTH, status=b"304 Not Modified"),
    "gzip that nobody asked for": says(b"Content-Encoding: gzip\r\n" + CHUNKED, chunk(gzip.compress(DATA)) + LAST),
    "UTF-16": says(CHUNKED, chunk(DATA.decode().encode("utf-16")) + LAST),
    "endless trailers": says(CHUNKED, chunk(DATA) + b"0\r\nX-Endless: " + b"x" * 2**20),
    "interim answers without end": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 60_000,
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_answers_that_are_none_are_the_providers_fault(proxy: Proxy, upstream: Upstream, name: str) -> None:
    upstream.says(BAD[name])
    model = await provide(proxy, upstream.base_url)
    for path in ("/v1/chat/completions", "/v1/messages"):
        body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
        status, headers, got = await ask_path(proxy, path, body)
        assert (status, json.loads(got)["error"]["code"]) == (502, "upstream_bad_answer")
        assert (await record_of(proxy, headers))["error_kind"] == "upstream_bad_answer"
    upstream.says(answer(COMPLETION))
    assert (await ask(proxy, model))[0] == 200


GOOD = {
    "interim answers": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 3 + says(LENGTH),
    "chunk extensions": says(CHUNKED, b"%x;a=b\r\n%b\r\n0;c\r\n\r\n" % (len(DATA), DATA)),
    "trailers": says(CHUNKED, chunk(DATA) + b"0\r\nX-Scutum-Cost: 0\r\n\r\n"),
    "no reason": says(LENGTH, status=b"200"),
    "an answer behind the answer": says(LENGTH) + answer(b'{"choices": [], "poison": true}'),
    "an upgrade": says(LENGTH + b"Connection: upgrade\r\nUpgrade: h2c\r\n"),
    "headers of ours": says(
        LENGTH + b"x-request-id: theirs\r\nx-scutum-cost: 0\r\nSet-Cookie: a=b\r\nServer: theirs\r\nVia: x\r\n"
        b"Access-Control-Allow-Origin: *\r\nx-ratelimit-remaining: 1\r\nDate: theirs\r\nAlt-Svc: x\r\n"
    ),
    "counts that are none": says(CHUNKED, chunk(DATA.replace(b'"prompt_tokens": 7', b'"prompt_tokens": 1e400')) + LAST),
    "depth without counts": says(CHUNKED, chunk(b'{"choices":[{"message":' + b"[" * 800 + b"]" * 800 + b"}]}") + LAST),
}
OURS = {
    "content-type", "content-length", "date", "x-request-id", "x-scutum-model", "x-scutum-provider", "x-scutum-cache",
    "x-scutum-cost", "x-scutum-overhead-ms", "x-scutum-attempts",
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
async def test_odd_answers_that_are_whole_and_nothing_of_their_heads(
    proxy: Proxy, upstream: Upstream, name: str
) -> None:
    upstream.says(GOOD[name])
    model = await provide(proxy, upstream.base_url)
    for _ in range(2):
        status, headers, got = await ask(proxy, model)
        assert (status, b"poison" in got) == (200, False)
        assert set(headers) <= OURS
        assert "theirs" not in str(headers)


@pytest.mark.parametrize("value", [b"1\xff", b"nan", b"inf", b"-1", b"1e400", b"x" * 63, b"1, 2", b"\t1;drop"])
async def test_waits_that_cannot_be_read_are_not_passed_on(proxy: Proxy, upstream: Upstream, value: bytes) -> None:
    upstream.says(says(LENGTH + b"Retry-After: %b\r\n" % value, status=b"400 X"))
    model = await provide(proxy, upstream.base_url)
    status, headers, got = await ask(proxy, model)
    assert (status, "retry-after" in headers) == (400, False)
    assert error(got)["code"] == "upstream_rejected"


def clients_of(proxy: Proxy) -> int:
    links = psutil.Process(proxy.process.pid).net_connections("tcp")
    return sum(link.status != psutil.CONN_LISTEN and link.laddr.port == proxy.port for link in links)


async def test_no_client_gets_what_was_meant_for_another(proxy: Proxy, upstream: Upstream) -> None:
    """Each request carries a mark; the provider puts another answer, or junk, behind most of its own."""
    model = await provide(proxy, upstream.base_url)
    count = 0

    async def echo(request: Request, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        mark = request.json["messages"][0]["content"]
        if request.json.get("stream"):
            said = STREAM_HEAD + chunk(event(mark)) + chunk(event(usage=USAGE)) + chunk(DONE) + LAST
        else:
            said = answer(json.dumps(COMPLETION).replace('"hi"', json.dumps(mark)).encode())
        junk = (b"", answer(json.dumps(COMPLETION).replace('"hi"', '"stolen"').encode()), b"junk")
        writer.write(said + junk[count % 3])

    upstream.handler = echo

    async def client(number: int) -> None:
        for turn in range(10):
            mark = f"mark-{number}-{turn}"
            _, _, got = await ask(
                proxy, model, messages=[{"role": "user", "content": mark}], stream=bool((number + turn) % 2)
            )
            assert mark.encode() in got
            assert b"stolen" not in got

    await asyncio.gather(*(client(number) for number in range(12)))
    while clients_of(proxy):
        await asyncio.sleep(0.02)
    assert upstream.open <= 12, "no more than what was in use at once, idle in the pool"
