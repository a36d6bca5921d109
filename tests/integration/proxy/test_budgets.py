"""Hard budgets: never above, spent to the last cents, settled by what was really charged."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scutum_server.infra.ids import uuid7
from tests.fixtures.gateway import Proxy
from tests.fixtures.servers import wait_until
from tests.fixtures.upstream import COMPLETION, Upstream, answer
from tests.integration.proxy.test_limits import limited, ruled  # noqa: F401

PRICE = {"input_nano": 1_000, "output_nano": 10_000, "cached_nano": 1_000}
COST = 7 * 1_000 + 3 * 10_000
"""Of the upstream's answer with its 7 and 3 tokens."""


@pytest.fixture
async def priced(limited: Proxy) -> AsyncIterator[tuple[Proxy, Upstream]]:  # noqa: F811
    """A model `priced` at a server whose answers cost COST nano-USD each."""
    async with Upstream() as upstream:

        def register() -> None:
            provider = limited.rows.provider("local", "openai", upstream.base_url, api_key="sk-up")
            limited.rows.deployment("priced", provider, settings={"price": PRICE})
            limited.wait_for("priced")

        await asyncio.to_thread(register)
        yield limited, upstream


def spend(proxy: Proxy, key: str, clients: int, **fields: Any) -> tuple[int, list[str]]:
    """Requests until every client was told that the budget is spent; how many were answered, and the refusals."""

    def client(_: int) -> tuple[int, list[str]]:
        served, refusals = 0, []
        while True:
            status, headers, body = proxy.chat("priced", key=key, **fields)
            if status == 200:
                served += 1
                continue
            assert status == 429, body
            refusals.append(json.loads(body)["error"]["code"])
            assert int(headers["retry-after"]) >= 1
            time.sleep(0.02)
            if refusals[-1] == "budget_exceeded" or len(refusals) > 500:
                return served, refusals

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(client, range(clients)))
    return sum(served for served, _ in found), [code for _, codes in found for code in codes]


async def test_a_budget_is_never_passed_and_spent_to_the_last_cents(priced: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = priced
    key = proxy.rows.key()
    amount = 300 * COST
    proxy.rows.budget("team", team_id="team_default", amount_nano_usd=amount)
    await asyncio.to_thread(ruled, proxy, key)
    served, refusals = await asyncio.to_thread(lambda: spend(proxy, key, 16, max_tokens=30))
    assert served * COST <= amount
    # A bound for a request is a token a byte and 16 of output: the last of them is what cannot be spent.
    assert served * COST >= amount * 0.95
    assert set(refusals) <= {"budget_exceeded", "budget_reserved"}
    wait_until(lambda: sum(record["cost_nano_usd"] for record in proxy.records() if record.get("cost_nano_usd")) == served * COST,
               what="the records")  # fmt: skip


async def test_output_is_capped_at_what_the_free_money_buys(priced: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = priced
    key = proxy.rows.key()
    proxy.rows.budget(amount_nano_usd=2_000_000, output_tokens=50)
    await asyncio.to_thread(ruled, proxy, key)
    await asyncio.to_thread(proxy.chat, "priced", key=key)
    assert upstream.requests[-1].json["max_tokens"] == 50, "a request without a maximum gets the budget's"
    await asyncio.to_thread(lambda: proxy.chat("priced", key=key, max_tokens=20))
    assert upstream.requests[-1].json["max_tokens"] == 20, "the client's own is left alone while there is money"
    await asyncio.to_thread(lambda: proxy.chat("priced", key=key, max_tokens=4000))
    sent = upstream.requests[-1].json["max_tokens"]
    assert 100 < sent < 200, "2 M nano-USD buy less than 200 tokens at 10 000"


async def test_what_was_spent_before_the_budget_counts(priced: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = priced
    key = proxy.rows.key()
    with proxy.rows.transaction() as conn:
        conn.execute(
            "INSERT INTO spend_logs (ts, request_id, org_id, team_id, status, cost_nano_usd) "
            "VALUES (now(), %s, 'org_default', 'team_default', 200, 5000000)",
            (str(uuid7()),),
        )
    proxy.rows.budget("team", team_id="team_default", amount_nano_usd=5_000_000)
    await asyncio.to_thread(ruled, proxy, key)
    status, headers, body = await asyncio.to_thread(proxy.chat, "priced", key=key)
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (429, "budget_exceeded")
    assert "this month" in error["message"] and upstream.requests == []
    assert (await asyncio.to_thread(proxy.chat, "sim", key=key))[0] == 200, "what costs nothing is not refused"


async def test_money_that_running_requests_hold_is_said_to_be_reserved(priced: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = priced
    key = proxy.rows.key()
    release = asyncio.Event()

    async def slow(_, __, writer) -> None:
        await release.wait()
        writer.write(answer(COMPLETION))
        await writer.drain()

    upstream.handler = slow
    proxy.rows.budget(amount_nano_usd=1_000_000)
    await asyncio.to_thread(ruled, proxy, key)
    first = asyncio.create_task(asyncio.to_thread(lambda: proxy.chat("priced", key=key, max_tokens=85)))
    await asyncio.to_thread(wait_until, lambda: upstream.requests, what="the first request")
    status, headers, body = await asyncio.to_thread(lambda: proxy.chat("priced", key=key, max_tokens=85))
    assert (status, json.loads(body)["error"]["code"], headers["retry-after"]) == (429, "budget_reserved", "1")
    release.set()
    assert (await first)[0] == 200
    again = await asyncio.to_thread(lambda: proxy.chat("priced", key=key, max_tokens=20))
    assert again[0] == 200, "what the first did not need is free at once"


async def test_failed_calls_give_their_money_back(priced: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = priced
    key = proxy.rows.key()
    proxy.rows.budget(amount_nano_usd=1_000_000)
    await asyncio.to_thread(ruled, proxy, key)
    # Not a failure that would open the circuit breaker.
    upstream.says(answer({"error": {"message": "no"}}, 422))
    for _ in range(5):
        status, _, _ = await asyncio.to_thread(lambda: proxy.chat("priced", key=key, max_tokens=80))
        assert status == 422
    upstream.says(answer(COMPLETION))
    assert (await asyncio.to_thread(lambda: proxy.chat("priced", key=key, max_tokens=80)))[0] == 200
