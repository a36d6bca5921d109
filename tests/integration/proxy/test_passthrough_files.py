"""Files and batches with OpenAI's own client: whose they are, what goes up, what a batch costs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import openai
import psutil
import pytest
from tests.fixtures.gateway import Proxy
from tests.fixtures.openai_vendor import Vendor
from tests.fixtures.servers import wait_until
from tests.integration.proxy.scripted import new_key, provide, record_for

PRICE = {"price": {"input_nano": 1000, "output_nano": 5000}}
WINDOW: Any = "24h"
CHAT: Any = "/v1/chat/completions"


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as server:
        yield server


@pytest.fixture
async def model(proxy: Proxy, vendor: Vendor) -> str:
    return await provide(proxy, vendor.base_url, deployment=PRICE)


@pytest.fixture
async def other_team(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of another team, whose keys may use every model too."""

    def make() -> None:
        with proxy.rows.transaction() as conn:
            conn.execute(
                "INSERT INTO teams (id, org_id, name) VALUES ('team_other', 'org_default', 'other') ON CONFLICT DO NOTHING"
            )
            conn.execute("SELECT config_changed('team', 'team_other')")

    await asyncio.to_thread(make)
    key = await new_key(proxy, team="team_other")
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0) as made:
        yield made


def lines(*models: str, **body: Any) -> bytes:
    requests = [
        {"custom_id": str(n), "method": "POST", "url": CHAT, "body": {"model": model, "messages": [], **body}}
        for n, model in enumerate(models)
    ]
    return "\n".join(map(json.dumps, requests)).encode()


async def upload(client: openai.AsyncOpenAI, model: str, content: bytes = b"data", **fields: Any) -> Any:
    return await client.files.create(file=("notes.txt", content), purpose="user_data", extra_body={"model": model}, **fields)


async def test_a_files_whole_life(proxy: Proxy, vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI) -> None:
    content = b"line\r\n--not a boundary\r\n" * 5000
    made = await upload(chat_client, model, content, expires_after={"anchor": "created_at", "seconds": 3600})
    (upstream_id,) = vendor.files
    assert made.id.startswith("file-") and made.id != upstream_id
    assert (made.filename, made.purpose, made.bytes) == ("notes.txt", "user_data", len(content))
    assert vendor.contents[upstream_id] == content
    assert vendor.seen[-1].fields == {
        "purpose": "user_data", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600",
    }  # fmt: skip
    assert vendor.files[upstream_id]["filename"].endswith(".notes.txt")

    assert (await chat_client.files.retrieve(made.id)) == made
    assert (await chat_client.files.content(made.id)).read() == content
    named = {"x-scutum-model": model}
    assert [file.id async for file in chat_client.files.list(extra_headers=named)] == [made.id]
    deleted = await chat_client.files.delete(made.id)
    assert (deleted.id, deleted.deleted) == (made.id, True)
    assert not vendor.files
    with pytest.raises(openai.NotFoundError) as gone:
        await chat_client.files.retrieve(made.id)
    assert upstream_id not in gone.value.message and made.id in gone.value.message
    record = (await asyncio.to_thread(_records, proxy, model, 1))[0]
    assert (record["route"], record["price_source"]) == ("/v1/files", "unknown")


def _records(proxy: Proxy, model: str, count: int) -> list[dict[str, Any]]:
    def found() -> list[dict[str, Any]]:
        return [record for record in proxy.records() if record.get("requested_model") == model]

    wait_until(lambda: len(found()) >= count, what="the usage records")
    return found()


async def test_another_teams_file_is_unknown(
    vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI, other_team: openai.AsyncOpenAI
) -> None:
    made = await upload(chat_client, model)
    (upstream_id,) = vendor.files
    asked = len(vendor.seen)
    for wanted in (made.id, upstream_id, "file-made-up"):
        for call in (other_team.files.retrieve, other_team.files.content, other_team.files.delete):
            with pytest.raises(openai.NotFoundError):
                await call(wanted)
        with pytest.raises(openai.NotFoundError):
            await other_team.batches.create(input_file_id=wanted, endpoint=CHAT, completion_window=WINDOW)
    assert len(vendor.seen) == asked, "the provider is not even asked"
    assert upstream_id in vendor.files


