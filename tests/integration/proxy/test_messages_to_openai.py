"""Anthropic's client at providers of OpenAI's format, and at the simulator."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from tests.fixtures import chat_wire as wire
from tests.fixtures.gateway import Proxy
from tests.fixtures.upstream import LAST, STREAM_HEAD, Upstream, answer, chunk
from tests.integration.proxy.scripted import ask_path, provide, record_for

QUESTION = [{"role": "user", "content": "hello"}]
WEATHER = {
    "name": "weather", "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}  # fmt: skip


@pytest.fixture
async def model(proxy: Proxy, upstream: Upstream) -> str:
    return await provide(proxy, upstream.base_url)


def body(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "messages": QUESTION, **fields}


async def test_text(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str
) -> None:
    upstream.says(answer(wire.completion("hello you")))
    said = await messages_client.messages.create(
        **body(model), system=[{"type": "text", "text": "be kind"}, {"type": "text", "text": "be brief"}],
        stop_sequences=["END"], metadata={"user_id": "ann"},
    )  # fmt: skip
    assert [(block.type, block.text) for block in said.content] == [("text", "hello you")]
    assert (said.type, said.role, said.stop_reason) == ("message", "assistant", "end_turn")
    assert (said.usage.input_tokens, said.usage.cache_read_input_tokens, said.usage.output_tokens) == (18, 12, 8)
    (request,) = upstream.requests
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert "anthropic-version" not in request.headers
    assert request.json == {
        "model": "upstream-model", "max_tokens": 50, "stop": ["END"], "user": "ann",
        "messages": [{"role": "system", "content": "be kind\n\nbe brief"}, *QUESTION],
    }  # fmt: skip
    record = await record_for(proxy, model)
    assert (record["tokens_in"], record["tokens_out"], record["tokens_cached"], record["tokens_reasoning"]) == (
        30, 8, 12, 3,
    )  # fmt: skip
    assert (record["route"], record["user_id"]) == ("/v1/messages", "ann")


async def test_a_stream(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str
) -> None:
    upstream.says(*wire.streamed(wire.completion("hello you", finish="length")))
    async with messages_client.messages.stream(**body(model)) as stream:
        text = [piece async for piece in stream.text_stream]
        said = await stream.get_final_message()
    assert len(text) == 2
    assert (said.content[0].text, said.stop_reason) == ("hello you", "max_tokens")
    assert (said.usage.input_tokens, said.usage.cache_read_input_tokens, said.usage.output_tokens) == (18, 12, 8)
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}
    record = await record_for(proxy, model)
    assert (record["tokens_in"], record["tokens_out"], record["stream"]) == (30, 8, True)


async def test_a_streams_events_are_in_order(proxy: Proxy, upstream: Upstream, model: str) -> None:
    calls = [wire.call("weather", {"city": "Bern"}, 1), wire.call("clock", {"zone": "UTC"}, 2)]
    upstream.says(*wire.streamed(wire.completion("Hm.", calls=calls, finish="tool_calls")))
    _, headers, raw = await ask_path(proxy, "/v1/messages", body(model, stream=True))
    assert headers["content-type"].startswith("text/event-stream")
    found = [dict(line.split(": ", 1) for line in part.splitlines()) for part in raw.decode().split("\n\n") if part[:2] == "ev"]
    documents = [json.loads(each["data"]) for each in found]
    assert [each["event"] for each in found] == [document["type"] for document in documents]
    kinds = [(document["type"], document.get("index")) for document in documents]
    expected = [("message_start", None)]
    for index in range(3):
        expected += [("content_block_start", index), ("content_block_delta", index), ("content_block_delta", index),
                     ("content_block_stop", index)]  # fmt: skip
    assert kinds == [*expected, ("message_delta", None), ("message_stop", None)]
    assert b": x-scutum-cost=" in raw


async def test_parallel_tools_and_their_results(
    upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str
) -> None:
    calls = [wire.call("weather", {"city": "Bern"}, 1), wire.call("clock", {}, 2)]
    upstream.says(answer(wire.completion("Let me see.", calls=calls, finish="tool_calls")))
    clock = {"name": "clock", "input_schema": {"type": "object"}}
    said = await messages_client.messages.create(
        **body(model), tools=[WEATHER, clock], tool_choice={"type": "any", "disable_parallel_tool_use": True}
    )
    assert said.stop_reason == "tool_use"
    assert [(block.id, block.name, block.input) for block in said.content[1:]] == [
        ("call_1", "weather", {"city": "Bern"}), ("call_2", "clock", {}),
    ]  # fmt: skip
    asked = upstream.requests[0].json
    assert (asked["tool_choice"], asked["parallel_tool_calls"]) == ("required", False)
    assert asked["tools"][0]["function"] == {
        "name": "weather", "description": "Tells the weather.", "parameters": WEATHER["input_schema"],
    }  # fmt: skip
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    results = [
        {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "rain"}, image]},
        {"type": "tool_result", "tool_use_id": "call_2", "content": "noon", "is_error": True},
        {"type": "text", "text": "and now?"},
    ]
    turns = [*QUESTION, {"role": "assistant", "content": said.content}, {"role": "user", "content": results}]
    upstream.says(answer(wire.completion("It rains.")))
    reply = await messages_client.messages.with_raw_response.create(
        model=model, max_tokens=50, messages=turns, tools=[WEATHER, clock]
    )
    assert reply.headers["x-scutum-dropped"] == "tool_result.is_error"
    sent = upstream.requests[1].json["messages"]
    assert sent[1]["content"] == "Let me see."
    assert [(call["id"], json.loads(call["function"]["arguments"])) for call in sent[1]["tool_calls"]] == [
        ("call_1", {"city": "Bern"}), ("call_2", {}),
    ]  # fmt: skip
    assert sent[2:4] == [
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "tool", "tool_call_id": "call_2", "content": "noon"},
    ]
    assert [part["type"] for part in sent[4]["content"]] == ["image_url", "text"]


async def test_streamed_tools(
    upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str
) -> None:
    calls = [wire.call("weather", {"city": "Bern"}, 1), wire.call("clock", {"zone": "UTC"}, 2)]
    # Some servers end with `stop` although they call tools.
    upstream.says(*wire.streamed(wire.completion("Hm.", calls=calls, finish="stop")))
    async with messages_client.messages.stream(**body(model), tools=[WEATHER]) as stream:
        said = await stream.get_final_message()
    assert said.stop_reason == "tool_use"
    assert [(block.name, block.input) for block in said.content[1:]] == [
        ("weather", {"city": "Bern"}), ("clock", {"zone": "UTC"}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ({"type": "base64", "media_type": "image/png", "data": "aGk="}, "data:image/png;base64,aGk="),
        ({"type": "url", "url": "https://example.org/cat.png"}, "https://example.org/cat.png"),
    ],
)
async def test_images(
    upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str, source: dict[str, Any], url: str
) -> None:
    upstream.says(answer(wire.completion("a cat")))
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "what is it?"}]
    await messages_client.messages.create(model=model, max_tokens=50, messages=[{"role": "user", "content": parts}])
    assert upstream.requests[0].json["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what is it?"},
    ]  # fmt: skip


async def test_structured_output(
    upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str
) -> None:
    upstream.says(answer(wire.completion('{"city":"Bern"}')))
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    await messages_client.messages.create(
        **body(model), output_config={"format": {"type": "json_schema", "schema": schema}}
    )
    assert upstream.requests[0].json["response_format"]["json_schema"]["schema"] == schema


@pytest.mark.parametrize("streams", [False, True])
async def test_reasoning_is_shown_to_those_who_ask_for_it(
    upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str, streams: bool
) -> None:
    whole = wire.completion("42", reasoning_content="hm, let me see")
    upstream.says(*wire.streamed(whole)) if streams else upstream.says(answer(whole))
    kinds = []
    for thinking in ({"type": "adaptive"}, {"type": "disabled"}):
        if streams:
            async with messages_client.messages.stream(**body(model), thinking=thinking) as stream:
                said = await stream.get_final_message()
        else:
            said = await messages_client.messages.create(**body(model), thinking=thinking)
        kinds.append([block.type for block in said.content])
        assert said.content[-1].text == "42"
    assert kinds == [["thinking", "text"], ["text"]]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_numbers_beyond_all_bounds(proxy: Proxy, model: str, path: str) -> None:
    for number in (b"1e999", b"9" * 5000):
        raw = json.dumps(body(model)).encode()[:-1] + b',"temperature":' + number + b"}"
        status, _, _ = await ask_path(proxy, path, raw)
        assert status == (400 if path == "/v1/messages" else 200)


async def test_what_cannot_be_said_is_listed(proxy: Proxy, upstream: Upstream, model: str) -> None:
    upstream.says(answer(wire.completion("hi")))
    cached = [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]
    thought = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
                                                {"type": "text", "text": "yes"}]}  # fmt: skip
    status, headers, _ = await ask_path(
        proxy, "/v1/messages",
        body(model, top_k=5, system=cached, thinking={"type": "enabled", "budget_tokens": 1024}, of_the_future=1,
             messages=[*QUESTION, thought, *QUESTION]),
    )  # fmt: skip
    assert status == 200
    assert headers["x-scutum-dropped"] == "top_k, thinking, cache_control"
    asked = upstream.requests[0].json
    assert asked["messages"][2] == {"role": "assistant", "content": "yes"}
    assert asked["of_the_future"] == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "search_result"}]}]},
        {"messages": [{"role": {}, "content": "x"}]},
        {"messages": [7]},
        {"system": 7},
        {"tool_choice": {"type": []}, "tools": [WEATHER]},
    ],
)
async def test_what_must_not_be_lost_is_refused(
    proxy: Proxy, upstream: Upstream, model: str, fields: dict[str, Any]
) -> None:
    status, _, told = await ask_path(proxy, "/v1/messages", body(model, **fields))
    assert status == 400
    assert json.loads(told)["error"]["type"] == "invalid_request_error"
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("status", "raised", "kind"),
    [
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (500, anthropic.InternalServerError, "api_error"),
    ],
)
async def test_a_refusal_arrives_in_anthropics_shape(
    upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str, status: int, raised: type, kind: str
) -> None:
    theirs = {"error": {"message": "their words", "type": "requests", "param": None, "code": "their_code"}}
    upstream.says(answer(theirs, status))
    with pytest.raises(raised) as caught:
        await messages_client.messages.create(**body(model))
    told = caught.value.body["error"]
    assert (told["type"], told["message"], told["code"]) == (kind, "their words", "their_code")


async def test_a_stream_that_dies(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str
) -> None:
    begun = wire.chunks(wire.completion("hello you"))[:2]
    upstream.says(STREAM_HEAD, *(chunk(each) for each in begun), close=True)
    with pytest.raises(anthropic.APIStatusError, match="connection ended"):
        async with messages_client.messages.stream(**body(model)) as stream:
            await stream.get_final_message()
    record = await record_for(proxy, model)
    assert (record["error_kind"], record["usage_source"]) == ("upstream_disconnected", "estimated")
    assert record["tokens_out"] >= 1


async def test_a_stream_that_stops_short_is_no_answer(
    upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str
) -> None:
    begun = wire.chunks(wire.completion("hello you"))[:2]
    upstream.says(STREAM_HEAD, *(chunk(each) for each in begun), LAST)
    with pytest.raises(anthropic.APIStatusError, match="in the middle"):
        async with messages_client.messages.stream(**body(model)) as stream:
            await stream.get_final_message()


async def test_a_server_that_never_says_done_or_usage(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str
) -> None:
    said = wire.chunks(wire.completion("hello you"), usage=False)[:-1]
    upstream.says(STREAM_HEAD, *(chunk(each) for each in said), LAST)
    async with messages_client.messages.stream(**body(model)) as stream:
        assert (await stream.get_final_message()).content[0].text == "hello you"
    assert (await record_for(proxy, model))["usage_source"] == "estimated"


async def test_an_error_inside_a_stream(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic, model: str
) -> None:
    begun = wire.chunks(wire.completion("hello you"))[:2]
    trouble = b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'
    upstream.says(STREAM_HEAD, *(chunk(each) for each in [*begun, trouble]), LAST)
    with pytest.raises(anthropic.APIStatusError, match="out of memory"):
        async with messages_client.messages.stream(**body(model)) as stream:
            await stream.get_final_message()
    assert (await record_for(proxy, model))["error_kind"] == "upstream_stream_error"


@pytest.mark.parametrize("streams", [False, True])
async def test_the_simulator_speaks_it_too(messages_client: anthropic.AsyncAnthropic, streams: bool) -> None:
    asked = {**body("sim"), "tools": [WEATHER], "tool_choice": {"type": "tool", "name": "weather"}}
    if streams:
        async with messages_client.messages.stream(**asked) as stream:
            said = await stream.get_final_message()
    else:
        said = await messages_client.messages.create(**asked)
    assert said.stop_reason == "tool_use"
    assert said.content[0].name == "weather"
    assert said.usage.output_tokens > 0


async def test_openais_own_name_for_the_bound() -> None:
    """OpenAI's reasoning models refuse max_tokens."""
    from scutum_server.upstream.openai import OpenAILane
    from scutum_server.upstream.options import OpenAIOptions
    from scutum_server.upstream.transport import Transport

    transport = Transport()
    try:
        theirs = OpenAILane(transport, None, None, OpenAIOptions()).traits
        other = OpenAILane(transport, "http://127.0.0.1:1/v1", None, OpenAIOptions()).traits
    finally:
        transport.close()
    assert (theirs.cap_field, other.cap_field) == ("max_completion_tokens", "max_tokens")
    assert ("responses" in theirs.paths, "responses" in other.paths) == (True, False)
