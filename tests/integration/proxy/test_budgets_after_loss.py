"""Redis away and without its data: budgets are rebuilt from records before anything of them is granted."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import redis
from redis.asyncio import Redis

from scutum_server.infra.redis import make_redis
from scutum_server.proxy.limits.bounds import TEMPLATE_TOKENS
from tests.fixtures.gateway import Proxy
from tests.fixtures.servers import Valkey, wait_until
from tests.fixtures.upstream import COMPLETION, Upstream, answer
from tests.integration.proxy.test_budgets import COST, PRICE, priced  # noqa: F401
from tests.integration.proxy.test_limits import limited, ruled  # noqa: F401
from tests.integration.usage.test_ingest import worker

REQUESTS = 60
BODY = {"model": "priced", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 16}
MOST = (len(json.dumps(BODY)) + TEMPLATE_TOKENS) * PRICE["input_nano"] + 16 * PRICE["output_nano"]
"""What has to be free for a request."""
AMOUNT = (REQUESTS - 1) * COST + MOST + COST // 2


@asynccontextmanager
async def recording(proxy: Proxy):
    """The worker's part: records go from the stream into the log."""
    client: Redis = make_redis(proxy.redis, name="test")
    async with worker(proxy.rows._database, client):
        yield client
    await client.aclose()


def stored(proxy: Proxy) -> int:
    with proxy.rows.transaction() as conn:
        return conn.execute("SELECT coalesce(sum(cost_nano_usd), 0) FROM spend_logs").fetchone()[0]


def spend(proxy: Proxy, key: str, most: int) -> int:
    """How many requests were answered, at most so many, before the budget was spent; 503 is waited out."""
    served = 0

    def ended() -> bool:
        nonlocal served
        status, _, body = proxy.chat("priced", key=key, max_tokens=16)
        served += status == 200
        return served == most or b"budget_exceeded" in body

    wait_until(ended, seconds=30, what="the budget's end")
    return served


async def test_after_a_loss_of_data_the_rest_is_what_it_was(priced: tuple[Proxy, Upstream], valkey: Valkey) -> None:  # noqa: F811
    proxy, _ = priced
    key = proxy.rows.key()
    proxy.rows.budget("team", team_id="team_default", amount_nano_usd=AMOUNT)
    await asyncio.to_thread(ruled, proxy, key)
    async with recording(proxy):
        served = await asyncio.to_thread(spend, proxy, key, 20)
        await asyncio.to_thread(wait_until, lambda: stored(proxy) == served * COST, what="the records in the log")
        valkey.kill()
        # What is leased is spent for a while; these records wait in the journal.
        served += await asyncio.to_thread(spend, proxy, key, 10)
        for file in valkey.directory.rglob("*.aof*"):
            file.unlink(missing_ok=True)
        valkey.start()
        served += await asyncio.to_thread(spend, proxy, key, 200)
        await asyncio.to_thread(wait_until, lambda: stored(proxy) == served * COST, what="the records in the log")
    assert 20 < served
    assert served == REQUESTS, "not one more, and not one less than the rest pays for"


async def test_a_flushed_redis_does_not_open_the_budget_anew(priced: tuple[Proxy, Upstream], valkey: Valkey) -> None:  # noqa: F811
    proxy, upstream = priced
    key = proxy.rows.key()
    proxy.rows.budget("team", team_id="team_default", amount_nano_usd=AMOUNT)
    await asyncio.to_thread(ruled, proxy, key)
    release = asyncio.Event()

    async def slow(_: Any, __: Any, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(answer(COMPLETION))
        await writer.drain()

    async with recording(proxy):
        served = await asyncio.to_thread(spend, proxy, key, 30)
        await asyncio.to_thread(wait_until, lambda: stored(proxy) == served * COST, what="the records in the log")
        usual, upstream.handler = upstream.handler, slow
        running = asyncio.create_task(asyncio.to_thread(spend, proxy, key, 1))
        await asyncio.to_thread(wait_until, lambda: len(upstream.requests) > served, what="a request that runs meanwhile")
        with redis.Redis(port=valkey.port, password=valkey.password) as client:
            client.flushall()
        upstream.handler = usual
        release.set()
        served += await running
        served += await asyncio.to_thread(spend, proxy, key, 200)
        await asyncio.to_thread(wait_until, lambda: stored(proxy) == served * COST, what="the records in the log")
    assert REQUESTS - 3 <= served <= REQUESTS
