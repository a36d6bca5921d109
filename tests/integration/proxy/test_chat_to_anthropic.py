"""OpenAI's client, asking for chat, at providers of Anthropic's format."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from tests.fixtures import anthropic_wire as wire
from tests.fixtures.gateway import Proxy
from tests.fixtures.openai_schema import validate
from tests.fixtures.upstream import STREAM_HEAD, Upstream, answer, chunk
from tests.integration.proxy.scripted import ask, ask_path, error, provide, record_for

QUESTION = [{"role": "user", "content": "hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather", "description": "Tells the weather.", "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}  # fmt: skip
CITY = {"name": "city", "schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


@pytest.fixture
async def model(proxy: Proxy, upstream: Upstream) -> str:
    return await provide(proxy, upstream.base_url, "anthropic", max_tokens=777)


async def test_text(proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI, model: str) -> None:
    upstream.says(answer(wire.message(wire.text("hello "), wire.text("you"))))
    said = await chat_client.chat.completions.create(
        model=model, messages=[{"role": "system", "content": "be kind"}, {"role": "developer", "content": "be brief"},
                               *QUESTION],
        stop=["END"], temperature=0.5, user="ann",
    )  # fmt: skip
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == ("hello you", "stop")
    assert (said.usage.prompt_tokens, said.usage.completion_tokens, said.usage.total_tokens) == (33, 6, 39)
    assert said.usage.prompt_tokens_details.cached_tokens == 20
    (request,) = upstream.requests
    assert request.line == "POST /v1/messages HTTP/1.1"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.json == {
        "model": "upstream-model", "max_tokens": 777, "temperature": 0.5, "stop_sequences": ["END"],
        "metadata": {"user_id": "ann"},
        "system": [{"type": "text", "text": "be kind"}, {"type": "text", "text": "be brief"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }  # fmt: skip
    record = await record_for(proxy, model)
    assert (record["tokens_in"], record["tokens_out"], record["tokens_cached"]) == (33, 6, 20)
    assert record["user_id"] == "ann"


async def test_what_openai_promises_holds(proxy: Proxy, upstream: Upstream, model: str) -> None:
    whole = wire.message(wire.text("hi"), wire.tool_use("weather", {"city": "Bern"}), stop="tool_use")
    upstream.says(answer(whole))
    _, headers, body = await ask(proxy, model)
    validate(json.loads(body), "CreateChatCompletionResponse")
    assert "x-scutum-dropped" not in headers
    upstream.says(*wire.streamed(whole))
    _, _, body = await ask(proxy, model, stream=True, stream_options={"include_usage": True})
    events = [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    for event in events[:-1]:
        validate(json.loads(event), "CreateChatCompletionStreamResponse")


async def test_a_stream(proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI, model: str) -> None:
    upstream.says(*wire.streamed(wire.message(wire.text("hello you"), stop="max_tokens")))
    stream = await chat_client.chat.completions.create(
        model=model, messages=QUESTION, stream=True, stream_options={"include_usage": True}, max_tokens=5
    )
    chunks = [each async for each in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(each.choices[0].delta.content or "" for each in chunks[:-1]) == "hello you"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (33, 6)
    assert upstream.requests[0].json["stream"] is True
    assert upstream.requests[0].json["max_tokens"] == 5
    record = await record_for(proxy, model)
    assert (record["tokens_in"], record["tokens_out"], record["stream"]) == (33, 6, True)
    assert record["ttft_us"] > 0


async def test_usage_that_nobody_asked_for_stays_away(
    upstream: Upstream, chat_client: openai.AsyncOpenAI, model: str
) -> None:
    upstream.says(*wire.streamed(wire.message(wire.text("hello"))))
    stream = await chat_client.chat.completions.create(model=model, messages=QUESTION, stream=True)
    assert all(each.usage is None and each.choices for each in [each async for each in stream])


async def test_parallel_tools_and_their_results(
    upstream: Upstream, chat_client: openai.AsyncOpenAI, model: str
) -> None:
    first, second = wire.tool_use("weather", {"city": "Bern"}, 1), wire.tool_use("clock", {}, 2)
    whole = wire.message(wire.text("Let me see."), first, second, stop="tool_use")
    clock = {"type": "function", "function": {"name": "clock"}}
    upstream.says(answer(whole))
    reply = await chat_client.chat.completions.with_raw_response.create(
        model=model, messages=QUESTION, tools=[WEATHER, clock], tool_choice="required", parallel_tool_calls=False
    )
    said = reply.parse().choices[0]
    assert said.finish_reason == "tool_calls"
    calls = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in said.message.tool_calls]
    assert calls == [("toolu_1", "weather", {"city": "Bern"}), ("toolu_2", "clock", {})]
    assert reply.headers["x-scutum-dropped"] == "tools.strict"
    asked = upstream.requests[0].json
    assert asked["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert asked["tools"][0] == {
        "name": "weather", "description": "Tells the weather.", "input_schema": WEATHER["function"]["parameters"],
    }  # fmt: skip
    assert asked["tools"][1]["input_schema"] == {"type": "object", "properties": {}}
    upstream.says(answer(wire.message(wire.text("It rains."))))
    results = [{"role": "tool", "tool_call_id": call[0], "content": f"result of {call[1]}"} for call in calls]
    await chat_client.chat.completions.create(
        model=model, messages=[*QUESTION, said.message.model_dump(exclude_none=True), *results], tools=[WEATHER, clock]
    )
    _, assistant, user = upstream.requests[1].json["messages"]
    assert assistant == {"role": "assistant", "content": whole["content"]}
    assert user["role"] == "user"
    assert [(block["type"], block["tool_use_id"], block["content"][0]["text"]) for block in user["content"]] == [
        ("tool_result", "toolu_1", "result of weather"), ("tool_result", "toolu_2", "result of clock"),
    ]  # fmt: skip


async def test_streamed_tools(upstream: Upstream, chat_client: openai.AsyncOpenAI, model: str) -> None:
    calls = wire.tool_use("weather", {"city": "Bern"}, 1), wire.tool_use("clock", {}, 2)
    upstream.says(*wire.streamed(wire.message(wire.text("Hm."), *calls, stop="tool_use")))
    async with chat_client.chat.completions.stream(model=model, messages=QUESTION, tools=[WEATHER]) as stream:
        said = (await stream.get_final_completion()).choices[0]
    assert said.finish_reason == "tool_calls"
    assert [(call.id, call.function.name, call.function.arguments) for call in said.message.tool_calls] == [
        ("toolu_1", "weather", '{"city": "Bern"}'), ("toolu_2", "clock", "{}"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("data:image/png;base64,aGk=", {"type": "base64", "media_type": "image/png", "data": "aGk="}),
        ("https://example.org/cat.png", {"type": "url", "url": "https://example.org/cat.png"}),
    ],
)
async def test_images(
    upstream: Upstream, chat_client: openai.AsyncOpenAI, model: str, url: str, source: dict[str, Any]
) -> None:
    upstream.says(answer(wire.message(wire.text("a cat"))))
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    await chat_client.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}])
    assert upstream.requests[0].json["messages"][0]["content"] == [
        {"type": "text", "text": "what is it?"}, {"type": "image", "source": source},
    ]  # fmt: skip


@pytest.mark.parametrize("streams", [False, True])
async def test_a_schema_is_a_tool_where_the_server_has_no_field_for_it(
    upstream: Upstream, chat_client: openai.AsyncOpenAI, model: str, streams: bool
) -> None:
    whole = wire.message(wire.tool_use("json_answer", {"city": "Bern"}), stop="tool_use")
    wanted = {"type": "json_schema", "json_schema": CITY}
    if streams:
        upstream.says(*wire.streamed(whole))
        stream = chat_client.chat.completions.stream(model=model, messages=QUESTION, response_format=wanted)
        async with stream as running:
            said = (await running.get_final_completion()).choices[0]
    else:
        upstream.says(answer(whole))
        said = (
            await chat_client.chat.completions.create(model=model, messages=QUESTION, response_format=wanted)
        ).choices[0]
    assert json.loads(said.message.content) == {"city": "Bern"}
    assert not said.message.tool_calls
    assert said.finish_reason == "stop"
    asked = upstream.requests[0].json
    assert asked["tools"][0]["input_schema"] == CITY["schema"]
    assert asked["tool_choice"] == {"type": "tool", "name": "json_answer"}


async def test_a_schema_goes_into_its_field_where_the_server_has_it(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic", structured_output="native")
    upstream.says(answer(wire.message(wire.text('{"city":"Bern"}'))))
    said = await chat_client.chat.completions.create(
        model=model, messages=QUESTION, response_format={"type": "json_schema", "json_schema": CITY},
        reasoning_effort="low",
    )  # fmt: skip
    assert said.choices[0].message.content == '{"city":"Bern"}'
    assert upstream.requests[0].json["output_config"] == {
        "effort": "low", "format": {"type": "json_schema", "schema": CITY["schema"] | {"additionalProperties": False}},
    }  # fmt: skip


async def test_beside_tools_a_schema_is_an_instruction(proxy: Proxy, upstream: Upstream, model: str) -> None:
    upstream.says(answer(wire.message(wire.text("{}"))))
    await ask(proxy, model, response_format={"type": "json_schema", "json_schema": CITY}, tools=[WEATHER])
    asked = upstream.requests[0].json
    assert [tool["name"] for tool in asked["tools"]] == ["weather"]
    assert '"city"' in asked["system"][0]["text"]


async def test_what_cannot_be_said_is_listed(proxy: Proxy, upstream: Upstream, model: str) -> None:
    upstream.says(answer(wire.message(wire.text("hi"))))
    status, headers, _ = await ask(
        proxy, model, seed=7, frequency_penalty=0, of_the_future={"a": 1}, top_k=5, temperature=1.7
    )
    assert status == 200
    assert headers["x-scutum-dropped"] == "seed, temperature>1"
    asked = upstream.requests[0].json
    assert (asked["top_k"], asked["temperature"], asked["of_the_future"]) == (5, 1.0, {"a": 1})
    assert "seed" not in asked


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": [], "content": "x"}]}, None),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"response_format": "json"}, "response_format"),
        ({"tools": 7}, "tools"),
    ],
)
async def test_what_must_not_be_lost_is_refused(
    proxy: Proxy, upstream: Upstream, model: str, fields: dict[str, Any], param: str | None
) -> None:
    status, _, body = await ask(proxy, model, **fields)
    assert status == 400
    assert error(body)["param"] == param
    assert upstream.requests == []


async def test_embeddings_are_refused_in_plain_words(proxy: Proxy, model: str) -> None:
    status, _, body = await ask_path(proxy, "/v1/embeddings", {"model": model, "input": "x"})
    assert (status, error(body)["code"]) == (400, "unsupported_by_provider")


async def test_a_refusal_arrives_in_openais_shape(upstream: Upstream, chat_client: openai.AsyncOpenAI, model: str) -> None:
    upstream.says(answer(wire.failure("rate_limit_error", "slow down"), 429, extra="Retry-After: 3\r\n"))
    with pytest.raises(openai.RateLimitError) as caught:
        await chat_client.chat.completions.create(model=model, messages=QUESTION)
    assert caught.value.body["message"] == "slow down"
    assert caught.value.type == "rate_limit_error"
    assert caught.value.response.headers["retry-after"] == "3"


async def test_a_stream_that_dies(proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI, model: str) -> None:
    begun = wire.events(wire.message(wire.text("twelve bytes")))[:5]
    upstream.says(STREAM_HEAD, *(chunk(each) for each in begun), close=True)
    stream = await chat_client.chat.completions.create(model=model, messages=QUESTION, stream=True)
    with pytest.raises(openai.APIError, match="connection ended"):
        [each async for each in stream]
    record = await record_for(proxy, model)
    assert record["error_kind"] == "upstream_disconnected"
    assert (record["tokens_in"], record["usage_source"]) == (33, "estimated")
    assert 1 <= record["tokens_out"] <= 3


async def test_an_error_inside_a_stream(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI, model: str
) -> None:
    begun = wire.events(wire.message(wire.text("twelve bytes")))[:5]
    trouble = wire.event(wire.failure("overloaded_error", "Overloaded"))
    upstream.says(STREAM_HEAD, *(chunk(each) for each in [*begun, trouble]), b"0\r\n\r\n")
    stream = await chat_client.chat.completions.create(model=model, messages=QUESTION, stream=True)
    with pytest.raises(openai.APIError, match="Overloaded"):
        [each async for each in stream]
    assert (await record_for(proxy, model))["error_kind"] == "upstream_stream_error"


@pytest.mark.parametrize("body", [b'{"content": 7, "usage": null}', b'{"content": ["x"]}', b"[]"])
async def test_an_answer_that_cannot_be_translated(proxy: Proxy, upstream: Upstream, model: str, body: bytes) -> None:
    upstream.says(answer(body))
    status, _, told = await ask(proxy, model)
    assert (status, error(told)["code"]) == (502, "upstream_bad_answer")
