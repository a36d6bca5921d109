"""What a budget lets a request generate, told to each provider in its own format, and what a request may cost at most."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.fixtures import anthropic_wire
from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.servers import Postgres, Valkey
from tests.fixtures.upstream import COMPLETION, Upstream, answer

from scutum_server.leases.store import PREFIX
from scutum_server.settings import RedisSettings

INPUT, OUTPUT = 1_000, 10_000
PRICE = {"input_nano": INPUT, "output_nano": OUTPUT}
TEXT_COMPLETION = {**COMPLETION, "object": "text_completion", "choices": [{"index": 0, "text": "hi", "finish_reason": "stop"}]}
RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [],
            "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}}  # fmt: skip
SAYS = {"chat": COMPLETION, "completions": TEXT_COMPLETION, "responses": RESPONSE,
        "messages": anthropic_wire.message(anthropic_wire.text("hi"))}  # fmt: skip
TURN = [{"role": "user", "content": "hello"}]
CLIENTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "chat": ("/v1/chat/completions", {"messages": TURN}, "max_tokens"),
    "chat, new name": ("/v1/chat/completions", {"messages": TURN}, "max_completion_tokens"),
    "messages": ("/v1/messages", {"messages": TURN}, "max_tokens"),
    "responses": ("/v1/responses", {"input": "hello"}, "max_output_tokens"),
    "completions": ("/v1/completions", {"prompt": "hello"}, "max_tokens"),
}
PROVIDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("openai", {}),
    "openai with responses": ("openai", {"responses": "native"}),
    "anthropic": ("anthropic", {}),
}


@pytest.fixture(scope="module")
def budgeted(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy on a Valkey in which nobody has to come back."""
    with redis.Redis(port=valkey.port, password=valkey.password) as client:
        client.flushall()
        client.set(f"{PREFIX}epoch", "test@1000")
    name = postgres.clone()
    with running_proxy(postgres.app(name), valkey.settings(), tmp_path_factory.mktemp("proxy")) as running:
        yield running
    postgres.drop(name)


async def at(
    proxy: Proxy, upstream: Upstream, provider: str, amount: int, upstream_model: str | None = None
) -> tuple[str, str]:
    """A model at a provider of the kind, and a key with a budget."""
    kind, settings = PROVIDERS[provider]
    name = f"m-{secrets.token_hex(4)}"

    def register() -> str:
        key = proxy.rows.key(name)
        with proxy.rows.transaction() as conn:
            (key_id,) = conn.execute("SELECT id FROM api_keys WHERE name = %s", (name,)).fetchone()
        proxy.rows.budget("key", key_id=key_id, amount_nano_usd=amount)
        row = proxy.rows.provider(f"p-{name}", kind, upstream.base_url, api_key="sk-up", settings=settings)
        proxy.rows.deployment(name, row, upstream_model, settings={"price": PRICE})
        proxy.wait_for(name)
        return key

    key = await asyncio.to_thread(register)

    async def handler(request, _, writer) -> None:
        path = request.line.split()[1]
        said = next(said for end, said in (("messages", "messages"), ("responses", "responses"), ("chat/completions", "chat"),
                                           ("completions", "completions")) if path.endswith(end))  # fmt: skip
        writer.write(answer(SAYS[said]))
        await writer.drain()

    upstream.handler = handler
    return name, key