async def test_lists_hold_the_teams_own_over_all_pages(
    vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI, other_team: openai.AsyncOpenAI
) -> None:
    mine = []
    for number in range(4):
        mine.append((await upload(chat_client, model, b"mine %d" % number)).id)
        await upload(other_team, model, b"theirs")
        vendor.files[f"file-x{number}"] = {"id": f"file-x{number}", "object": "file", "filename": "not through the gateway"}
    named = {"x-scutum-model": model}
    assert [file.id async for file in chat_client.files.list(extra_headers=named)] == mine
    page = await chat_client.files.list(limit=3, extra_headers=named)
    assert ([file.id for file in page.data], page.has_more) == (mine[:3], True)
    assert [file.id for file in (await page.get_next_page()).data] == mine[3:]
    assert len([file async for file in other_team.files.list(extra_headers=named)]) == 4


async def test_a_key_needs_the_files_model(proxy: Proxy, model: str, chat_client: openai.AsyncOpenAI) -> None:
    made = await upload(chat_client, model)
    key = await new_key(proxy, allowed_models=["other"])
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0) as narrow:
        with pytest.raises(openai.PermissionDeniedError):
            await narrow.files.retrieve(made.id)
        assert not [file async for file in narrow.files.list()]


async def test_a_key_may_use_an_aliass_files(proxy: Proxy, model: str, chat_client: openai.AsyncOpenAI) -> None:
    made = await upload(chat_client, model)
    await asyncio.to_thread(proxy.rows.alias, f"alias-of-{model}", model)
    await asyncio.to_thread(proxy.wait_for, f"alias-of-{model}")
    key = await new_key(proxy, allowed_models=[f"alias-of-{model}"])
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0) as narrow:
        assert (await narrow.files.retrieve(made.id)).id == made.id


async def test_which_provider_must_be_clear(model: str, proxy: Proxy, chat_client: openai.AsyncOpenAI) -> None:
    await provide(proxy, "http://127.0.0.1:9/v1")
    with pytest.raises(openai.BadRequestError, match="x-scutum-model"):
        await chat_client.files.create(file=("a.txt", b"x"), purpose="user_data")


async def test_a_batch_is_charged_once_to_the_key_that_made_it(
    proxy: Proxy, vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    # The model is named by the file's own lines, as for OpenAI.
    file = await chat_client.files.create(file=("in.jsonl", lines(model, model)), purpose="batch")
    (upstream_file,) = vendor.files
    sent = [json.loads(line) for line in vendor.contents[upstream_file].splitlines()]
    assert [line["body"]["model"] for line in sent] == ["upstream-model"] * 2
    batch = await chat_client.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window=WINDOW, metadata={"job": "nightly"}
    )
    (upstream_batch,) = vendor.batches
    assert batch.id.startswith("batch_") and batch.id != upstream_batch
    assert (batch.input_file_id, batch.metadata) == (file.id, {"job": "nightly"})
    assert vendor.batches[upstream_batch]["input_file_id"] == upstream_file
    assert (await chat_client.batches.retrieve(batch.id)).status == "validating"

    vendor.finish(upstream_batch)
    for _ in range(3):
        done = await chat_client.batches.retrieve(batch.id)
    named = {"x-scutum-model": model}
    assert [found.id async for found in chat_client.batches.list(extra_headers=named)] == [batch.id]
    assert done.output_file_id is not None and done.output_file_id.startswith("file-output") is False
    assert b"custom_id" in (await chat_client.files.content(done.output_file_id)).read()
    await asyncio.to_thread(_records, proxy, model, 8)
    charged = [record for record in _records(proxy, model, 8) if record.get("cost_nano_usd")]
    (record,) = charged
    assert (record["tokens_in"], record["tokens_out"], record["tokens_cached"], record["tokens_reasoning"]) == (100, 20, 30, 5)
    assert (record["cost_nano_usd"], record["key_id"], record["route"]) == (100 * 1000 + 20 * 5000, "master", "/v1/batches")
    ended = vendor.batches[upstream_batch]["completed_at"]
    assert int(record["request_id"].replace("-", "")[:12], 16) == ended * 1000


