"""Retries, fallbacks and deadlines, through a real proxy to upstreams that fail in every way they can."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from tests.fixtures.gateway import Proxy
from tests.fixtures.servers import free_port, wait_until
from tests.fixtures.upstream import COMPLETION, DONE, LAST, STREAM_HEAD, USAGE, Upstream, answer, chunk, event
from tests.integration.proxy.scripted import ask, error, provide, record_for, record_of, send_raw

GOOD_STREAM = STREAM_HEAD + chunk(event("", role="assistant") + event("hi") + event(usage=USAGE) + DONE) + LAST
NEVER_OPEN = {"failures": 10_000}


def refusal(status: int, extra: str = "") -> bytes:
    return answer({"error": {"message": "no", "type": "t", "param": None, "code": None}}, status, extra=extra)


@pytest.fixture
async def second() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


async def alias(proxy: Proxy, *models: str, **settings: Any) -> str:
    """The name of a new alias for these models."""
    name = f"a-{secrets.token_hex(4)}"

    def register() -> None:
        proxy.rows.alias(name, *models, **settings)
        proxy.wait_for(name)

    await asyncio.to_thread(register)
    return name


async def pair(proxy: Proxy, first_url: str, second: Upstream, *, stream: bool, **settings: Any) -> tuple[str, str, str]:
    """An alias over two models, the second of which works; with the labels of both."""
    second.says(GOOD_STREAM if stream else answer(COMPLETION))
    one = await provide(proxy, first_url, breaker=NEVER_OPEN, timeouts={"first_byte_ms": 300, "total_ms": 2000})
    two = await provide(proxy, second.base_url)
    return await alias(proxy, one, two, **settings), f"p-{one}/{one}", f"p-{two}/{two}"


FAULTS: dict[str, tuple[list[bytes], bool, str, int]] = {
    # name: what the upstream sends, whether it hangs up after it, the word for it, calls it gets with retries=1
    "429": ([refusal(429)], False, "429", 1),
    "429 with Retry-After": ([refusal(429, "Retry-After: 1\r\n")], False, "429", 1),
    "500": ([refusal(500)], False, "500", 2),
    "503": ([refusal(503)], False, "503", 2),
    "503 with Retry-After": ([refusal(503, "Retry-After: 1\r\n")], False, "503", 1),
    "408": ([refusal(408)], False, "408", 2),
    "refused key": ([refusal(401)], False, "401", 1),
    "wrong content type": ([answer(b"<html></html>", content_type="text/html")], False, "bad_answer", 1),
    "200 with an error": ([answer({"error": {"message": "no"}})], False, "bad_answer", 1),
    "hangs up at once": ([b""], True, "disconnected", 1),
    "truncated": ([answer(COMPLETION)[:-5]], True, "disconnected", 1),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
async def test_the_next_deployment_answers(
    proxy: Proxy, upstream: Upstream, second: Upstream, fault: str, stream: bool
) -> None:
    parts, close, word, calls = FAULTS[fault]
    upstream.says(*parts, close=close)
    if stream and fault == "truncated":
        upstream.says(STREAM_HEAD, close=True)
    model, one, two = await pair(proxy, upstream.base_url, second, stream=stream)
    status, headers, body = await ask(proxy, model, stream=stream)
    assert (status, b"hi" in body) == (200, True)
    assert headers["x-scutum-attempts"] == ", ".join([f"{one}:{word}"] * calls + [f"{two}:200"])
    assert len(upstream.requests) == calls
    record = await record_of(proxy, headers)
    assert (record["attempts"], record["status"], record["provider"]) == (calls + 1, 200, two.split("/")[0])
    assert "error_kind" not in record


@pytest.mark.parametrize("stream", [False, True])
async def test_an_address_where_nobody_listens(proxy: Proxy, second: Upstream, stream: bool) -> None:
    model, one, two = await pair(proxy, f"http://127.0.0.1:{free_port()}/v1", second, stream=stream)
    status, headers, _ = await ask(proxy, model, stream=stream)
    assert (status, headers["x-scutum-attempts"]) == (200, f"{one}:unreachable, {two}:200")


async def test_a_certificate_that_nobody_vouches_for(proxy: Proxy, second: Upstream) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with Upstream(context) as untrusted:
        model, one, two = await pair(proxy, untrusted.base_url, second, stream=False)
        status, headers, _ = await ask(proxy, model)
    assert (status, headers["x-scutum-attempts"]) == (200, f"{one}:unreachable, {two}:200")


@pytest.mark.parametrize("stream", [False, True])
async def test_slow_headers(proxy: Proxy, upstream: Upstream, second: Upstream, stream: bool) -> None:
    upstream.hangs()
    model, one, two = await pair(proxy, upstream.base_url, second, stream=stream)
    status, headers, _ = await ask(proxy, model, stream=stream)
    assert (status, headers["x-scutum-attempts"]) == (200, f"{one}:timeout, {two}:200")
    await asyncio.wait_for(upstream.hung_up.wait(), 5)


async def test_a_stream_that_begins_with_an_error(proxy: Proxy, upstream: Upstream, second: Upstream) -> None:
    upstream.says(STREAM_HEAD + chunk(b'data: {"error": {"message": "overloaded", "type": "x", "code": null}}\n\n') + LAST)
    model, one, two = await pair(proxy, upstream.base_url, second, stream=True, retries=0)
    status, headers, body = await ask(proxy, model, stream=True)
    assert (status, b"overloaded" in body) == (200, False)
    assert headers["x-scutum-attempts"] == f"{one}:502, {two}:200"


@pytest.mark.parametrize("ending", ["stalls", "hangs up"])
async def test_nothing_is_tried_again_once_a_byte_has_gone_out(
    proxy: Proxy, upstream: Upstream, second: Upstream, ending: str
) -> None:
    if ending == "stalls":
        upstream.hangs(STREAM_HEAD, chunk(event("Hello")))
    else:
        upstream.says(STREAM_HEAD + chunk(event("Hello")), close=True)
    model, _, _ = await pair(proxy, upstream.base_url, second, stream=True)
    with pytest.raises(Exception, match="IncompleteRead"):
        await ask(proxy, model, stream=True)
    assert (len(upstream.requests), len(second.requests)) == (1, 0)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_wrong_request_is_asked_once(proxy: Proxy, upstream: Upstream, second: Upstream, status: int) -> None:
    upstream.says(refusal(status))
    model, one, _ = await pair(proxy, upstream.base_url, second, stream=False, retries=3)
    got, headers, body = await ask(proxy, model)
    assert (got, error(body)["message"]) == (status, "no")
    assert headers["x-scutum-attempts"] == f"{one}:{status}"
    assert (len(upstream.requests), len(second.requests)) == (1, 0)
    assert "attempts" not in await record_of(proxy, headers), "1 is the default, which records leave out"


async def test_a_single_deployment_gets_its_retries(proxy: Proxy, upstream: Upstream) -> None:
    """Two failures and an answer; with `retries` 2 nobody notices."""
    left = [refusal(500), refusal(429), answer(COMPLETION)]

    async def handler(_: object, __: object, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0))

    upstream.handler = handler
    model = await provide(proxy, upstream.base_url)
    status, headers, _ = await ask(proxy, await alias(proxy, model, retries=2))
    label = f"p-{model}/{model}"
    assert (status, headers["x-scutum-attempts"]) == (200, f"{label}:500, {label}:429, {label}:200")


async def test_retry_after_is_honoured_and_bounded(proxy: Proxy, upstream: Upstream) -> None:
    model = await provide(proxy, upstream.base_url)
    times = []

    async def handler(_: object, __: object, writer: asyncio.StreamWriter) -> None:
        times.append(time.monotonic())
        writer.write(refusal(429, "Retry-After: 1\r\n") if len(times) == 1 else answer(COMPLETION))

    upstream.handler = handler
    assert (await ask(proxy, model))[0] == 200
    assert times[1] - times[0] >= 1.0, "asked again before the provider's time was over"
    upstream.says(refusal(429, "Retry-After: 3600\r\n"))
    before = len(upstream.requests)
    status, headers, _ = await ask(proxy, model)
    assert (status, headers["retry-after"], len(upstream.requests) - before) == (429, "3600", 1)


async def test_the_total_time_holds_over_all_attempts(proxy: Proxy, upstream: Upstream, second: Upstream) -> None:
    upstream.hangs()
    second.hangs()
    one = await provide(proxy, upstream.base_url, timeouts={"first_byte_ms": 60_000})
    two = await provide(proxy, second.base_url, timeouts={"first_byte_ms": 60_000})
    model = await alias(proxy, one, two, first_byte_ms=200, total_ms=700)
    status, headers, body = await ask(proxy, model)
    assert (status, error(body)["code"]) == (504, "upstream_timeout")
    assert headers["x-scutum-attempts"] == f"p-{one}/{one}:timeout, p-{two}/{two}:timeout"
    model = await alias(proxy, one, two, total_ms=300)
    status, headers, _ = await ask(proxy, model)
    assert (status, headers["x-scutum-attempts"]) == (504, f"p-{one}/{one}:timeout")


async def test_the_time_to_the_first_byte_does_not_cut_a_stream_that_has_begun(proxy: Proxy, upstream: Upstream) -> None:
    async def handler(_: object, __: object, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunk(event("Hello")))
        await asyncio.sleep(0.6)
        writer.write(chunk(DONE) + LAST)

    upstream.handler = handler
    model = await alias(proxy, await provide(proxy, upstream.base_url), first_byte_ms=300)
    status, _, body = await ask(proxy, model, stream=True)
    assert (status, body.endswith(DONE)) == (200, True)


async def test_every_attempt_that_reported_usage_is_charged(
    proxy: Proxy, upstream: Upstream, second: Upstream
) -> None:
    upstream.says(answer({"error": {"message": "lost"}, "usage": {"prompt_tokens": 100, "completion_tokens": 10}}))
    second.says(answer(COMPLETION))

    def register() -> tuple[str, str]:
        names = []
        for server in (upstream, second):
            name = f"m-{secrets.token_hex(4)}"
            provider = proxy.rows.provider(f"p-{name}", "openai", server.base_url)
            proxy.rows.deployment(name, provider, settings={"price": {"input_nano": 1000, "output_nano": 10_000}})
            names.append(name)
        return names[0], names[1]

    model = await alias(proxy, *await asyncio.to_thread(register))
    _, headers, _ = await ask(proxy, model)
    record = await record_of(proxy, headers)
    assert (record["tokens_in"], record["tokens_out"], record["attempts"]) == (107, 13, 2)
    assert record["cost_nano_usd"] == 107 * 1000 + 13 * 10_000
    assert headers["x-scutum-cost"] == "0.000237"


async def test_a_group_of_deployments_of_one_name(proxy: Proxy, upstream: Upstream, second: Upstream) -> None:
    upstream.says(refusal(500))
    name = await provide(proxy, upstream.base_url)

    def register() -> None:
        other = proxy.rows.provider(f"q-{name}", "openai", second.base_url)
        proxy.rows.deployment(name, other)
        proxy.rows.alias(name, name, "sim", retries=0)
        proxy.wait_for(name)

    await asyncio.to_thread(register)
    version = proxy.rows.version()
    assert version
    headers: dict[str, str] = {}
    while headers.get("x-scutum-attempts") != f"p-{name}/{name}:500, q-{name}/{name}:200":
        status, headers, _ = await ask(proxy, name)
        assert status in {200, 500}
    second.says(refusal(503))
    status, headers, _ = await ask(proxy, name)
    assert (status, headers["x-scutum-attempts"]) == (200, f"p-{name}/{name}:500, q-{name}/{name}:503, sim/sim:200")
    assert headers["x-scutum-simulated"] == "true"


async def test_a_fallback_opens_no_model_that_the_key_may_not_use(
    proxy: Proxy, upstream: Upstream, second: Upstream
) -> None:
    upstream.says(refusal(500))
    model, one, _ = await pair(proxy, upstream.base_url, second, stream=False, retries=0)
    key = proxy.rows.key(allowed_models=[one.split("/")[1]])
    whole = proxy.rows.key(allowed_models=[model])
    for made in (key, whole):
        await asyncio.to_thread(wait_until, lambda made=made: knows(proxy, made), what="the key")
    status, headers, _ = await ask(proxy, model, key=key)
    assert (status, headers["x-scutum-attempts"], len(second.requests)) == (500, f"{one}:500", 0)
    assert (await ask(proxy, model, key=whole))[0] == 200


STRATEGIES = ("ordered", "weighted", "least-busy", "lowest-latency", "cheapest", "usage-based")


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_every_strategy_picks_as_it_says(
    proxy: Proxy, upstream: Upstream, second: Upstream, strategy: str
) -> None:
    """The first deployment is slow, dear, small and weighs nothing; only `ordered` goes there for that."""

    async def slow(_: object, __: object, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(answer(COMPLETION))

    upstream.handler = slow

    def register() -> list[str]:
        names = []
        for server, price, rpm in ((upstream, 1000, 1), (second, 10, 1_000_000)):
            name = f"m-{secrets.token_hex(4)}"
            provider = proxy.rows.provider(f"p-{name}", "openai", server.base_url)
            price_list = {"input_nano": price, "output_nano": price}
            proxy.rows.deployment(name, provider, settings={"price": price_list, "rpm": rpm})
            names.append(name)
        return names

    weights = {"weights": [0, 1]} if strategy == "weighted" else {}
    names = await asyncio.to_thread(register)
    model = await alias(proxy, *names, strategy=strategy, **weights)
    for name in names:
        await ask(proxy, name)
    upstream.requests.clear()
    second.requests.clear()
    if strategy == "least-busy":
        held = asyncio.Event()

        async def hold(_: object, __: object, writer: asyncio.StreamWriter) -> None:
            await held.wait()
            writer.write(answer(COMPLETION))

        upstream.handler = hold
        busy = asyncio.create_task(ask(proxy, names[0]))
        await asyncio.to_thread(wait_until, lambda: upstream.requests, what="the first call")
        for _ in range(5):
            assert (await ask(proxy, model))[0] == 200
        held.set()
        assert (await busy)[0] == 200
        assert (len(upstream.requests), len(second.requests)) == (1, 5)
        return
    for _ in range(5):
        assert (await ask(proxy, model))[0] == 200
    assert (len(upstream.requests), len(second.requests)) == ((5, 0) if strategy == "ordered" else (0, 5))


def knows(proxy: Proxy, key: str) -> bool:
    return proxy.request("GET", "/v1/models", key=key)[0] == 200


async def test_a_client_that_leaves_ends_the_pause(proxy: Proxy, upstream: Upstream) -> None:
    upstream.says(refusal(429, "Retry-After: 9\r\n"))
    model = await provide(proxy, upstream.base_url)
    _, writer = await send_raw(proxy, model)
    while not upstream.requests:
        await asyncio.sleep(0.01)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    assert (await record_for(proxy, model))["status"] == 499
    assert len(upstream.requests) == 1


async def test_the_first_answer_names_its_one_attempt(proxy: Proxy) -> None:
    _, headers, body = await ask(proxy, "sim")
    assert headers["x-scutum-attempts"] == "sim/sim:200"
    assert json.loads(body)["choices"]