async def ask(proxy: Proxy, path: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    status, headers, raw = await asyncio.to_thread(lambda: proxy.request("POST", path, body, key=key))
    return status, headers, json.loads(raw)


def sent(upstream: Upstream) -> int:
    """The lowest maximum in the last request, by a name that belongs to its format."""
    request = upstream.requests[-1]
    names = ("max_output_tokens",) if "responses" in request.line else ("max_tokens", "max_completion_tokens")
    return min(request.json[name] for name in names if name in request.json)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_every_format_is_told_of_the_cap(budgeted: Proxy, upstream: Upstream, client: str, provider: str) -> None:
    path, fields, limit = CLIENTS[client]
    model, key = await at(budgeted, upstream, provider, 2_500_000)
    status, _, said = await ask(budgeted, path, {"model": model, **fields, limit: 5_000}, key)
    assert status == 200, said
    low = sent(upstream)
    assert 100 < low < 250, "2 500 000 nano-USD buy less than 250 tokens at 10 000"
    status, _, said = await ask(budgeted, path, {"model": model, **fields, limit: 20}, key)
    assert (status, sent(upstream)) == (200, 20), said
    if provider == "openai" and "responses" not in upstream.requests[-1].line:
        assert upstream.requests[-1].json["max_tokens"] == 20, "servers of others may know this name only"
    if limit != "max_tokens" or client == "chat":
        await ask(budgeted, path, {"model": model, **fields}, key)
        assert 100 < sent(upstream) < 250, "without a maximum of the client's own"
    if client == "completions":
        await ask(budgeted, path, {"model": model, **fields}, key)
        assert sent(upstream) == 16, "the format's own rule, which not every server keeps to"


async def test_a_reasoning_model_is_told_in_the_only_name_it_knows(budgeted: Proxy, upstream: Upstream) -> None:
    """Wherever it is served: beside `max_completion_tokens` it refuses `max_tokens`."""
    model, key = await at(budgeted, upstream, "openai", 1_000_000, upstream_model="gpt-5-mini")
    for field in ({}, {"max_completion_tokens": 5_000}):
        body = {"model": model, "messages": TURN, **field}
        status, _, said = await asyncio.to_thread(budgeted.request, "POST", "/v1/chat/completions", body, key=key)
        assert status == 200, said
        sent = upstream.requests[-1].json
        assert 0 < sent["max_completion_tokens"] < 100 and "max_tokens" not in sent


async def test_thinking_is_lowered_with_the_output_or_refused(budgeted: Proxy, upstream: Upstream) -> None:
    model, key = await at(budgeted, upstream, "anthropic", 50_000_000)
    body = {"model": model, "messages": TURN, "max_tokens": 20_000, "thinking": {"type": "enabled", "budget_tokens": 16_000}}
    status, _, said = await ask(budgeted, "/v1/messages", body, key)
    assert status == 200, said
    request = upstream.requests[-1].json
    assert 4_000 < request["max_tokens"] < 5_000
    assert request["thinking"] == {"type": "enabled", "budget_tokens": request["max_tokens"] // 2}
    model, key = await at(budgeted, upstream, "anthropic", 20_000_000)
    status, _, said = await ask(budgeted, "/v1/messages", body | {"model": model}, key)
    assert (status, said["error"]["type"]) == (429, "rate_limit_error")
    assert "cannot pay for this request" in said["error"]["message"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]}),
        ("/v1/messages", {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}]}]}),
        ("/v1/responses", {"input": "hello", "previous_response_id": ...}),
    ],
)  # fmt: skip
async def test_what_is_not_in_the_request_may_fill_the_context_window(
    budgeted: Proxy, upstream: Upstream, path: str, fields: dict[str, Any]
) -> None:
    provider = "anthropic" if path == "/v1/messages" else "openai with responses"
    window = 1_000_000 * INPUT
    limits = {"max_tokens": 20, "max_output_tokens": 20}

    async def asked(amount: int) -> tuple[int, dict[str, str], Any]:
        model, key = await at(budgeted, upstream, provider, amount)
        body = {"model": model, **limits, **fields}
        if "previous_response_id" in fields:
            _, _, first = await ask(budgeted, path, {"model": model, "input": "hello", **limits}, key)
            body["previous_response_id"] = first["id"]
        upstream.requests.clear()
        return await ask(budgeted, path, body, key)

    status, headers, said = await asked(window)
    assert status == 429 and upstream.requests == [], said
    assert int(headers["retry-after"]) > 1
    status, _, said = await asked(window + 30 * OUTPUT)
    assert status == 200, said
