"""Maintenance: nothing new comes in, what is in flight is finished, health checks are answered."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.fixtures.gateway import running_proxy
from tests.fixtures.servers import wait_until
from tests.fixtures.upstream import COMPLETION, DONE, LAST, STREAM_HEAD, USAGE, Request, Upstream, answer, chunk, event
from tests.integration.proxy.scripted import ask, provide, send_raw

from scutum_server.settings import DatabaseSettings, RedisSettings


async def test_nothing_new_comes_in_and_what_is_in_flight_is_finished(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path, upstream: Upstream
) -> None:
    go = asyncio.Event()

    async def waits(request: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.json.get("stream"):
            writer.write(STREAM_HEAD + chunk(event("begun")))
            await go.wait()
            writer.write(chunk(event(" and ended")) + chunk(event(usage=USAGE)) + chunk(DONE) + LAST)
            return
        await go.wait()
        writer.write(answer(COMPLETION))

    upstream.handler = waits
    with running_proxy(database, redis_settings, tmp_path) as proxy:
        model = await provide(proxy, upstream.base_url)
        in_flight = asyncio.create_task(ask(proxy, model))
        reader, writer = await send_raw(proxy, model, stream=True)
        await reader.readuntil(b"begun")
        while len(upstream.requests) < 2:
            await asyncio.sleep(0.01)
        proxy.rows.setting("maintenance.retry_after_seconds", 90)
        proxy.rows.setting("maintenance.enabled", True)

        def refused() -> bool:
            return proxy.request("GET", "/v1/models", key=proxy.master_key)[0] == 503

        await asyncio.to_thread(wait_until, refused, what="maintenance to begin")
        for path in ("/v1/chat/completions", "/nowhere"):
            status, headers, body = await asyncio.to_thread(proxy.request, "POST", path, {}, key=proxy.master_key)
            assert (status, headers["retry-after"]) == (503, "90")
            assert json.loads(body)["error"]["code"] == "maintenance"
            assert headers["x-request-id"]
        told = await asyncio.to_thread(proxy.request, "POST", "/v1/messages", {}, key=proxy.master_key)
        assert (told[0], told[1]["retry-after"]) == (503, "90")
        assert json.loads(told[2])["type"] == "error"
        assert json.loads(told[2])["error"]["code"] == "maintenance"
        for path in ("/health/live", "/health/ready"):
            assert (await asyncio.to_thread(proxy.request, "GET", path))[0] == 200
        ready = await asyncio.to_thread(proxy.request, "GET", "/health/ready")
        assert json.loads(ready[2]) == {"status": "ready", "stale": False, "maintenance": True}
        go.set()
        assert (await in_flight)[0] == 200
        rest = await reader.readuntil(b"0\r\n\r\n")
        assert b" and ended" in rest
        assert b"[DONE]" in rest
        writer.close()
        assert len(upstream.requests) == 2
        proxy.rows.setting("maintenance.enabled", False)
        await asyncio.to_thread(wait_until, lambda: not refused(), what="maintenance to end")
