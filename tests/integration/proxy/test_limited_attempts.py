"""Limits and budgets where a request makes more than one attempt."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scutum_server.infra.crypto import key_hash
from tests.fixtures.gateway import Proxy
from tests.fixtures.upstream import COMPLETION, Request, Upstream, answer
from tests.integration.proxy.test_limits import limited, ruled, wait_for_room  # noqa: F401

DEAR = {"input_nano": 1_000, "output_nano": 1_000_000, "cached_nano": 1_000}
CHEAP = {"input_nano": 1_000, "output_nano": 1_000, "cached_nano": 1_000}
COST_AT_CHEAP = "0.00001"
"""US dollars for the upstream's answer with its 7 and 3 tokens."""


@pytest.fixture
async def two(limited: Proxy) -> AsyncIterator[tuple[Proxy, Upstream, Upstream]]:  # noqa: F811
    """The alias `both` leads to a model `dear`, then to `cheap`, each at a server of its own."""
    async with Upstream() as first, Upstream() as second:

        def register() -> None:
            for name, server, price in (("dear", first, DEAR), ("cheap", second, CHEAP)):
                settings = {"breaker": {"failures": 10_000}}
                provider = limited.rows.provider(name, "openai", server.base_url, api_key="sk-up", settings=settings)
                limited.rows.deployment(name, provider, settings={"price": price})
            limited.rows.alias("both", "dear", "cheap", retries=1)
            limited.wait_for("both")

        await asyncio.to_thread(register)
        yield limited, first, second


async def test_a_limit_of_one_model_leads_to_the_next(two: tuple[Proxy, Upstream, Upstream]) -> None:
    proxy, first, second = two
    key = proxy.rows.key()
    proxy.rows.limit("model", model="dear", rpm=2)
    await asyncio.to_thread(ruled, proxy, key)
    await asyncio.to_thread(wait_for_room, 10)
    paths = []
    for _ in range(3):
        status, headers, _ = await asyncio.to_thread(lambda: proxy.chat("both", key=key))
        assert status == 200
        paths.append(headers["x-scutum-attempts"])
    assert paths == ["dear/dear:200"] * 2 + ["dear/dear:limited, cheap/cheap:200"]
    assert (len(first.requests), len(second.requests)) == (2, 1)
    status, _, body = await asyncio.to_thread(lambda: proxy.chat("dear", key=key))
    assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_retries_of_a_request_count_once_against_its_key(two: tuple[Proxy, Upstream, Upstream]) -> None:
    proxy, first, second = two
    first.says(answer({"error": {"message": "no"}}, 503))
    key = proxy.rows.key()
    proxy.rows.limit("key", key_id=_id_of(proxy, key), rpm=3, concurrency=1)
    await asyncio.to_thread(ruled, proxy, key)
    await asyncio.to_thread(wait_for_room, 15)
    answers = [await asyncio.to_thread(lambda: proxy.chat("both", key=key)) for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 200, 200, 429]
    assert len(first.requests) == 6, "each of the three was tried twice there before the other answered"
    assert len(second.requests) == 3


async def test_what_a_failed_attempt_set_aside_is_free_for_the_next(two: tuple[Proxy, Upstream, Upstream]) -> None:
    proxy, first, second = two
    key = proxy.rows.key()
    # A hundred tokens of the dear model take all of it but for less than the cheap one needs.
    proxy.rows.budget(amount_nano_usd=100_200_000)
    await asyncio.to_thread(ruled, proxy, key)
    first.says(answer({"error": {"message": "no"}}, 500))
    for _ in range(3):
        status, headers, _ = await asyncio.to_thread(lambda: proxy.chat("both", key=key, max_tokens=100))
        assert (status, headers["x-scutum-cost"]) == (200, COST_AT_CHEAP)
    assert [request.json["max_tokens"] for request in second.requests] == [100] * 3


async def test_a_budget_too_small_for_the_dear_model_buys_the_cheap_one(two: tuple[Proxy, Upstream, Upstream]) -> None:
    proxy, first, second = two
    key = proxy.rows.key()
    proxy.rows.budget(amount_nano_usd=2_000_000)
    await asyncio.to_thread(ruled, proxy, key)
    first.says(answer(COMPLETION))
    status, headers, _ = await asyncio.to_thread(lambda: proxy.chat("both", key=key, max_tokens=100))
    assert (status, headers["x-scutum-attempts"]) == (200, "dear/dear:limited, cheap/cheap:200")
    assert not first.requests


async def test_falling_back_to_a_dearer_model_breaks_no_budget(two: tuple[Proxy, Upstream, Upstream]) -> None:
    proxy, dear, cheap = two
    key, amount = proxy.rows.key(), 200_000_000
    proxy.rows.alias("up", "cheap", "dear", retries=0)
    proxy.rows.budget(amount_nano_usd=amount)
    await asyncio.to_thread(ruled, proxy, key)
    charged = 0

    async def generates_all(request: Request, _: Any, writer: asyncio.StreamWriter) -> None:
        nonlocal charged
        given = request.json["max_tokens"]
        charged += 7 * DEAR["input_nano"] + given * DEAR["output_nano"]
        usage = {"prompt_tokens": 7, "completion_tokens": given, "total_tokens": 7 + given}
        writer.write(answer(COMPLETION | {"usage": usage}))
        await writer.drain()

    cheap.says(answer({"error": {"message": "no"}}, 503))
    dear.handler = generates_all

    def client(_: int) -> set[str]:
        codes: set[str] = set()
        while "budget_exceeded" not in codes:
            status, _, body = proxy.chat("up", key=key, max_tokens=40)
            if status != 200:
                # The cheap model's failure is told where the dear one could not be paid for.
                codes.add(json.loads(body)["error"]["code"] or "no")
                if status == 503 and charged > 0.85 * amount:
                    return codes
        return codes

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(pool, client, each) for each in range(8)))
    assert 0.85 * amount < charged <= amount, codes
    assert min(request.json["max_tokens"] for request in dear.requests) < 40, "the last of the money buys less"


def _id_of(proxy: Proxy, key: str) -> str:
    with proxy.rows.transaction() as conn:
        row = conn.execute("SELECT id FROM api_keys WHERE hash = %s", (key_hash(key),)).fetchone()
    assert row is not None
    return row[0]
