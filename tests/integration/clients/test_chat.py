"""Chat clients before every wire: the official OpenAI client, unchanged."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from tests.fixtures.openai_schema import validate
from tests.fixtures.vendors.world import World
from tests.integration.clients.asked import BOTH, CHAT_TOOLS, PNG, Person

EVERYWHERE = ["chat", "gpt-5", "open-weights", "claude", "claude-newest", "claude-old", "sim"]
HELLO: list[Any] = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Say exactly: alpha beta"}]


def official(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what other servers of this wire add to it."""
    for choice in answer["choices"]:
        choice.pop("stop_reason", None)
        choice.get("message", choice.get("delta")).pop("reasoning_content", None)
    return answer


@pytest.mark.parametrize("model", EVERYWHERE)
def test_whole_and_streamed(world: World, chat: openai.OpenAI, model: str) -> None:
    raw = chat.chat.completions.with_raw_response.create(model=model, messages=HELLO, max_completion_tokens=2000, user="ann")
    validate(official(json.loads(raw.text)), "CreateChatCompletionResponse")
    whole = raw.parse()
    chunks = list(
        chat.chat.completions.create(
            model=model, messages=HELLO, max_completion_tokens=2000, user="ann", stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens > 0
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop" == whole.choices[0].finish_reason
    assert world.proxy.record(raw.headers["x-request-id"])["usage_source"] == "reported"


@pytest.mark.parametrize("model", EVERYWHERE)
def test_chunks_are_what_openai_promises(world: World, model: str) -> None:
    _, _, body = world.proxy.chat(model, stream=True, key=world.proxy.master_key)
    events = [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    for event in events[:-1]:
        validate(official(json.loads(event)), "CreateChatCompletionStreamResponse")


def run(calls: Any) -> list[dict[str, Any]]:
    return [{"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name} done"} for call in calls]


@pytest.mark.parametrize("model", EVERYWHERE)
def test_parallel_tools_and_their_results(chat: openai.OpenAI, model: str) -> None:
    asked: list[Any] = [{"role": "user", "content": BOTH}]
    first = chat.chat.completions.create(model=model, messages=asked, tools=CHAT_TOOLS, temperature=1)
    said = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in said.tool_calls] == ["get_weather", "get_clock"]
    asked += [said, *run(said.tool_calls)]
    with chat.chat.completions.stream(model=model, messages=asked, tools=CHAT_TOOLS) as stream:
        for _ in stream:
            pass
        last = stream.get_final_completion().choices[0]
    assert last.message.content
    if model != "sim":
        assert "get_weather done; get_clock done" in last.message.content


@pytest.mark.parametrize("model", EVERYWHERE)
def test_streamed_tools(chat: openai.OpenAI, model: str) -> None:
    question: list[Any] = [{"role": "user", "content": BOTH}]
    with chat.chat.completions.stream(model=model, messages=question, tools=CHAT_TOOLS, tool_choice="required") as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        said = stream.get_final_completion().choices[0].message
    assert [event.name for event in done] == ["get_weather", "get_clock"]
    assert [call.function.parsed_arguments.keys() for call in said.tool_calls if call.function.parsed_arguments] == [{"city"}]


@pytest.mark.parametrize("model", EVERYWHERE)
def test_one_call_at_a_time_and_a_named_one(chat: openai.OpenAI, model: str) -> None:
    question: list[Any] = [{"role": "user", "content": BOTH}]
    said = chat.chat.completions.create(
        model=model, messages=question, tools=CHAT_TOOLS, tool_choice="required", parallel_tool_calls=False
    ).choices[0].message  # fmt: skip
    assert len(said.tool_calls) == 1
    named: Any = {"type": "function", "function": {"name": "get_clock"}}
    said = chat.chat.completions.create(model=model, messages=question, tools=CHAT_TOOLS, tool_choice=named).choices[0].message
    assert [call.function.name for call in said.tool_calls] == ["get_clock"]


@pytest.mark.parametrize("model", EVERYWHERE)
def test_structured_output(chat: openai.OpenAI, model: str) -> None:
    question: list[Any] = [{"role": "user", "content": "Invent a person."}]
    said = chat.chat.completions.parse(model=model, messages=question, response_format=Person).choices[0].message
    assert isinstance(said.parsed, Person)
    with chat.chat.completions.stream(model=model, messages=question, response_format=Person) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.parsed == said.parsed
    said = chat.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Answer in JSON."}], response_format={"type": "json_object"}
    ).choices[0].message  # fmt: skip
    assert isinstance(json.loads(said.content), dict)


@pytest.mark.parametrize("model", EVERYWHERE)
def test_images(chat: openai.OpenAI, model: str) -> None:
    parts: list[Any] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
    ]
    said = chat.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}]).choices[0].message
    assert said.content == "I see 2 image(s)." or model == "sim"


