"""Limits, budgets and routing on the routes that pass through."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import redis
from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.openai_vendor import SOUND, Vendor
from tests.fixtures.servers import Postgres, Valkey, wait_until
from tests.fixtures.upstream import Upstream, answer
from tests.integration.proxy.scripted import ask_path, error, new_key, provide, send_form
from tests.integration.proxy.test_limits import limited, ruled  # noqa: F401

PRICE = {"price": {"input_nano": 1000, "output_nano": 5000}}
IMAGE_COST = 50 * 1000 + 1000 * 5000
CHAT: Any = "/v1/chat/completions"
WINDOW: Any = "24h"


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as server:
        yield server


async def ready(limited: Proxy, vendor: Vendor, **limits: Any) -> tuple[str, str]:  # noqa: F811
    """A model at the vendor, and a key under these limits, both known to the proxy."""
    model = await provide(limited, vendor.base_url, deployment=PRICE)

    def make() -> str:
        key = limited.rows.key()
        with limited.rows.transaction() as conn:
            (key_id,) = conn.execute("SELECT id FROM api_keys ORDER BY created_at DESC LIMIT 1").fetchone() or ("",)
        if "amount_nano_usd" in limits:
            limited.rows.budget("key", key_id=key_id, **limits)
        else:
            limited.rows.limit("key", key_id=key_id, **limits)
        ruled(limited, key)
        return key

    return model, await asyncio.to_thread(make)


async def moderate(proxy: Proxy, model: str, key: str) -> tuple[int, dict[str, str], bytes]:
    body = {"model": model, "input": "x"}
    return await asyncio.to_thread(lambda: proxy.request("POST", "/v1/moderations", body, key=key))


async def test_requests_of_every_route_count(limited: Proxy, vendor: Vendor) -> None:  # noqa: F811
    model, key = await ready(limited, vendor, rpd=5)
    async with openai.AsyncOpenAI(base_url=f"{limited.url}/v1", api_key=key, max_retries=0) as client:
        file = await client.files.create(file=("a.txt", b"x"), purpose="user_data", extra_body={"model": model})
        await client.files.retrieve(file.id)
        await client.moderations.create(model=model, input="x")
        vendor.transcription = {"text": "x"}
        await client.audio.transcriptions.create(model=model, file=("a.mp3", b"x"))
        await client.files.content(file.id)
        for again in (
            client.files.retrieve(file.id),
            client.moderations.create(model=model, input="x"),
            client.audio.transcriptions.create(model=model, file=("a.mp3", b"x")),
        ):
            with pytest.raises(openai.RateLimitError):
                await again
    assert len(vendor.seen) == 5


async def test_an_upload_takes_a_slot_until_it_is_answered(limited: Proxy, vendor: Vendor) -> None:  # noqa: F811
    model, key = await ready(limited, vendor, concurrency=1)
    vendor.go_on.clear()
    vendor.transcription = {"text": "x"}
    parts = [("model", model), ("file", SOUND)]
    running = asyncio.create_task(
        asyncio.to_thread(send_form, limited, "/v1/audio/transcriptions", parts, key=key)
    )
    await vendor.arrived.wait()
    assert (await moderate(limited, model, key))[0] == 429
    vendor.go_on.set()
    assert (await running)[0] == 200
    await asyncio.to_thread(
        wait_until, lambda: limited.request("POST", "/v1/moderations", {"model": model, "input": "x"}, key=key)[0] == 200,
        what="the slot to be free",
    )  # fmt: skip


async def test_a_budget_ends_pictures(limited: Proxy, vendor: Vendor) -> None:  # noqa: F811
    """What a picture costs is known afterwards: the last one may go above, and none comes after it."""
    model, key = await ready(limited, vendor, amount_nano_usd=5 * IMAGE_COST, output_tokens=1000)
    body = {"model": model, "prompt": "a fox"}
    made = 0
    while True:
        status, _, answered = await asyncio.to_thread(
            lambda: limited.request("POST", "/v1/images/generations", body, key=key)
        )
        if status != 200:
            break
        made += 1
    assert error(answered)["code"] == "budget_exceeded"
    assert made in {5, 6}
    assert (await moderate(limited, model, key))[0] in {200, 429}


async def test_a_batch_comes_out_of_the_budget_once(limited: Proxy, vendor: Vendor) -> None:  # noqa: F811
    model, key = await ready(limited, vendor, amount_nano_usd=450_000)
    line = {"custom_id": "1", "method": "POST", "url": CHAT, "body": {"model": model, "messages": []}}
    body = {"model": model, "query": "q", "documents": ["a"]}
    async with openai.AsyncOpenAI(base_url=f"{limited.url}/v1", api_key=key, max_retries=0) as client:
        file = await client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
        batches = []
        for _ in range(3):
            batches.append(await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window=WINDOW))
        upstream_ids = list(vendor.batches)
        for batch, upstream_id in zip(batches[:2], upstream_ids, strict=False):
            vendor.finish(upstream_id)
            for _ in range(3):
                assert (await client.batches.retrieve(batch.id)).status == "completed"
        # Two batches of 200 000: a request that reserves more than the 50 000 left is refused, a smaller one is not.
        large = {"model": model, "input": "x" * 60_000}
        status, _, answered = await asyncio.to_thread(
            lambda: limited.request("POST", "/v1/moderations", large, key=key)
        )
        assert (status, error(answered)["code"]) == (429, "budget_exceeded")
        assert (await moderate(limited, model, key))[0] == 200
        vendor.finish(upstream_ids[2])
        assert (await client.batches.retrieve(batches[2].id)).status == "completed"
        status, _, answered = await asyncio.to_thread(lambda: limited.request("POST", "/v1/rerank", body, key=key))
        assert (status, error(answered)["code"]) == (429, "budget_exceeded")
        with pytest.raises(openai.RateLimitError):
            await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window=WINDOW)
        assert (await client.batches.retrieve(batches[0].id)).status == "completed", "results stay within reach"


async def test_a_batch_that_nobody_asks_for_is_charged_too(
    vendor: Vendor, postgres: Postgres, valkey: Valkey, tmp_path: Path
) -> None:
    name = postgres.clone()
    often = {"SCUTUM_BATCH_POLL_SECONDS": "1"}
    with redis.Redis(port=valkey.port, password=valkey.password) as store:
        store.delete("scutum:batches")  # those of the tests before
    with running_proxy(postgres.app(name), valkey.settings(), tmp_path, environment=often) as proxy:
        model = await provide(proxy, vendor.base_url, deployment=PRICE)
        line = {"custom_id": "1", "method": "POST", "url": CHAT, "body": {"model": model, "messages": []}}
        async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.master_key, max_retries=0) as client:
            file = await client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
            await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window=WINDOW)
        (upstream_id,) = vendor.batches

        def asked() -> int:
            return len([seen for seen in vendor.seen if (seen.method, seen.path) == ("GET", f"batches/{upstream_id}")])

        await asyncio.to_thread(wait_until, lambda: asked() >= 2, what="the gateway to ask for the batch")
        vendor.finish(upstream_id, status="expired", completed_at=None, expired_at=int(time.time()))

        def charged() -> list[dict[str, Any]]:
            return [r for r in proxy.records() if r.get("requested_model") == model and r.get("cost_nano_usd")]

        await asyncio.to_thread(wait_until, charged, what="the batch to be charged")
        (record,) = charged()
        assert (record["key_id"], record["team_id"], record["tokens_in"]) == ("master", "team_default", 100)
        before = asked()
        await moderate(proxy, model, proxy.master_key)
        with redis.Redis(port=valkey.port, password=valkey.password) as store:
            await asyncio.to_thread(wait_until, lambda: not store.zcard("scutum:batches"), what="the batch to be forgotten")
        assert asked() <= before + 1
    postgres.drop(name)


async def pair(proxy: Proxy, first: str, second: str) -> str:
    """An alias for a model at each of two addresses."""
    one, two = await provide(proxy, first), await provide(proxy, second, deployment=PRICE)
    name = f"pair-{time.monotonic_ns()}"
    await asyncio.to_thread(proxy.rows.alias, name, one, two)
    await asyncio.to_thread(proxy.wait_for, name)
    return name


async def test_json_falls_back_and_uploads_do_not(proxy: Proxy, vendor: Vendor, upstream: Upstream) -> None:
    upstream.says(answer({"error": {"message": "broken", "type": "server_error"}}, 500))
    name = await pair(proxy, upstream.base_url, vendor.base_url)
    status, headers, _ = await ask_path(proxy, "/v1/moderations", {"model": name, "input": "x"})
    assert status == 200
    assert headers["x-scutum-attempts"].count(":500") == 2 and headers["x-scutum-attempts"].endswith(":200")
    asked, vendor.transcription = len(upstream.requests), {"text": "x"}

    async def refuse(_: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer({"error": {"message": "broken", "type": "server_error"}}, 500, extra="Connection: close\r\n"))
        await writer.drain()
        await reader.read()

    upstream.handler = refuse
    parts = [("model", name), ("file", b"x" * 1000)]
    status, headers, body = await asyncio.to_thread(send_form, proxy, "/v1/audio/transcriptions", parts)
    assert (status, error(body)["message"]) == (500, "broken")
    assert headers["x-scutum-attempts"].endswith(":500")
    assert len(upstream.requests) == asked + 1
    assert [seen.path for seen in vendor.seen] == ["moderations"]

    # After enough failures the breaker is open, and uploads go where they will be taken.
    for _ in range(6):
        await ask_path(proxy, "/v1/moderations", {"model": name, "input": "x"})
    status, _, _ = await asyncio.to_thread(send_form, proxy, "/v1/audio/transcriptions", parts)
    assert status == 200
    assert vendor.seen[-1].file.content == b"x" * 1000


async def test_a_provider_that_stops_taking_an_upload_is_given_up(proxy: Proxy, vendor: Vendor) -> None:
    model = await provide(proxy, vendor.base_url, timeouts={"idle_ms": 300})
    vendor.go_on.clear()
    parts = [("model", model), ("file", SOUND * 8)]
    status, headers, body = await asyncio.to_thread(send_form, proxy, "/v1/audio/transcriptions", parts)
    assert (status, error(body)["code"]) == (504, "upstream_timeout")
    assert "take the request" in error(body)["message"]
    assert headers["x-scutum-attempts"].endswith(":timeout")
    vendor.go_on.set()
    await asyncio.wait_for(vendor.hung_up.wait(), 10)


async def test_chats_and_edits_refer_to_the_teams_own_files(
    proxy: Proxy, vendor: Vendor, chat_client: openai.AsyncOpenAI
) -> None:
    model, other = await provide(proxy, vendor.base_url), await provide(proxy, "http://127.0.0.1:9/v1")
    file = await chat_client.files.create(file=("a.pdf", b"x"), purpose="user_data", extra_body={"model": model})
    (upstream_id,) = vendor.files

    def chat(file_id: str) -> dict[str, Any]:
        content = [{"type": "text", "text": "caf\u00e9"}, {"type": "file", "file": {"file_id": file_id}}]
        tool = {"name": "t", "parameters": {"type": "object", "properties": {}, "default": {"file_id": "untouched"}}}
        return {"messages": [{"role": "user", "content": content}], "tools": [{"type": "function", "function": tool}]}

    status, _, _ = await ask_path(proxy, "/v1/chat/completions", {"model": model, **chat(file.id)})
    assert status == 200
    assert vendor.seen[-1].json == {"model": "upstream-model", **chat(upstream_id)}
    status, _, _ = await ask_path(
        proxy, "/v1/images/edits", {"model": model, "prompt": "x", "images": [{"file_id": file.id}]}
    )
    assert status == 200
    assert vendor.seen[-1].json["images"] == [{"file_id": upstream_id}]

    asked = len(vendor.seen)
    status, _, body = await ask_path(proxy, "/v1/chat/completions", {"model": other, **chat(file.id)})
    assert (status, error(body)["code"]) == (400, "file_at_another_provider")
    for foreign in (upstream_id, "file-made-up"):
        spelt = json.dumps({"model": model, **chat(foreign)})
        for text in (spelt, spelt.replace("file_id", "file\\u005fid"), spelt.replace("file_id", "\\u0066ile_id")):
            status, _, body = await ask_path(proxy, "/v1/chat/completions", text.encode())
            assert (status, error(body)["code"]) == (404, "not_found"), text
    assert len(vendor.seen) == asked
