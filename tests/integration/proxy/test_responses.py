"""OpenAI's Responses API: as it is where the provider has it, by way of chat and of Anthropic's format elsewhere."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from tests.fixtures import anthropic_wire, chat_wire
from tests.fixtures.gateway import Proxy
from tests.fixtures.openai_schema import validate
from tests.fixtures.upstream import DONE, LAST, STREAM_HEAD, Upstream, answer, chunk
from tests.integration.proxy.scripted import ask_path, error, provide, record_for

WEATHER = {
    "type": "function", "name": "weather", "description": "Tells the weather.", "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}  # fmt: skip
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
USAGE = {
    "input_tokens": 40, "input_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 0}, "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 49,
}  # fmt: skip
THEIRS = {
    "id": "resp_theirs", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-real",
    "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "hi", "annotations": []}]}],
    "usage": USAGE, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "of_the_future": 1,
}  # fmt: skip


async def ask(proxy: Proxy, model: str, **fields: Any) -> tuple[int, dict[str, str], bytes]:
    return await ask_path(proxy, "/v1/responses", {"model": model, "input": "hello", **fields})


def named(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def events_in(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: {")]


# -- providers that have it


async def test_where_it_is_native_bytes_pass(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI
) -> None:
    model = await provide(proxy, upstream.base_url, responses="native")
    upstream.says(answer(THEIRS))
    said = await chat_client.responses.create(
        model=model, input="hello", tools=[{"type": "web_search"}], background=False,
        extra_body={"of_the_future": 2},
    )  # fmt: skip
    assert said.output_text == "hi"
    assert said.id.startswith("resp_") and said.id != "resp_theirs"
    (request,) = upstream.requests
    assert request.line == "POST /v1/responses HTTP/1.1"
    assert request.json == {
        "model": "upstream-model", "input": "hello", "tools": [{"type": "web_search"}], "background": False,
        "of_the_future": 2,
    }  # fmt: skip
    record = await record_for(proxy, model)
    assert (record["tokens_in"], record["tokens_out"], record["tokens_cached"], record["tokens_reasoning"]) == (
        40, 9, 16, 4,
    )  # fmt: skip
    assert record["route"] == "/v1/responses"


async def test_where_it_is_native_streams_pass(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI
) -> None:
    model = await provide(proxy, upstream.base_url, responses="native")
    item = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    sent = [
        named("response.created", response=THEIRS | {"status": "in_progress", "output": [], "usage": None}),
        named("response.output_text.delta", **item, delta="hi", logprobs=[]),
        named("response.completed", response=THEIRS),
    ]
    upstream.says(STREAM_HEAD, *(chunk(each) for each in sent), LAST)
    _, _, raw = await ask(proxy, model, stream=True)
    ours = events_in(raw)[-1]["response"]["id"].encode()
    assert raw.replace(ours, b"resp_theirs") == sent[0] + sent[1] + b": x-scutum-cost=0\n\n" + sent[2] + DONE
    stream = await chat_client.responses.create(model=model, input="hello", stream=True)
    assert [event.type async for event in stream][-1] == "response.completed"
    record = (await record_for_all(proxy, model))[0]
    assert (record["tokens_in"], record["tokens_out"], record["stream"]) == (40, 9, True)


async def until_it_breaks(stream: openai.AsyncStream[Any]) -> list[Any]:
    """The events of a stream that must not look as if it had ended well."""
    events = []
    with pytest.raises(openai.APIConnectionError):
        async for event in stream:
            events.append(event)
    return events


async def record_for_all(proxy: Proxy, model: str) -> list[dict[str, Any]]:
    import asyncio

    from tests.fixtures.servers import wait_until

    def found() -> list[dict[str, Any]]:
        return [record for record in proxy.records() if record.get("requested_model") == model]

    await asyncio.to_thread(wait_until, lambda: len(found()) == 2, what="both records")
    return found()


async def test_where_it_is_native_a_dead_stream_is_charged(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI
) -> None:
    model = await provide(proxy, upstream.base_url, responses="native")
    piece = named("response.output_text.delta", output_index=0, item_id="m", content_index=0, delta="twelve bytes")
    upstream.says(STREAM_HEAD, chunk(piece), close=True)
    stream = await chat_client.responses.create(model=model, input="hello", stream=True)
    events = await until_it_breaks(stream)
    assert [event.type for event in events] == ["response.output_text.delta", "error"]
    assert events[-1].code == "upstream_disconnected"
    record = await record_for(proxy, model)
    assert (record["tokens_out"], record["usage_source"]) == (3, "estimated")


# -- providers that do not


@pytest.fixture(params=["openai", "anthropic"])
async def place(request: pytest.FixtureRequest, proxy: Proxy, upstream: Upstream) -> tuple[str, str]:
    """The wire that the provider speaks, and a model there."""
    return request.param, await provide(proxy, upstream.base_url, request.param)


def says(upstream: Upstream, kind: str, words: str | None, *calls: tuple[str, dict[str, Any]], streams: bool) -> None:
    """Has the upstream answer the same in either wire."""
    if kind == "openai":
        made = [chat_wire.call(name, arguments, number) for number, (name, arguments) in enumerate(calls, 1)]
        completion = chat_wire.completion(words, calls=made, finish="tool_calls" if calls else "stop")
        upstream.says(*chat_wire.streamed(completion)) if streams else upstream.says(answer(completion))
        return
    blocks = [anthropic_wire.text(words)] if words else []
    blocks += [anthropic_wire.tool_use(name, arguments, number) for number, (name, arguments) in enumerate(calls, 1)]
    message = anthropic_wire.message(*blocks, stop="tool_use" if calls else "end_turn")
    upstream.says(*anthropic_wire.streamed(message)) if streams else upstream.says(answer(message))


async def test_text(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI, place: tuple[str, str]
) -> None:
    kind, model = place
    says(upstream, kind, "hello you", streams=False)
    said = await chat_client.responses.create(
        model=model, input="hello", instructions="be kind", max_output_tokens=44, metadata={"a": "b"}
    )
    assert (said.output_text, said.status, said.instructions, said.metadata) == (
        "hello you", "completed", "be kind", {"a": "b"},
    )  # fmt: skip
    tokens = (30, 8, 12) if kind == "openai" else (33, 6, 20)
    assert (
        said.usage.input_tokens, said.usage.output_tokens, said.usage.input_tokens_details.cached_tokens,
    ) == tokens  # fmt: skip
    asked = upstream.requests[0].json
    assert asked["max_tokens"] == 44
    if kind == "openai":
        assert asked["messages"] == [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}]
    else:
        assert asked["system"] == [{"type": "text", "text": "be kind"}]
    record = await record_for(proxy, model)
    assert (record["tokens_in"], record["tokens_out"], record["tokens_cached"]) == tokens


async def test_what_openai_promises_holds(proxy: Proxy, upstream: Upstream, place: tuple[str, str]) -> None:
    kind, model = place
    calls = ("weather", {"city": "Bern"}), ("clock", {"zone": "UTC"})
    says(upstream, kind, "Let me see.", *calls, streams=False)
    _, _, raw = await ask(proxy, model, tools=[WEATHER])
    validate(json.loads(raw), "Response")
    says(upstream, kind, "Let me see.", *calls, streams=True)
    _, _, raw = await ask(proxy, model, tools=[WEATHER], stream=True)
    events = events_in(raw)
    for event in events:
        validate(event, "ResponseStreamEvent")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    item = ["response.output_item.added", "response.function_call_arguments.delta",
            "response.function_call_arguments.delta", "response.function_call_arguments.done",
            "response.output_item.done"]  # fmt: skip
    assert [event["type"] for event in events] == [
        "response.created", "response.in_progress",
        "response.output_item.added", "response.content_part.added", "response.output_text.delta",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", *item, *item, "response.completed",
    ]  # fmt: skip
    assert b": x-scutum-cost=" in raw


async def test_a_stream(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI, place: tuple[str, str]
) -> None:
    kind, model = place
    says(upstream, kind, "hello you", ("weather", {"city": "Bern"}), streams=True)
    async with chat_client.responses.stream(model=model, input="hello", tools=[WEATHER]) as stream:
        pieces = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        said = await stream.get_final_response()
    assert "".join(pieces) == said.output_text == "hello you"
    call = said.output[1]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "weather", {"city": "Bern"})
    record = await record_for(proxy, model)
    assert record["tokens_in"] == said.usage.input_tokens == (30 if kind == "openai" else 33)


async def test_tools_and_their_results(
    upstream: Upstream, chat_client: openai.AsyncOpenAI, place: tuple[str, str]
) -> None:
    kind, model = place
    says(upstream, kind, None, ("weather", {"city": "Bern"}), ("weather", {"city": "Chur"}), streams=False)
    asked: list[Any] = [{"role": "user", "content": "hello"}]
    said = await chat_client.responses.create(
        model=model, input=asked, tools=[WEATHER], tool_choice={"type": "function", "name": "weather"}
    )
    calls = [item for item in said.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Bern", "Chur"]
    asked += [item.model_dump(exclude_none=True) for item in said.output]
    asked += [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"} for call in calls]
    says(upstream, kind, "It rains.", streams=False)
    said = await chat_client.responses.create(model=model, input=asked, tools=[WEATHER])
    assert said.output_text == "It rains."
    first, second = (request.json for request in upstream.requests)
    if kind == "openai":
        assert first["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
        assert [message["role"] for message in second["messages"]] == ["user", "assistant", "tool", "tool"]
        assert [call["id"] for call in second["messages"][1]["tool_calls"]] == ["call_1", "call_2"]
    else:
        assert first["tool_choice"] == {"type": "tool", "name": "weather"}
        assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
        assert [block["tool_use_id"] for block in second["messages"][2]["content"]] == ["toolu_1", "toolu_2"]


async def test_images(upstream: Upstream, chat_client: openai.AsyncOpenAI, place: tuple[str, str]) -> None:
    kind, model = place
    says(upstream, kind, "a cat", streams=False)
    url = "data:image/png;base64,aGk="
    parts = [{"type": "input_text", "text": "what?"}, {"type": "input_image", "image_url": url, "detail": "auto"}]
    await chat_client.responses.create(model=model, input=[{"role": "user", "content": parts}])
    shown = upstream.requests[0].json["messages"][0]["content"][1]
    if kind == "openai":
        assert shown == {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}
    else:
        assert shown["source"] == {"type": "base64", "media_type": "image/png", "data": "aGk="}


@pytest.mark.parametrize("streams", [False, True])
async def test_structured_output(
    upstream: Upstream, chat_client: openai.AsyncOpenAI, place: tuple[str, str], streams: bool
) -> None:
    kind, model = place
    if kind == "openai":
        says(upstream, kind, '{"city":"Bern"}', streams=streams)
    else:
        says(upstream, kind, None, ("json_answer", {"city": "Bern"}), streams=streams)
    text = {"format": {"type": "json_schema", "name": "city", "schema": CITY, "strict": True}}
    if streams:
        async with chat_client.responses.stream(model=model, input="where?", text=text) as stream:
            said = await stream.get_final_response()
    else:
        said = await chat_client.responses.create(model=model, input="where?", text=text)
    assert json.loads(said.output_text) == {"city": "Bern"}
    asked = upstream.requests[0].json
    if kind == "openai":
        assert asked["response_format"] == {
            "type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True},
        }  # fmt: skip
    else:
        assert asked["tools"][0]["input_schema"] == CITY


async def test_a_cut_answer_is_incomplete(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI
) -> None:
    model = await provide(proxy, upstream.base_url)
    upstream.says(answer(chat_wire.completion("hel", finish="length")))
    said = await chat_client.responses.create(model=model, input="hello")
    assert (said.status, said.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    upstream.says(*chat_wire.streamed(chat_wire.completion("hel", finish="length")))
    stream = await chat_client.responses.create(model=model, input="hello", stream=True)
    assert [event.type async for event in stream][-1] == "response.incomplete"


async def test_a_refusal_of_the_model(proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI) -> None:
    model = await provide(proxy, upstream.base_url)
    upstream.says(*chat_wire.streamed(chat_wire.completion(refusal="I will not.")))
    async with chat_client.responses.stream(model=model, input="hello") as stream:
        said = await stream.get_final_response()
    assert said.output[0].content[0].refusal == "I will not."


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input[0].content[0]"),
        ({"input": 7}, "input"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format"),
        ({"include": 7}, None),
    ],
)
async def test_what_must_not_be_lost_is_refused(
    proxy: Proxy, upstream: Upstream, place: tuple[str, str], fields: dict[str, Any], param: str | None
) -> None:
    status, _, told = await ask(proxy, place[1], **fields)
    assert (status, error(told)["param"]) == (400, param)
    assert upstream.requests == []


async def test_what_cannot_be_said_is_listed(proxy: Proxy, upstream: Upstream, place: tuple[str, str]) -> None:
    kind, model = place
    says(upstream, kind, "hi", streams=False)
    given = [
        {"type": "reasoning", "id": "rs_1", "summary": []}, {"type": "item_reference", "id": "rs_2"},
        {"role": "user", "content": "hello"},
    ]  # fmt: skip
    status, headers, _ = await ask(
        proxy, model, input=given, store=True, truncation="auto", text={"verbosity": "low"}, reasoning={"effort": "low"},
        include=["file_search_call.results", "bad\r\nname"],
    )  # fmt: skip
    assert status == 200
    dropped = "store, truncation, input.reasoning, include:file_search_call.results, include:bad%0D%0Aname, text.verbosity"
    assert headers["x-scutum-dropped"] == dropped
    asked = upstream.requests[0].json
    assert asked.get("reasoning_effort", asked.get("output_config", {}).get("effort")) == "low"


async def test_a_refusal_of_the_provider(
    upstream: Upstream, chat_client: openai.AsyncOpenAI, place: tuple[str, str]
) -> None:
    upstream.says(answer({"error": {"message": "slow down", "type": "rate_limit_error"}}, 429))
    with pytest.raises(openai.RateLimitError, match="slow down"):
        await chat_client.responses.create(model=place[1], input="hello")


async def test_a_stream_that_dies(
    proxy: Proxy, upstream: Upstream, chat_client: openai.AsyncOpenAI, place: tuple[str, str]
) -> None:
    kind, model = place
    if kind == "openai":
        begun = chat_wire.chunks(chat_wire.completion("hello you"))[:2]
    else:
        begun = anthropic_wire.events(anthropic_wire.message(anthropic_wire.text("hello you")))[:4]
    upstream.says(STREAM_HEAD, *(chunk(each) for each in begun), close=True)
    stream = await chat_client.responses.create(model=model, input="hello", stream=True)
    events = await until_it_breaks(stream)
    assert events[-1].type == "error"
    assert "response.completed" not in [event.type for event in events]
    record = await record_for(proxy, model)
    assert (record["error_kind"], record["usage_source"]) == ("upstream_disconnected", "estimated")


async def test_the_simulator_speaks_it_too(chat_client: openai.AsyncOpenAI) -> None:
    likely = await chat_client.responses.create(model="sim", input="hello", top_logprobs=2)
    assert likely.output[0].content[0].logprobs[0].top_logprobs
    said = await chat_client.responses.create(model="sim", input="hello")
    assert said.output_text
    async with chat_client.responses.stream(model="sim", input="hello") as stream:
        assert (await stream.get_final_response()).output_text == said.output_text
