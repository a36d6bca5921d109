"""The simulated provider, read with the official client's own models."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.fixtures.openai_schema import check, openai_schemas
from scutum_server.upstream import sim_content, simulator
from scutum_server.upstream.errors import UpstreamDisconnected, UpstreamRefused, UpstreamTimeout
from scutum_server.upstream.options import SimOptions
from scutum_server.upstream.simulator import Simulator

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "minLength": 20},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
                "unit": {"enum": ["c", "f"]},
            },
            "required": ["city", "days"],
        },
    },
}
DICE = {"type": "function", "function": {"name": "dice"}}


def ask(content: Any = "What is a gateway?", **fields: Any) -> dict[str, Any]:
    return {"model": "sim", "messages": [{"role": "user", "content": content}]} | fields


async def whole(body: dict[str, Any], **options: Any) -> ChatCompletion:
    reply = await Simulator(SimOptions(**options)).chat(body, stream=False)
    assert reply.status == 200
    return ChatCompletion.model_validate_json(reply.body, strict=True, extra="forbid")


async def streamed(body: dict[str, Any], **options: Any) -> list[ChatCompletionChunk]:
    reply = await Simulator(SimOptions(**options)).chat(body, stream=True)
    assert reply.status == 200
    assert isinstance(reply.body, AsyncIterator)
    events = [event async for event in reply.body]
    assert all(event.startswith(b"data: ") and event.endswith(b"\n\n") for event in events)
    assert events[-1] == b"data: [DONE]\n\n"
    return [ChatCompletionChunk.model_validate_json(event[6:], strict=True, extra="forbid") for event in events[:-1]]


async def failure(body: dict[str, Any], **options: Any) -> tuple[int, dict[str, Any]]:
    reply = await Simulator(SimOptions(**options)).chat(body, stream=False)
    return reply.status, json.loads(reply.body)["error"]


async def test_an_answer_says_that_it_is_simulated_and_quotes_the_question() -> None:
    answer = await whole(ask())
    (choice,) = answer.choices
    assert choice.message.content.startswith("Simulated answer from Scutum's sim provider: ")
    assert "What is a gateway?" in choice.message.content
    assert choice.finish_reason == "stop"
    assert answer.usage.completion_tokens == 32 == math.ceil(len(choice.message.content.encode()) / 4)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 32


async def test_equal_requests_get_equal_answers_and_other_seeds_or_questions_others() -> None:
    first = (await whole(ask())).choices
    assert first == (await whole(ask())).choices
    assert first != (await whole(ask(), seed=1)).choices
    assert first != (await whole(ask("Another question?"))).choices


@pytest.mark.parametrize("content", ["", "Grüße, 世界 🌍!", [{"type": "text", "text": "in parts"}], None])
async def test_a_stream_says_what_the_whole_answer_says(content: Any) -> None:
    body = ask(content, n=3, stream_options={"include_usage": True}, logprobs=True, top_logprobs=2)
    answer, chunks = await whole(body), await streamed(body)
    for choice in answer.choices:
        mine = [part for chunk in chunks for part in chunk.choices if part.index == choice.index]
        assert mine[0].delta.role == "assistant"
        assert "".join(part.delta.content or "" for part in mine) == choice.message.content
        assert [part.finish_reason for part in mine if part.finish_reason] == [choice.finish_reason]
        tokens = [token for part in mine if part.logprobs for token in part.logprobs.content]
        assert tokens == choice.logprobs.content
    assert chunks[-1].choices == []
    assert chunks[-1].usage == answer.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({choice.message.content for choice in answer.choices}) > 1 or content in ("", None)


async def test_usage_comes_on_a_stream_only_when_asked_for() -> None:
    assert all(chunk.usage is None and chunk.choices for chunk in await streamed(ask()))


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_ends_the_answer(name: str) -> None:
    answer = await whole(ask(**{name: 5}))
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 5
    assert (await whole(ask(**{name: 5000}))).choices[0].finish_reason == "stop"


async def test_a_stop_sequence_ends_the_answer_before_it() -> None:
    answer = await whole(ask(stop=["never said", " from"]))
    assert answer.choices[0].message.content == "Simulated answer"
    assert (await whole(ask(stop="Simulated"))).choices[0].message.content == ""


async def test_a_tool_that_the_user_names_is_called_with_arguments_of_its_schema() -> None:
    body = ask("Ask weather, please.", tools=[WEATHER, DICE])
    answer = await whole(body)
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    (call,) = choice.message.tool_calls
    arguments = json.loads(call.function.arguments)
    assert call.function.name == "weather"
    assert len(arguments["city"]) >= 20
    assert 1 <= arguments["days"] <= 7
    assert arguments["unit"] in ("c", "f")
    parts = [call for chunk in await streamed(body) for call in chunk.choices[0].delta.tool_calls or ()]
    assert (parts[0].id, parts[0].function.name) == (call.id, "weather")
    assert "".join(part.function.arguments for part in parts) == call.function.arguments


@pytest.mark.parametrize(
    ("fields", "options", "called"),
    [
        ({}, {}, []),
        ({"tool_choice": "required"}, {}, ["weather"]),
        ({"tool_choice": {"type": "function", "function": {"name": "dice"}}}, {}, ["dice"]),
        ({"tool_choice": "none"}, {"shape": "tools"}, []),
        ({}, {"shape": "tools"}, ["weather", "dice"]),
        ({"parallel_tool_calls": False}, {"shape": "tools"}, ["weather"]),
    ],
)
async def test_which_tools_are_called(fields: dict[str, Any], options: dict[str, Any], called: list[str]) -> None:
    answer = await whole(ask("Hello", tools=[WEATHER, DICE], **fields), **options)
    assert [call.function.name for call in answer.choices[0].message.tool_calls or ()] == called


async def test_after_a_tool_s_result_it_speaks() -> None:
    body = ask(tools=[WEATHER])
    body["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "x", "content": "22"},
    ]
    assert (await whole(body, shape="tools")).choices[0].message.content


async def test_json_is_answered_when_json_is_asked_for() -> None:
    plain = await whole(ask(response_format={"type": "json_object"}))
    assert json.loads(plain.choices[0].message.content)["simulated"] is True
    schema = {
        "$defs": {"node": {"type": "object", "properties": {
            "name": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["name", "next"]}},
        "$ref": "#/$defs/node",
    }  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "node", "schema": schema}}
    node = json.loads((await whole(ask(response_format=form))).choices[0].message.content)
    depth = 0
    while node is not None:
        assert isinstance(node["name"], str)
        node, depth = node["next"], depth + 1
    assert depth > 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"), ({"messages": "hello"}, "messages"), ({"messages": [{}]}, "messages[0]|role"),
        ({"n": 0}, "n"), ({"n": 1000}, "n"), ({"max_tokens": 0}, "max_tokens"), ({"stop": ["a"] * 5}, "stop"),
        ({"tools": [{"type": "function", "function": {}}]}, "name|tools"), ({"model": 3}, "model"),
        ({"top_logprobs": 21}, "top_logprobs"), ({"response_format": {"type": "xml"}}, "response_format"),
    ],
)  # fmt: skip
async def test_a_wrong_request_is_refused_as_the_real_one_refuses_it(fields: dict[str, Any], param: str) -> None:
    status, error = await failure(ask() | fields)
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "invalid_request")
    assert any(name in error["param"] for name in param.split("|"))


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("rate_limit", 429, "rate_limit_exceeded"), ("server_error", 500, "server_error"), ("overloaded", 503, "overloaded")],
)
async def test_failures_with_a_status(kind: str, status: int, code: str) -> None:
    found, error = await failure(ask(), error_rate=1.0, error_kind=kind)
    assert (found, error["code"]) == (status, code)
    reply = await Simulator(SimOptions(error_rate=1.0, error_kind=kind)).embeddings({"model": "e", "input": "x"})
    assert reply.status == status


async def test_failures_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "HANG_SECONDS", 0.0)
    for kind, raised in (
        ("refused", UpstreamRefused), ("timeout", UpstreamTimeout), ("truncated", UpstreamDisconnected)
    ):  # fmt: skip
        with pytest.raises(raised, match="Simulated"):
            await Simulator(SimOptions(error_rate=1.0, error_kind=kind)).chat(ask(), stream=False)


async def test_a_stream_breaks_off_or_turns_to_garbage() -> None:
    broken = await Simulator(SimOptions(error_rate=1.0, error_kind="truncated")).chat(ask(), stream=True)
    seen = []
    with pytest.raises(UpstreamDisconnected):
        async for event in broken.body:
            seen.append(ChatCompletionChunk.model_validate_json(event[6:]))
    assert 10 < len(seen) < 30
    garbage = await Simulator(SimOptions(error_rate=1.0, error_kind="garbage")).chat(ask(), stream=True)
    (event,) = [event async for event in garbage.body]
    with pytest.raises(ValueError):
        json.loads(event[6:])
    reply = await Simulator(SimOptions(error_rate=1.0, error_kind="garbage")).chat(ask(), stream=False)
    with pytest.raises(ValueError):
        json.loads(reply.body)


async def test_the_error_rate_is_met_and_repeatable() -> None:
    async def run() -> list[int]:
        sim = Simulator(SimOptions(error_rate=0.3, seed=4))
        return [(await sim.chat(ask(), stream=False)).status for _ in range(1000)]

    first = await run()
    assert 250 < first.count(500) < 350
    assert first == await run()


async def test_a_provider_whose_answer_changed_its_shape() -> None:
    reply = await Simulator(SimOptions(shape="changed")).chat(ask(), stream=False)
    assert reply.status == 200
    assert "choices" not in json.loads(reply.body)
    stream = await Simulator(SimOptions(shape="changed")).chat(ask(), stream=True)
    events = [event async for event in stream.body]
    assert all("choices" not in json.loads(event[6:]) for event in events[:-1])


async def embed(**body: Any) -> CreateEmbeddingResponse:
    reply = await Simulator(SimOptions()).embeddings({"model": "sim-embedding"} | body)
    assert reply.status == 200
    return CreateEmbeddingResponse.model_validate_json(reply.body)


async def test_embeddings_are_repeatable_unit_vectors_in_both_encodings() -> None:
    answer = await embed(input=["one text", "another", "one text"], dimensions=64)
    first, other, again = (item.embedding for item in answer.data)
    assert [len(vector) for vector in (first, other, again)] == [64, 64, 64]
    assert first == again != other
    assert math.isclose(sum(part * part for part in first), 1.0, rel_tol=1e-9)
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert answer.usage.prompt_tokens == 2 + 2 + 2
    reply = await Simulator(SimOptions()).embeddings(
        {"model": "e", "input": "one text", "dimensions": 64, "encoding_format": "base64"}
    )
    packed = base64.b64decode(json.loads(reply.body)["data"][0]["embedding"])
    assert struct.unpack("<64f", packed) == pytest.approx(first, abs=1e-6)


async def test_texts_that_share_words_are_near() -> None:
    answer = await embed(input=["the cat sat on the mat", "the cat sat on a mat", "prices of nickel fell"])
    same, near, far = (item.embedding for item in answer.data)
    assert sum(map(float.__mul__, same, near)) > 0.7 > 0.3 > sum(map(float.__mul__, same, far))


@pytest.mark.parametrize("given_input", [[1, 2, 3], [[1, 2, 3]]])
async def test_embeddings_of_token_numbers(given_input: Any) -> None:
    assert len((await embed(input=given_input)).data) == 1


@pytest.mark.parametrize(
    "body", [{}, {"input": ""}, {"input": []}, {"input": [""]}, {"input": [[]]}, {"input": [None]}, {"input": ["a"] * 2049},
             {"input": "x", "dimensions": 0}, {"input": "x", "encoding_format": "hex"}, {"input": {"a": 1}}]
)  # fmt: skip
async def test_wrong_embeddings_requests(body: dict[str, Any]) -> None:
    reply = await Simulator(SimOptions()).embeddings({"model": "e"} | body)
    assert reply.status == 400
    assert json.loads(reply.body)["error"]["param"]


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_text_is_cut_into_whole_characters_of_four_bytes_at_most_counted(text: str) -> None:
    pieces = sim_content.split_tokens(text)
    assert "".join(pieces) == text
    assert len(pieces) == sim_content.count_tokens(text)
    assert all(pieces)


async def test_answers_have_what_openai_s_own_document_requires() -> None:
    """Required properties and no unknown ones, by the published schemas, which are not part of this repository."""
    schemas = openai_schemas()
    body = ask("weather", tools=[WEATHER], n=2, logprobs=True, stream_options={"include_usage": True})
    for asked in (body, ask(logprobs=True)):
        answer = (await Simulator(SimOptions()).chat(asked, stream=False)).body
        check(json.loads(answer), schemas["CreateChatCompletionResponse"], schemas, "answer")
        stream = await Simulator(SimOptions()).chat(asked, stream=True)
        for event in [event async for event in stream.body][:-1]:
            check(json.loads(event[6:]), schemas["CreateChatCompletionStreamResponse"], schemas, "chunk")
    vectors = (await Simulator(SimOptions()).embeddings({"model": "e", "input": "x"})).body
    check(json.loads(vectors), schemas["CreateEmbeddingResponse"], schemas, "embeddings")