async def test_batches_of_other_teams_are_unknown(
    vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI, other_team: openai.AsyncOpenAI
) -> None:
    file = await chat_client.files.create(file=("in.jsonl", lines(model)), purpose="batch")
    batch = await chat_client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window=WINDOW)
    for call in (other_team.batches.retrieve, other_team.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            await call(batch.id)
    named = {"x-scutum-model": model}
    assert not [found async for found in other_team.batches.list(extra_headers=named)]
    assert (await chat_client.batches.cancel(batch.id)).status == "cancelling"
    assert [found.id async for found in chat_client.batches.list(extra_headers=named)] == [batch.id]


async def test_a_batchs_lines_name_one_model_that_the_key_may_use(
    proxy: Proxy, vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    other = await provide(proxy, vendor.base_url)
    for content, said in (
        (lines(model, other), "Line 2"),
        (lines(model, "gpt-secret"), "Line 2"),
        (lines("gpt-secret"), "does not exist"),
        (lines(model) + b"\n{nonsense", "Line 2"),
        (b"[]", "Line 1"),
        (lines(model).replace(b'"messages"', b'"Model": "gpt-secret", "messages"'), "Line 1"),
        (b"", "Line 1"),
    ):
        with pytest.raises(openai.APIStatusError, match=said) as refused:
            await chat_client.files.create(file=("in.jsonl", content), purpose="batch")
        assert refused.value.status_code in {400, 404}
    assert not vendor.files
    key = await new_key(proxy, allowed_models=[other])
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0) as narrow:
        with pytest.raises(openai.PermissionDeniedError):
            await narrow.files.create(file=("in.jsonl", lines(model)), purpose="batch")


async def test_only_a_batchs_file_becomes_a_batch(
    proxy: Proxy, vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    made = await upload(chat_client, model, lines("gpt-secret"))
    with pytest.raises(openai.BadRequestError, match="purpose"):
        await chat_client.batches.create(input_file_id=made.id, endpoint=CHAT, completion_window=WINDOW)
    file = await chat_client.files.create(file=("in.jsonl", lines(model)), purpose="batch")
    key = await new_key(proxy, allowed_routes=["/v1/batches"])
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0) as narrow:
        with pytest.raises(openai.PermissionDeniedError):
            await narrow.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window=WINDOW)
    assert not vendor.batches


async def test_a_client_that_leaves_in_the_middle_ends_the_upload(proxy: Proxy, vendor: Vendor, model: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(_form_head(proxy, model, 400_000_000) + b"x" * 100_000)
    await writer.drain()
    await asyncio.wait_for(vendor.arrived.wait(), 10)
    left_at = time.monotonic()
    writer.transport.abort()
    await asyncio.wait_for(vendor.hung_up.wait(), 10)
    assert not vendor.files
    record = await record_for(proxy, model)
    assert (record["status"], record["error_kind"]) == (499, "client_disconnected")
    assert time.monotonic() - left_at < 10


def _form_head(proxy: Proxy, model: str, length: int) -> bytes:
    parts = b"".join(
        b'--xx\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % pair
        for pair in ((b"purpose", b"user_data"), (b"model", model.encode()))
    )
    parts += b'--xx\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
    return (
        b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: multipart/form-data; boundary=xx\r\nContent-Length: %d\r\n\r\n%b"
        % (proxy.master_key.encode(), len(parts) + length, parts)
    )


async def test_a_large_upload_to_a_slow_provider_is_not_kept(proxy: Proxy, vendor: Vendor, model: str) -> None:
    """The provider takes nothing at first: what the client can send until then is what fits buffers."""
    vendor.swallow = True
    vendor.go_on.clear()
    size, tail = 100 * 1024 * 1024, b"\r\n--xx--\r\n"
    process = psutil.Process(proxy.process.pid)
    before = process.memory_info().rss
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(_form_head(proxy, model, size + len(tail)))
    most = sent = 0
    piece = b"\0" * 1024 * 1024
    while sent < size:
        writer.write(piece)
        sent += len(piece)
        if sent == 40 * len(piece):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.5)
            vendor.go_on.set()
        elif sent > 40 * len(piece):
            await writer.drain()
        most = max(most, process.memory_info().rss)
    writer.write(tail)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    most = max(most, process.memory_info().rss)
    assert b" 200 " in head
    assert vendor.received > size
    assert most - before < 12 * 1024 * 1024, f"{(most - before) / 1e6:.1f} MB more"
    writer.close()


async def test_caps_are_those_of_the_route(proxy: Proxy, vendor: Vendor, model: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(_form_head(proxy, model, 600 * 1024 * 1024))
    assert b" 413 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()
    assert not vendor.seen


async def test_wrong_methods_and_paths_are_told(proxy: Proxy) -> None:
    for method, path, status in (
        ("PUT", "/v1/files", 405), ("POST", "/v1/files/file-1/content", 405), ("GET", "/v1/batches/b/cancel", 405),
        ("GET", "/v1/files/a/b/c", 404), ("GET", "/v1/files/", 404), ("GET", "/v1/filesystem", 404),
        ("GET", "/v1/files/%2e%2e%2fmodels", 404), ("GET", "/v1/files?limit=x", 400), ("GET", "/v1/files?after=x", 404),
    ):  # fmt: skip
        found, _, _ = await asyncio.to_thread(
            lambda method=method, path=path: proxy.request(method, path, key=proxy.master_key)
        )
        assert found == status, (method, path)
