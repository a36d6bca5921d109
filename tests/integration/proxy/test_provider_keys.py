"""Several keys of one provider, and Azure's way of being called."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter

from tests.fixtures.gateway import Proxy
from tests.fixtures.upstream import COMPLETION, Request, Upstream, answer
from tests.integration.proxy.scripted import ask, error

KEYS = ("sk-one", "sk-two", "sk-three")


async def with_keys(proxy: Proxy, base_url: str, **settings: object) -> str:
    name = f"m-{secrets.token_hex(4)}"

    def register() -> None:
        provider = proxy.rows.provider(f"p-{name}", "openai", base_url, api_key=KEYS[0], settings=settings)
        for key in KEYS[1:]:
            proxy.rows.provider_key(provider, key)
        proxy.rows.deployment(name, provider)
        proxy.wait_for(name)

    await asyncio.to_thread(register)
    return name


def key_of(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


async def test_calls_are_shared_out_between_the_keys(proxy: Proxy, upstream: Upstream) -> None:
    model = await with_keys(proxy, upstream.base_url)
    for _ in range(9):
        assert (await ask(proxy, model))[0] == 200
    assert Counter(map(key_of, upstream.requests)) == dict.fromkeys(KEYS, 3)


async def test_a_limited_key_rests_alone(proxy: Proxy, upstream: Upstream) -> None:
    async def handler(request: Request, _: object, writer: asyncio.StreamWriter) -> None:
        limited = key_of(request) == "sk-two"
        writer.write(answer({"error": {}}, 429, extra="Retry-After: 60\r\n") if limited else answer(COMPLETION))

    upstream.handler = handler
    model = await with_keys(proxy, upstream.base_url)
    label, paths = f"p-{model}/{model}", []
    for _ in range(8):
        status, headers, _ = await ask(proxy, model)
        assert status == 200
        paths.append(headers["x-scutum-attempts"])
    assert sorted(paths) == sorted([f"{label}:200"] * 7 + [f"{label}:429, {label}:200"])
    assert Counter(map(key_of, upstream.requests))["sk-two"] == 1


async def test_a_refused_key_does_not_spoil_the_others(proxy: Proxy, upstream: Upstream) -> None:
    async def handler(request: Request, _: object, writer: asyncio.StreamWriter) -> None:
        writer.write(answer({"error": {}}, 401) if key_of(request) == "sk-one" else answer(COMPLETION))

    upstream.handler = handler
    model = await with_keys(proxy, upstream.base_url, breaker={"failures": 1})
    assert [(await ask(proxy, model))[0] for _ in range(6)] == [200] * 6


async def test_the_key_with_the_most_left_is_used(proxy: Proxy, upstream: Upstream) -> None:
    left = {"sk-one": 5, "sk-two": 95, "sk-three": 10}

    async def handler(request: Request, _: object, writer: asyncio.StreamWriter) -> None:
        remaining = left[key_of(request)]
        writer.write(
            answer(COMPLETION, extra=f"x-ratelimit-limit-requests: 100\r\nx-ratelimit-remaining-requests: {remaining}\r\n")
        )

    upstream.handler = handler
    model = await with_keys(proxy, upstream.base_url)
    for _ in range(10):
        await ask(proxy, model)
    used = Counter(map(key_of, upstream.requests))
    assert used["sk-two"] == 8, used


async def test_with_every_key_at_rest_the_client_is_told_to_wait(proxy: Proxy, upstream: Upstream) -> None:
    upstream.says(answer({"error": {"message": "slow down"}}, 429, extra="Retry-After: 60\r\n"))
    model = await with_keys(proxy, upstream.base_url)
    status, headers, body = await ask(proxy, model)
    assert (status, headers["retry-after"], error(body)["message"]) == (429, "60", "slow down")
    assert sorted(map(key_of, upstream.requests)) == sorted(KEYS)


async def test_azure_is_addressed_by_deployment_and_version(proxy: Proxy, upstream: Upstream) -> None:
    name = f"m-{secrets.token_hex(4)}"

    def register() -> None:
        base = upstream.base_url.removesuffix("/v1") + "/openai"
        provider = proxy.rows.provider(f"p-{name}", "openai", base, api_key="az", settings={"api_version": "2024-10-21"})
        proxy.rows.deployment(name, provider, "my deployment")
        proxy.wait_for(name)

    await asyncio.to_thread(register)
    assert (await ask(proxy, name))[0] == 200
    (request,) = upstream.requests
    assert request.line == "POST /openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21 HTTP/1.1"
    assert request.headers["api-key"] == "az"
    assert "authorization" not in request.headers