@pytest.mark.parametrize("model", ["chat", "sim"])
def test_logprobs(chat: openai.OpenAI, model: str) -> None:
    asked: dict[str, Any] = {"model": model, "messages": HELLO, "logprobs": True, "top_logprobs": 3}
    whole = chat.chat.completions.create(**asked).choices[0].logprobs.content
    streamed = [c.choices[0].logprobs for c in chat.chat.completions.create(**asked, stream=True) if c.choices]
    streamed = [entry for each in streamed if each for entry in each.content]
    assert [entry.token for entry in streamed] == [entry.token for entry in whole]
    assert all(len(entry.top_logprobs) == 3 for entry in whole)


def test_what_anthropic_has_not_is_refused(chat: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat.chat.completions.create(model="claude", messages=HELLO, logprobs=True)
    assert caught.value.code == "unsupported_by_provider"


@pytest.mark.parametrize("model", ["chat", "claude", "claude-newest", "claude-old", "open-weights"])
def test_sampling_that_a_model_refuses_is_left_out_and_told(chat: openai.OpenAI, model: str) -> None:
    raw = chat.chat.completions.with_raw_response.create(model=model, messages=HELLO, temperature=0.2, top_p=0.9)
    dropped = {"claude": "top_p", "claude-newest": "temperature, top_p"}.get(model)
    assert raw.headers.get("x-scutum-dropped") == dropped
    assert raw.parse().choices[0].message.content == "alpha beta"


@pytest.mark.parametrize("model", ["gpt-5", "open-weights", "claude", "claude-newest", "claude-old"])
@pytest.mark.parametrize("effort", ["low", "high"])
def test_reasoning(chat: openai.OpenAI, model: str, effort: str) -> None:
    said = chat.chat.completions.create(model=model, messages=HELLO, reasoning_effort=effort)
    thinks = model != "claude-old"
    assert (said.usage.completion_tokens_details.reasoning_tokens > 0) is thinks
    told = getattr(said.choices[0].message, "reasoning_content", None)
    assert bool(told) is (thinks and model != "gpt-5"), "OpenAI's own models do not tell what they think"


@pytest.mark.parametrize("model", ["claude", "claude-newest"])
def test_thoughts_go_back_before_the_results(chat: openai.OpenAI, model: str) -> None:
    """A client that sends back what it got keeps the model's thoughts; one that does not loses them, and nothing else."""
    asked: list[Any] = [{"role": "user", "content": BOTH}]
    fields: dict[str, Any] = {"model": model, "tools": CHAT_TOOLS, "reasoning_effort": "low"}
    for streams in (False, True):
        if streams:
            with chat.chat.completions.stream(messages=asked, **fields) as stream:
                for _ in stream:
                    pass
                said: Any = stream.get_final_completion().choices[0].message
            blocks = said.thinking_blocks
        else:
            said = chat.chat.completions.create(messages=asked, **fields).choices[0].message
            blocks = said.thinking_blocks
        assert blocks[0]["signature"]
        kept = said.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})
        for call in kept["tool_calls"]:
            call["function"].pop("parsed_arguments", None)
        for sent, thinks in ((kept | {"thinking_blocks": blocks}, True), (kept, model == "claude-newest")):
            last = chat.chat.completions.create(messages=[*asked, sent, *run(said.tool_calls)], **fields)
            assert (last.usage.completion_tokens_details.reasoning_tokens > 0) is thinks


@pytest.mark.parametrize("model", ["chat", "sim-embedding"])
@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_embeddings(world: World, chat: openai.OpenAI, model: str, encoding: Any) -> None:
    fields = {} if encoding is None else {"encoding_format": encoding}
    raw = chat.embeddings.with_raw_response.create(model=model, input=["a", "b"], **fields)
    answer = raw.parse()
    assert len(answer.data) == 2
    if encoding == "float":
        validate(json.loads(raw.text), "CreateEmbeddingResponse")
    if encoding != "base64":
        assert len(answer.data[0].embedding) == len(chat.embeddings.create(model=model, input="a").data[0].embedding)
    assert world.proxy.record(raw.headers["x-request-id"])["tokens_in"] == answer.usage.prompt_tokens
