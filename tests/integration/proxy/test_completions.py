"""Text completions: as they are where the provider has them, by way of chat elsewhere."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from tests.fixtures import anthropic_wire
from tests.fixtures.gateway import Proxy
from tests.fixtures.openai_schema import validate
from tests.fixtures.upstream import DONE, LAST, STREAM_HEAD, USAGE, Upstream, answer, chunk
from tests.integration.proxy.scripted import ask_path, error, provide, record_for

THEIRS = {
    "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "of_the_future": 1, "usage": USAGE,
    "choices": [{"index": 0, "text": " you", "logprobs": None, "finish_reason": "stop"}],
}  # fmt: skip


async def test_where_they_are_native_bytes_pass(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI
) -> None:
    model = await provide(proxy, upstream.base_url)
    upstream.says(answer(THEIRS))
    said = await chat_client.completions.create(model=model, prompt=["hello", "hi"], echo=True, suffix="!")
    assert said.choices[0].text == " you"
    (request,) = upstream.requests
    assert request.line == "POST /v1/completions HTTP/1.1"
    assert request.json == {"model": "upstream-model", "prompt": ["hello", "hi"], "echo": True, "suffix": "!"}
    record = await record_for(proxy, model)
    assert (record["tokens_in"], record["tokens_out"], record["route"]) == (11, 5, "/v1/completions")


async def test_where_they_are_native_streams_pass(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI
) -> None:
    model = await provide(proxy, upstream.base_url)
    piece = b"data: " + json.dumps({name: part for name, part in THEIRS.items() if name != "usage"}).encode() + b"\n\n"
    usage = b"data: " + json.dumps({**THEIRS, "choices": []}).encode() + b"\n\n"
    upstream.says(STREAM_HEAD, chunk(piece), chunk(usage), chunk(DONE), LAST)
    stream = await chat_client.completions.create(model=model, prompt="hello", stream=True)
    assert [each.choices[0].text async for each in stream] == [" you"], "usage that nobody asked for stays away"
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}
    assert (await record_for(proxy, model))["tokens_out"] == 5


async def test_by_way_of_chat(chat_client: openai.AsyncOpenAI) -> None:
    said = await chat_client.completions.create(model="sim", prompt="hello", max_tokens=7)
    assert said.object == "text_completion"
    assert (said.usage.completion_tokens, said.choices[0].finish_reason) == (7, "length")
    stream = await chat_client.completions.create(model="sim", prompt="hello", max_tokens=7, stream=True)
    chunks = [each async for each in stream]
    assert "".join(each.choices[0].text for each in chunks) == said.choices[0].text
    assert all(each.usage is None for each in chunks)


async def test_by_way_of_chat_the_answer_is_what_openai_promises(proxy: Proxy) -> None:
    _, _, body = await ask_path(proxy, "/v1/completions", {"model": "sim", "prompt": "hello"})
    validate(json.loads(body), "CreateCompletionResponse")


@pytest.mark.parametrize("streams", [False, True])
async def test_by_way_of_chat_and_anthropics_format(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI, streams: bool
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    message = anthropic_wire.message(anthropic_wire.text("hello you"))
    upstream.says(*anthropic_wire.streamed(message)) if streams else upstream.says(answer(message))
    if streams:
        stream = await chat_client.completions.create(model=model, prompt="hello", stream=True)
        said = "".join([each.choices[0].text async for each in stream])
    else:
        said = (await chat_client.completions.create(model=model, prompt="hello")).choices[0].text
    assert said == "hello you"
    assert upstream.requests[0].json["max_tokens"] == 16
    assert (await record_for(proxy, model))["tokens_in"] == 33


@pytest.mark.parametrize(
    "fields", [{"echo": True}, {"suffix": "x"}, {"logprobs": 2}, {"best_of": 3}, {"prompt": [1, 2]}, {"prompt": ["a", "b"]}, {"prompt": None}]
)
async def test_what_chat_has_no_word_for_is_refused(proxy: Proxy, fields: dict[str, Any]) -> None:
    status, _, body = await ask_path(proxy, "/v1/completions", {"model": "sim", "prompt": "hello", **fields})
    assert (status, error(body)["param"]) == (400, next(iter(fields)))
