"""What goes to a provider and what comes back: bytes, headers, connections, disconnects, slow clients."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import psutil
import pytest
import trustme
from tests.fixtures.gateway import Proxy
from tests.fixtures.upstream import (
    COMPLETION, DONE, LAST, STREAM_HEAD, USAGE, Request, Upstream, answer, chunk, event,
)  # fmt: skip
from tests.integration.proxy.scripted import PROVIDER_KEY, ask, error, provide, record_for, record_of, send_raw


async def test_the_provider_gets_its_own_key_and_nothing_of_the_clients(proxy: Proxy, upstream: Upstream) -> None:
    model = await provide(proxy, upstream.base_url)
    body = json.dumps({"model": model, "messages": [], "extra": {"kept": 1.50}}).encode()
    status, headers, got = await asyncio.to_thread(
        lambda: proxy.request(
            "POST", "/v1/chat/completions", body, key=proxy.master_key,
            headers={"Cookie": "a=b", "x-api-key": "zzz", "X-Forwarded-For": "1.2.3.4", "x-request-id": "mine-1"},
        )
    )  # fmt: skip
    assert (status, json.loads(got)) == (200, COMPLETION)
    (request,) = upstream.requests
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert not {"cookie", "x-api-key", "x-forwarded-for"} & set(request.headers)
    assert request.json == json.loads(body) | {"model": "upstream-model"}
    assert request.body.endswith(b'"extra":{"kept": 1.5}}'), "values keep their bytes"
    record = await record_of(proxy, headers)
    assert record["client_request_id"] == "mine-1"
    assert (record["tokens_in"], record["tokens_out"], record["tokens_cached"], record["tokens_reasoning"]) == (
        7,
        3,
        2,
        1,
    )
    assert headers["x-request-id"] != "mine-1"


async def test_a_second_model_key_cannot_be_smuggled_in(proxy: Proxy, upstream: Upstream) -> None:
    model = await provide(proxy, upstream.base_url)
    for tail in (b'"model": "%b"', b'"mod\\u0065l": "%b"'):
        body = b'{"model": "secret-model", "messages": [], ' + tail % model.encode() + b"}"
        status, _, _ = await asyncio.to_thread(
            lambda body=body: proxy.request("POST", "/v1/chat/completions", body, key=proxy.master_key)
        )
        assert status == 200
        sent = upstream.requests[-1].body
        assert sent.count(b"model") == 2, "the key and the name, once"
        assert b"secret-model" not in sent


async def test_a_price_of_the_operator_is_charged(proxy: Proxy, upstream: Upstream) -> None:
    def register() -> None:
        provider = proxy.rows.provider("priced", "openai", upstream.base_url)
        proxy.rows.deployment(
            "priced", provider, settings={"price": {"input_nano": 1000, "output_nano": 2000, "cached_nano": 500}}
        )
        proxy.wait_for("priced")

    await asyncio.to_thread(register)
    _, headers, _ = await ask(proxy, "priced")
    assert headers["x-scutum-cost"] == "0.000012"  # 5 fresh, 2 cached, 3 out
    record = await record_of(proxy, headers)
    assert (record["cost_nano_usd"], record["price_source"]) == (12_000, "operator")


async def test_usage_is_asked_for_on_streams_and_hidden_again(proxy: Proxy, upstream: Upstream) -> None:
    parts = [event("", role="assistant"), event("a"), event("b"), event(usage=USAGE), DONE]
    upstream.says(STREAM_HEAD, *(chunk(part) for part in parts), LAST)
    model = await provide(proxy, upstream.base_url)
    _, headers, body = await ask(proxy, model, stream=True)
    assert upstream.requests[-1].json["stream_options"] == {"include_usage": True}
    assert body == b"".join(parts[:3]) + b": x-scutum-cost=0\n\n" + DONE
    assert headers["content-type"].startswith("text/event-stream")
    assert "x-scutum-cost" not in headers
    record = await record_of(proxy, headers)
    assert (record["tokens_in"], record["tokens_out"], record["usage_source"]) == (11, 5, "reported")
    _, _, body = await ask(proxy, model, stream=True, stream_options={"include_usage": True})
    assert parts[3] in body


async def test_a_stream_that_reports_no_usage_is_estimated(proxy: Proxy, upstream: Upstream) -> None:
    upstream.says(STREAM_HEAD, *(chunk(event("word " * 4)) for _ in range(10)), chunk(DONE), LAST)
    model = await provide(proxy, upstream.base_url)
    _, headers, _ = await ask(proxy, model, stream=True)
    record = await record_of(proxy, headers)
    assert record["usage_source"] == "estimated"
    assert record["tokens_out"] >= 9
    assert record["tokens_in"] > 0


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_events_split_anywhere_arrive_whole(proxy: Proxy, upstream: Upstream, size: int) -> None:
    parts = [event("é€", role="assistant"), event('say "usage" and [DONE]'), event(usage=USAGE), DONE]
    data = b"".join(parts)
    upstream.says(STREAM_HEAD, *(chunk(data[i : i + size]) for i in range(0, len(data), size)), LAST)
    model = await provide(proxy, upstream.base_url)
    _, headers, body = await ask(proxy, model, stream=True)
    assert body == parts[0] + parts[1] + b": x-scutum-cost=0\n\n" + DONE
    assert (await record_of(proxy, headers))["tokens_out"] == 5


async def test_connections_are_kept_and_reused(proxy: Proxy, upstream: Upstream) -> None:
    model = await provide(proxy, upstream.base_url)
    for _ in range(5):
        assert (await ask(proxy, model))[0] == 200
    upstream.says(STREAM_HEAD, chunk(event("a")), chunk(DONE), LAST)
    for _ in range(5):
        assert (await ask(proxy, model, stream=True))[0] == 200
    assert upstream.accepted == 1


async def test_a_stale_connection_is_tried_once_more(proxy: Proxy, upstream: Upstream) -> None:
    model = await provide(proxy, upstream.base_url)
    assert (await ask(proxy, model))[0] == 200
    complete = upstream.handler

    async def closes(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream.handler = complete
        writer.close()

    upstream.handler = closes
    assert (await ask(proxy, model))[0] == 200
    assert (upstream.accepted, len(upstream.requests)) == (2, 3)


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", answer(COMPLETION)],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(json.dumps(COMPLETION).encode()), LAST],
        [b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(COMPLETION).encode()],
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + json.dumps(COMPLETION).encode()],
    ],
)
async def test_ways_to_frame_an_answer(proxy: Proxy, upstream: Upstream, parts: list[bytes]) -> None:
    upstream.says(*parts, close=b"Content-Length" not in parts[-1] and parts[-1] != LAST)
    model = await provide(proxy, upstream.base_url)
    status, _, body = await ask(proxy, model)
    assert (status, json.loads(body)) == (200, COMPLETION)


async def test_bytes_after_an_answer_do_not_reach_the_next_request(proxy: Proxy, upstream: Upstream) -> None:
    other = answer({**COMPLETION, "id": "another"})
    upstream.says(answer(COMPLETION) + other)
    model = await provide(proxy, upstream.base_url)
    for _ in range(3):
        assert json.loads((await ask(proxy, model))[2])["id"] == COMPLETION["id"]
    assert upstream.accepted == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_takes_the_provider_call_with_it(
    proxy: Proxy, upstream: Upstream, stream: bool
) -> None:
    upstream.hangs(*([STREAM_HEAD, *(chunk(event("four")) for _ in range(9))] if stream else []))
    model = await provide(proxy, upstream.base_url)
    reader, writer = await send_raw(proxy, model, stream=stream)
    if stream:
        await reader.readuntil(b"data: ")
    else:
        while not upstream.requests:
            await asyncio.sleep(0.01)
    writer.close()
    await asyncio.wait_for(upstream.hung_up.wait(), 1)
    record = await record_for(proxy, model)
    assert (record["status"], record["error_kind"]) == (499, "client_disconnected")
    assert record.get("usage_source") == ("estimated" if stream else None)
    assert (record.get("tokens_out", 0) >= 8) is stream


async def test_a_slow_client_holds_the_provider_back(proxy: Proxy, upstream: Upstream) -> None:
    sent = 0
    piece = chunk(event("x" * 8000))
    total = 4000  # 32 MB

    async def pour(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(STREAM_HEAD)
        for _ in range(total):
            writer.write(piece)
            await writer.drain()
            sent += 1
        writer.write(chunk(DONE) + LAST)

    upstream.handler = pour
    model = await provide(proxy, upstream.base_url)
    before = psutil.Process(proxy.process.pid).memory_info().rss
    reader, writer = await send_raw(proxy, model, stream=True)
    last = -1
    while sent != last:  # until the provider is held back
        last = sent
        await asyncio.sleep(0.3)
    assert 0 < sent < total
    assert psutil.Process(proxy.process.pid).memory_info().rss - before < 8 * 2**20
    got = b""
    while not got.endswith(b"0\r\n\r\n"):
        data = await reader.read(2**20)
        assert data
        got = got[-16:] + data
    assert sent == total
    assert b"data: [DONE]" in got
    writer.close()


async def test_tls_with_an_authority_of_ones_own(proxy: Proxy, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    async with Upstream(context) as upstream:
        trusted = await provide(proxy, upstream.base_url, ca_bundle=str(bundle))
        assert (await ask(proxy, trusted))[0] == 200
        strange = await provide(proxy, upstream.base_url)
        status, _, body = await ask(proxy, strange)
        assert (status, error(body)["code"]) == (502, "upstream_unreachable")
        assert "certificate" in error(body)["message"]
        other_name = await provide(proxy, upstream.base_url.replace("127.0.0.1", "localhost"), ca_bundle=str(bundle))
        assert (await ask(proxy, other_name))[0] == 502
    async with Upstream() as plain:
        model = await provide(proxy, plain.base_url.replace("http:", "https:"), timeouts={"connect_ms": 300})
        status, _, body = await ask(proxy, model)
        assert (status, error(body)["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    "usage",
    [
        '{"prompt_tokens": -5, "completion_tokens": 3}',
        '{"prompt_tokens": 7, "completion_tokens": 2147483648}',
        '{"prompt_tokens": 7.5, "completion_tokens": 3}',
        '{"prompt_tokens": "7", "completion_tokens": 3}',
        '{"prompt_tokens": 1e999, "completion_tokens": 3}',
        '{"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": -1}}',
        '"none"',
        "[1]",
    ],
)
async def test_absurd_usage_counts_as_none(proxy: Proxy, upstream: Upstream, usage: str) -> None:
    model = await provide(proxy, upstream.base_url)
    said = json.dumps(COMPLETION | {"usage": "HERE"}).replace('"HERE"', usage).encode()
    upstream.says(answer(said))
    status, headers, body = await ask(proxy, model)
    assert (status, body) == (200, said)
    record = await record_of(proxy, headers)
    assert (record["usage_source"], record["tokens_in"] > 0) == ("estimated", True)

    last = b'data: {"choices": [], "usage": %b}\n\n' % usage.encode()
    upstream.says(STREAM_HEAD + chunk(event("", role="assistant") + event("a") + last + DONE) + LAST)
    status, headers, body = await ask(proxy, model, stream=True)
    assert (status, body.endswith(DONE)) == (200, True)
    record = await record_of(proxy, headers)
    assert (record["usage_source"], record["tokens_in"] > 0, record["tokens_out"] > 0) == ("estimated", True, True)
