"""One name, deployments at providers of different formats: each attempt goes out in the format of its provider."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fixtures import anthropic_wire as wire
from tests.fixtures.gateway import Proxy
from tests.fixtures.upstream import COMPLETION, DONE, LAST, STREAM_HEAD, USAGE, Upstream, answer, chunk, event
from tests.integration.proxy.scripted import ask, ask_path, error, provide, record_for, record_of
from tests.integration.proxy.test_routing import alias

DOWN = answer({"error": {"message": "down", "type": "server_error"}}, 500)
OVERLOADED = answer(wire.failure("overloaded_error", "Overloaded"), 529)
GOOD_STREAM = STREAM_HEAD + chunk(event("", role="assistant") + event("hi") + event(usage=USAGE) + DONE) + LAST
QUESTION = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def claude() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


async def mixed(proxy: Proxy, *servers: tuple[Upstream, str], **settings: Any) -> str:
    models = [await provide(proxy, server.base_url, kind) for server, kind in servers]
    return await alias(proxy, *models, **({"retries": 0} | settings))


async def test_chat_falls_back_to_anthropic(proxy: Proxy, upstream: Upstream, claude: Upstream) -> None:
    upstream.says(DOWN)
    claude.says(answer(wire.message(wire.text("hi"))))
    name = await mixed(proxy, (upstream, "openai"), (claude, "anthropic"), retries=1)
    status, headers, body = await ask(proxy, name, logit_bias={"1": 5})
    assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "hi")
    assert [request.json["logit_bias"] for request in upstream.requests] == [{"1": 5}] * 2
    (request,) = claude.requests
    assert (request.line, "logit_bias" in request.json) == ("POST /v1/messages HTTP/1.1", False)
    assert [part.rpartition(":")[2] for part in headers["x-scutum-attempts"].split(", ")] == ["500", "500", "200"]
    assert headers["x-scutum-dropped"] == "logit_bias"
    record = await record_of(proxy, headers)
    assert (record["attempts"], record["tokens_in"], record["tokens_out"]) == (3, 33, 6)


async def test_what_an_attempt_dropped_is_not_told_of_the_next(
    proxy: Proxy, upstream: Upstream, claude: Upstream
) -> None:
    claude.says(OVERLOADED)
    upstream.says(answer(COMPLETION))
    name = await mixed(proxy, (claude, "anthropic"), (upstream, "openai"))
    status, headers, body = await ask(proxy, name, logit_bias={"1": 5})
    assert (status, json.loads(body)) == (200, COMPLETION)
    assert "x-scutum-dropped" not in headers
    assert upstream.requests[0].json["logit_bias"] == {"1": 5}


@pytest.mark.parametrize("begun", [b"", wire.event({"type": "ping"})])
async def test_a_stream_that_begins_with_anthropics_error_is_tried_elsewhere(
    proxy: Proxy, upstream: Upstream, claude: Upstream, begun: bytes
) -> None:
    claude.says(STREAM_HEAD + chunk(begun + wire.event(wire.failure("overloaded_error", "Overloaded"))) + LAST)
    upstream.says(GOOD_STREAM)
    name = await mixed(proxy, (claude, "anthropic"), (upstream, "openai"))
    status, headers, body = await ask(proxy, name, stream=True)
    assert (status, b"hi" in body, body.endswith(DONE)) == (200, True, True)
    assert [part.rpartition(":")[2] for part in headers["x-scutum-attempts"].split(", ")] == ["502", "200"]
    record = await record_of(proxy, headers)
    assert (record["tokens_in"], record["usage_source"]) == (USAGE["prompt_tokens"], "reported")


async def test_messages_stream_falls_back_to_chat(proxy: Proxy, upstream: Upstream, claude: Upstream) -> None:
    claude.says(OVERLOADED)
    upstream.says(GOOD_STREAM)
    name = await mixed(proxy, (claude, "anthropic"), (upstream, "openai"))
    asked = {"model": name, "max_tokens": 9, "messages": QUESTION, "stream": True}
    status, _, body = await ask_path(proxy, "/v1/messages", asked)
    assert (status, b"event: message_start" in body, b"event: message_stop" in body) == (200, True, True)
    assert upstream.requests[0].line.startswith("POST /v1/chat/completions")
    assert (await record_for(proxy, name))["attempts"] == 2


async def test_the_last_failure_is_told_in_the_clients_format(
    proxy: Proxy, upstream: Upstream, claude: Upstream
) -> None:
    upstream.says(DOWN)
    claude.says(OVERLOADED)
    name = await mixed(proxy, (upstream, "openai"), (claude, "anthropic"))
    status, _, body = await ask(proxy, name)
    assert (status, error(body)["message"]) == (529, "Overloaded")
    asked = {"model": name, "max_tokens": 9, "messages": QUESTION}
    status, _, body = await ask_path(proxy, "/v1/messages", asked)
    told = json.loads(body)
    assert (status, told["type"], told["error"]["type"]) == (529, "error", "overloaded_error")


async def test_a_provider_that_cannot_be_asked_is_left_out(proxy: Proxy, upstream: Upstream, claude: Upstream) -> None:
    upstream.says(answer({"object": "list", "data": [], "usage": {"prompt_tokens": 3, "total_tokens": 3}}))
    name = await mixed(proxy, (claude, "anthropic"), (upstream, "openai"))
    status, headers, _ = await ask_path(proxy, "/v1/embeddings", {"model": name, "input": "x"})
    assert (status, claude.requests) == (200, [])
    assert [part.rpartition(":")[2] for part in headers["x-scutum-attempts"].split(", ")] == ["unsupported", "200"]
    assert (await record_of(proxy, headers)).get("attempts", 1) == 1

    other = await mixed(proxy, (upstream, "openai"), (claude, "anthropic"))
    upstream.says(DOWN)
    status, _, body = await ask_path(proxy, "/v1/embeddings", {"model": other, "input": "x"})
    assert (status, error(body)["message"]) == (500, "down"), "what failed says more than what could not be asked"


async def test_the_keys_of_an_anthropic_provider_stand_in_for_each_other(proxy: Proxy, claude: Upstream) -> None:
    name = f"m-{secrets.token_hex(4)}"

    def register() -> None:
        provider = proxy.rows.provider(f"p-{name}", "anthropic", claude.base_url, api_key="sk-one")
        proxy.rows.provider_key(provider, "sk-two")
        proxy.rows.deployment(name, provider)
        proxy.wait_for(name)

    await asyncio.to_thread(register)
    claude.says(answer(wire.failure("rate_limit_error", "slow down"), 429, extra="Retry-After: 60\r\n"))
    status, headers, _ = await ask(proxy, name)
    assert (status, headers["retry-after"]) == (429, "60")
    assert {request.headers["x-api-key"] for request in claude.requests} == {"sk-one", "sk-two"}
