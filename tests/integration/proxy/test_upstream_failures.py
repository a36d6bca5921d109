"""Providers that refuse, hang, lie and die: status, code, record, and no connection left behind."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from tests.fixtures.gateway import Proxy
from tests.fixtures.servers import free_port
from tests.fixtures.upstream import COMPLETION, DONE, LAST, STREAM_HEAD, Upstream, answer, chunk, event
from tests.integration.proxy.scripted import PROVIDER_KEY, ask, error, provide, record_for, record_of

PROMPT = [{"role": "user", "content": "hello"}]


async def failing(proxy: Proxy, model: str, status: int, code: str, **fields: object) -> dict[str, object]:
    """Asks, expects that failure, and returns the record."""
    got, headers, body = await ask(proxy, model, **fields)
    assert (got, error(body)["code"]) == (status, code)
    record = await record_of(proxy, headers)
    assert (record["status"], record["error_kind"]) == (status, code)
    assert PROVIDER_KEY.encode() not in body
    return record


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_refuses(proxy: Proxy, stream: bool) -> None:
    model = await provide(proxy, f"http://127.0.0.1:{free_port()}/v1")
    await failing(proxy, model, 502, "upstream_unreachable", stream=stream)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_hangs_before_its_answer(proxy: Proxy, upstream: Upstream, stream: bool) -> None:
    upstream.hangs()
    model = await provide(proxy, upstream.base_url, timeouts={"first_byte_ms": 200})
    await failing(proxy, model, 504, "upstream_timeout", stream=stream)
    await asyncio.wait_for(upstream.hung_up.wait(), 5)


@pytest.mark.parametrize(
    "parts",
    [
        [b"\x00\x01garbage\r\n\r\n"],
        [b"SSH-2.0-OpenSSH_9.6\r\n"],
        [b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 400_000],
        [b"HTTP/1.1 200 OK\r\n" + b"X-Many: yes\r\n" * 10_000 + b"\r\n"],
        [b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"],
        [answer(b"<html>hello</html>", content_type="text/html")],
        [answer(b'{"choices": [')],
        [answer({"error": {"message": "no", "type": "x", "param": None, "code": None}})],
        [answer(b"[" * 100_000 + b"]" * 100_000)],
        [answer(b"", 302, extra="Location: http://169.254.169.254/\r\n")],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot-a-size\r\n"],
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_answers_that_are_none(proxy: Proxy, upstream: Upstream, parts: list[bytes], stream: bool) -> None:
    upstream.says(*parts)
    model = await provide(proxy, upstream.base_url)
    await failing(proxy, model, 502, "upstream_bad_answer", stream=stream)


@pytest.mark.parametrize(
    "part", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", answer(COMPLETION)[:-5], STREAM_HEAD, STREAM_HEAD + b"ff\r\ndata"]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_hangs_up_early(proxy: Proxy, upstream: Upstream, part: bytes, stream: bool) -> None:
    upstream.says(part, close=True)
    model = await provide(proxy, upstream.base_url)
    code = "upstream_bad_answer" if stream and b"json" in part else "upstream_disconnected"
    await failing(proxy, model, 502, code, stream=stream)
    assert len(upstream.requests) == 1, "a request that may have been charged was sent again"


async def test_a_stream_that_dies_ends_with_an_error_event(proxy: Proxy, upstream: Upstream) -> None:
    upstream.says(
        STREAM_HEAD + chunk(event("", role="assistant")) + chunk(event("Hello")) + chunk(event(" you")), close=True
    )
    model = await provide(proxy, upstream.base_url)
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.master_key, max_retries=0) as client:
        stream = await client.chat.completions.create(model=model, messages=PROMPT, stream=True)
        seen = []
        with pytest.raises(openai.APIError) as caught:
            async for part in stream:
                seen.append(part.choices[0].delta.content)
    assert seen == ["", "Hello", " you"]
    assert caught.value.code == "upstream_disconnected"
    record = await record_of(proxy, dict(stream.response.headers))
    assert (record["status"], record["error_kind"]) == (502, "upstream_disconnected")
    assert (record["usage_source"], record["tokens_out"] > 0, record["tokens_in"] > 0) == ("estimated", True, True)


@pytest.mark.parametrize("timeout", ["total_ms", "idle_ms"])
async def test_a_stream_that_stalls_runs_into_a_timeout(proxy: Proxy, upstream: Upstream, timeout: str) -> None:
    upstream.hangs(STREAM_HEAD, chunk(event("Hello")))
    model = await provide(proxy, upstream.base_url, timeouts={timeout: 400})
    with pytest.raises(Exception, match="IncompleteRead"):  # the client must not take it for a whole stream
        await ask(proxy, model, stream=True)
    await asyncio.wait_for(upstream.hung_up.wait(), 5)
    assert (await record_for(proxy, model))["error_kind"] == "upstream_timeout"


@pytest.mark.parametrize(
    ("status", "ours", "code", "kind"),
    [
        (400, 400, "context_length_exceeded", "upstream_rejected"),
        (401, 502, "upstream_auth_failed", "upstream_auth_failed"),
        (403, 502, "upstream_auth_failed", "upstream_auth_failed"),
        (404, 404, "context_length_exceeded", "upstream_rejected"),
        (429, 429, "context_length_exceeded", "upstream_rate_limited"),
        (500, 500, "context_length_exceeded", "upstream_error"),
        (529, 529, "context_length_exceeded", "upstream_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_refusals_of_the_provider_are_passed_on(
    proxy: Proxy, upstream: Upstream, status: int, ours: int, code: str, kind: str, stream: bool
) -> None:
    refusal = {"error": {"message": f"no: {PROVIDER_KEY if status in (401, 403) else 'reasons'}",
                         "type": "their_type", "param": "messages", "code": "context_length_exceeded"}}  # fmt: skip
    upstream.says(answer(refusal, status, extra="Retry-After: 17\r\nx-ratelimit-limit: 3\r\nSet-Cookie: a=b\r\n"))
    model = await provide(proxy, upstream.base_url)
    got, headers, body = await ask(proxy, model, stream=stream)
    assert (got, error(body)["code"]) == (ours, code)
    assert PROVIDER_KEY.encode() not in body
    assert headers.get("retry-after") == ("17" if ours != 502 else None)
    assert "x-ratelimit-limit" not in headers
    assert "set-cookie" not in headers
    assert (await record_of(proxy, headers))["error_kind"] == kind


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad gateway</html>", b'{"error": "overloaded"}', b'{"detail": 3}', b"[1]"]
)
async def test_refusals_in_no_known_shape(proxy: Proxy, upstream: Upstream, body: bytes) -> None:
    upstream.says(answer(body, 503))
    model = await provide(proxy, upstream.base_url)
    await failing(proxy, model, 503, "upstream_error")


async def test_an_error_inside_a_stream_is_recorded(proxy: Proxy, upstream: Upstream) -> None:
    broken = b'data: {"error": {"message": "overloaded", "type": "x", "code": null}}\n\n'
    upstream.says(STREAM_HEAD + chunk(event("a") + broken + DONE) + LAST)
    model = await provide(proxy, upstream.base_url)
    _, headers, body = await ask(proxy, model, stream=True)
    assert b"overloaded" in body
    assert (await record_of(proxy, headers))["error_kind"] == "upstream_stream_error"


async def test_a_provider_with_settings_that_cannot_be_read_spoils_nothing_else(proxy: Proxy) -> None:
    model = await provide(proxy, "ftp://example.org/v1")
    await failing(proxy, model, 503, "provider_misconfigured")
    model = await provide(proxy, "https://127.0.0.1:1/v1", ca_bundle="/nowhere.pem")
    await failing(proxy, model, 503, "provider_misconfigured")
    model = await provide(proxy, "http://127.0.0.1:1/v1", timeouts={"connect_ms": "soon"})
    await failing(proxy, model, 503, "provider_misconfigured")
    assert (await ask(proxy, "sim"))[0] == 200


async def test_many_failures_leave_no_connection(proxy: Proxy, upstream: Upstream) -> None:
    model = await provide(proxy, upstream.base_url, breaker={"failures": 1000})
    upstream.says(STREAM_HEAD + chunk(event("a")), close=True)

    async def once() -> None:
        with pytest.raises(Exception, match="IncompleteRead"):
            await ask(proxy, model, stream=True)

    await asyncio.gather(*(once() for _ in range(20)))
    while upstream.open:
        await asyncio.sleep(0.01)
    assert json.loads((await ask(proxy, "sim"))[2])["choices"]


@pytest.mark.parametrize("garbage", [b"data: {not json\n\n", b'data: {"a": "\xff\xfe"}\n\n', b"data: overloaded\n\n"])
async def test_garbage_inside_a_stream_ends_it_with_an_error_event(
    proxy: Proxy, upstream: Upstream, garbage: bytes
) -> None:
    upstream.says(STREAM_HEAD + chunk(event("", role="assistant")) + chunk(event("Hello") + garbage + DONE) + LAST)
    model = await provide(proxy, upstream.base_url)
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.master_key, max_retries=0) as client:
        stream = await client.chat.completions.create(model=model, messages=PROMPT, stream=True)
        seen = []
        with pytest.raises(openai.APIError) as caught:
            async for part in stream:
                seen.append(part.choices[0].delta.content)
    assert (seen, caught.value.code) == (["", "Hello"], "upstream_bad_answer")
    record = await record_of(proxy, dict(stream.response.headers))
    assert (record["status"], record["error_kind"]) == (502, "upstream_bad_answer")
    assert (record["usage_source"], record["tokens_out"] > 0) == ("estimated", True)


async def test_a_stream_that_begins_with_garbage_is_a_status(proxy: Proxy, upstream: Upstream) -> None:
    upstream.says(STREAM_HEAD + chunk(b"data: {not json\n\n" + DONE) + LAST)
    model = await provide(proxy, upstream.base_url)
    await failing(proxy, model, 502, "upstream_bad_answer", stream=True)
