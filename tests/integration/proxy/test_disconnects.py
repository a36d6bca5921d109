"""A client that goes away takes its call along: at whatever provider, in whatever format, at whatever point."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.fixtures import anthropic_wire
from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.servers import Postgres, Valkey, wait_until
from tests.fixtures.upstream import STREAM_HEAD, Request, Upstream, answer, chunk, event
from tests.integration.proxy.scripted import ask, provide

from scutum_server.leases.store import PREFIX
from scutum_server.settings import DatabaseSettings, RedisSettings

SECONDS = 1.0
"""What the product promises, from the hang-up to the end of the provider's call."""
MESSAGES = [{"role": "user", "content": "hello"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "hello"},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 50},
    "/v1/responses": {"input": "hello"},
    "/v1/embeddings": {"input": "hello"},
    "/v1/moderations": {"input": "hello"},
    "/v1/images/generations": {"prompt": "hello"},
    "/v1/audio/speech": {"input": "hello", "voice": "alloy"},
    "/v1/rerank": {"query": "hello", "documents": ["hello"]},
}
STREAMED = ("/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses")
CASES = [
    (path, kind, settings, stream)
    for path in BODIES
    for kind, settings in (("openai", {}), ("anthropic", {}), ("openai", {"responses": "native"}))
    for stream in (False, True)
    if path in STREAMED or (kind, settings, stream) == ("openai", {}, False)
    if not settings or path == "/v1/responses"
]


async def send(proxy: Proxy, path: str, model: str, **fields: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    body = json.dumps({"model": model, **BODIES[path], **fields}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {proxy.master_key}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    return reader, writer


async def gone(proxy: Proxy, model: str) -> dict[str, Any]:
    """The record of the request that was left."""

    def found() -> list[dict[str, Any]]:
        return [each for each in proxy.records() if each.get("requested_model") == model and each["status"] == 499]

    await asyncio.to_thread(wait_until, found, what="the record")
    (record,) = found()
    assert record["error_kind"] == "client_disconnected"
    return record


async def asked(upstream: Upstream, count: int = 1) -> None:
    while len(upstream.requests) < count:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("path", "kind", "settings", "stream"), CASES)
async def test_while_the_provider_has_said_nothing(
    proxy: Proxy, upstream: Upstream, path: str, kind: str, settings: dict[str, str], stream: bool
) -> None:
    upstream.hangs()
    model = await provide(proxy, upstream.base_url, kind, **settings)
    _, writer = await send(proxy, path, model, **({"stream": True} if stream else {}))
    await asked(upstream)
    writer.close()
    await asyncio.wait_for(upstream.hung_up.wait(), SECONDS)
    record = await gone(proxy, model)
    assert (record.get("tokens_out", 0), record.get("cost_nano_usd", 0)) == (0, 0)


BEGUN = {
    "openai": [event("", role="assistant"), *(event("word") for _ in range(20))],
    "anthropic": [
        *anthropic_wire.events(anthropic_wire.message(anthropic_wire.text("word" * 10)))[:3],
        *(
            anthropic_wire.event(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word" * 10}}
            )
            for _ in range(2)
        ),
    ],
    "native": [
        b'event: response.output_text.delta\ndata: {"type": "response.output_text.delta", "delta": "%b"}\n\n'
        % (b"word" * 20)
    ],
}


@pytest.mark.parametrize(("path", "kind", "settings"), [case[:3] for case in CASES if case[3]])
async def test_in_the_middle_of_a_stream(
    proxy: Proxy, upstream: Upstream, path: str, kind: str, settings: dict[str, str]
) -> None:
    wire = "native" if settings else kind
    upstream.hangs(STREAM_HEAD, *(chunk(each) for each in BEGUN[wire]))
    model = await provide(proxy, upstream.base_url, kind, **settings)
    reader, writer = await send(proxy, path, model, stream=True)
    await reader.readuntil(b"word")
    writer.close()
    await asyncio.wait_for(upstream.hung_up.wait(), SECONDS)
    record = await gone(proxy, model)
    assert (record["usage_source"], record["stream"]) == ("estimated", True)
    assert 0 < record["tokens_out"] <= 20


async def test_while_the_proxy_waits_to_try_again(proxy: Proxy, upstream: Upstream) -> None:
    busy = {"error": {"message": "busy", "type": "x", "code": None}}
    upstream.says(answer(busy, 503, extra="Retry-After: 9\r\n"))
    model = await provide(proxy, upstream.base_url)
    _, writer = await send(proxy, "/v1/chat/completions", model)
    await asked(upstream)
    writer.close()
    record = await asyncio.wait_for(gone(proxy, model), SECONDS * 3)  # on its way through the stream as well
    assert record.get("attempts", 1) == 1
    assert len(upstream.requests) == 1


async def test_between_two_providers(proxy: Proxy, upstream: Upstream) -> None:
    """The first one has failed, the second one has the request."""

    async def handler(_: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(upstream.requests) == 1:
            writer.write(answer({"error": {"message": "down"}}, 500))
        else:
            await reader.read()

    upstream.handler = handler
    names = [await provide(proxy, upstream.base_url) for _ in range(2)]
    alias = f"a-{names[0]}"
    proxy.rows.alias(alias, *names, retries=0)
    await asyncio.to_thread(proxy.wait_for, alias)
    _, writer = await send(proxy, "/v1/chat/completions", alias, stream=True)
    await asked(upstream, 2)
    writer.close()
    await asyncio.wait_for(upstream.hung_up.wait(), SECONDS)
    assert (await gone(proxy, alias))["attempts"] == 2


@pytest.fixture
async def limited(
    postgres: Postgres, valkey: Valkey, database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> AsyncIterator[Proxy]:
    with redis.Redis(port=valkey.port, password=valkey.password) as client:
        client.set(f"{PREFIX}epoch", "test@1000")
    with running_proxy(database, redis_settings, tmp_path) as proxy:
        yield proxy


async def test_while_it_waits_for_its_quota(limited: Proxy, valkey: Valkey, upstream: Upstream) -> None:
    """Redis hangs, so that nobody hears whether there is quota; the one slot must be free afterwards."""
    model = await provide(limited, upstream.base_url)
    limited.rows.limit(concurrency=1)
    limited.rows.alias("after", model)
    await asyncio.to_thread(limited.wait_for, "after")
    assert valkey.process is not None
    valkey.process.send_signal(signal.SIGSTOP)
    try:
        _, writer = await send(limited, "/v1/chat/completions", model)
        # Another one behind it: when this one is refused, the first was in the queue before.
        writer.close()
        status, _, body = await ask(limited, model)
        assert (status, json.loads(body)["error"]["code"]) == (503, "limits_unavailable")
    finally:
        valkey.process.send_signal(signal.SIGCONT)
    record = await gone(limited, model)
    assert record.get("attempts", 1) == 0
    assert upstream.requests == []

    def served() -> bool:
        return limited.chat(model)[0] == 200

    await asyncio.to_thread(wait_until, served, what="the slot to be free")
