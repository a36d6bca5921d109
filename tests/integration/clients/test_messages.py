"""Messages clients before every wire: the official Anthropic client, unchanged."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from tests.fixtures.vendors.world import World
from tests.integration.clients.asked import BOTH, MESSAGES_TOOLS, PNG, Guest

EVERYWHERE = ["claude", "claude-newest", "claude-old", "chat", "gpt-5", "open-weights", "sim"]
NATIVE = ["claude", "claude-newest", "claude-old"]
SAY: list[Any] = [{"role": "user", "content": "Say exactly: alpha beta"}]


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@pytest.mark.parametrize("model", EVERYWHERE)
def test_whole_and_streamed(world: World, claude: anthropic.Anthropic, model: str) -> None:
    asked: dict[str, Any] = {"model": model, "messages": SAY, "max_tokens": 2000, "system": "Be kind."}
    raw = claude.messages.with_raw_response.create(**asked)
    whole = raw.parse()
    assert (whole.stop_reason, whole.role, whole.type) == ("end_turn", "assistant", "message")
    with claude.messages.stream(**asked) as stream:
        told = "".join(stream.text_stream)
        last = stream.get_final_message()
    assert told == text_of(last) == text_of(whole)
    assert last.stop_reason == "end_turn"
    assert last.usage.output_tokens == whole.usage.output_tokens > 0
    assert last.usage.input_tokens == whole.usage.input_tokens
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    assert world.proxy.record(raw.headers["request-id"])["tokens_out"] == whole.usage.output_tokens


@pytest.mark.parametrize("model", EVERYWHERE)
def test_parallel_tools_and_their_results(claude: anthropic.Anthropic, model: str) -> None:
    asked: list[Any] = [{"role": "user", "content": BOTH}]
    fields: dict[str, Any] = {"model": model, "max_tokens": 2000, "tools": MESSAGES_TOOLS}
    for streams in (False, True):
        if streams:
            with claude.messages.stream(messages=asked, **fields) as stream:
                said = stream.get_final_message()
        else:
            said = claude.messages.create(messages=asked, **fields)
        calls = [block for block in said.content if block.type == "tool_use"]
        assert (said.stop_reason, [call.name for call in calls]) == ("tool_use", ["get_weather", "get_clock"])
        assert isinstance(calls[0].input["city"], str)
        results: list[Any] = [
            {"type": "tool_result", "tool_use_id": calls[0].id, "content": f"{calls[0].name} done"},
            {"type": "tool_result", "tool_use_id": calls[1].id, "content": [{"type": "text", "text": f"{calls[1].name} done"}]},
        ]
        turns = [*asked, {"role": "assistant", "content": said.content}, {"role": "user", "content": results}]
        last = claude.messages.create(messages=turns, **fields)
        assert last.stop_reason == "end_turn"
        assert text_of(last) == "The tools say: get_weather done; get_clock done" or model == "sim"


@pytest.mark.parametrize("model", EVERYWHERE)
def test_tool_choices(claude: anthropic.Anthropic, model: str) -> None:
    for choice, names in (
        ({"type": "any", "disable_parallel_tool_use": True}, ["get_weather"]),
        ({"type": "tool", "name": "get_clock"}, ["get_clock"]),
        ({"type": "none"}, []),
    ):
        said = claude.messages.create(
            model=model, max_tokens=2000, messages=[{"role": "user", "content": BOTH}], tools=MESSAGES_TOOLS, tool_choice=choice
        )
        assert [block.name for block in said.content if block.type == "tool_use"] == names


@pytest.mark.parametrize("model", EVERYWHERE)
def test_images_and_blocks(claude: anthropic.Anthropic, model: str) -> None:
    content: list[Any] = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}},
        {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
    ]
    system: list[Any] = [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be brief."}]
    said = claude.messages.create(model=model, max_tokens=2000, messages=[{"role": "user", "content": content}], system=system)
    assert text_of(said) == "I see 2 image(s)." or model == "sim"


@pytest.mark.parametrize("model", [*NATIVE, "open-weights"])
def test_stop_sequences(claude: anthropic.Anthropic, model: str) -> None:
    said = claude.messages.create(model=model, max_tokens=2000, messages=SAY, stop_sequences=["beta"])
    assert text_of(said).strip() == "alpha"
    assert (said.stop_reason, said.stop_sequence) == ("stop_sequence", "beta")
    with claude.messages.stream(model=model, max_tokens=2000, messages=SAY, stop_sequences=["beta"]) as stream:
        assert stream.get_final_message().stop_sequence == "beta"
    said = claude.messages.create(model=model, max_tokens=1, messages=SAY)
    assert said.stop_reason == "max_tokens"


THINKING = {
    "claude": {"type": "enabled", "budget_tokens": 1024},
    "claude-newest": {"type": "adaptive"},
    "gpt-5": {"type": "enabled", "budget_tokens": 4000},
    "open-weights": {"type": "enabled", "budget_tokens": 1024},
}


@pytest.mark.parametrize("model", THINKING)
def test_thinking_and_tools(claude: anthropic.Anthropic, model: str) -> None:
    asked: list[Any] = [{"role": "user", "content": BOTH}]
    fields: dict[str, Any] = {"model": model, "max_tokens": 5000, "tools": MESSAGES_TOOLS, "thinking": THINKING[model]}
    for streams in (False, True):
        if streams:
            with claude.messages.stream(messages=asked, **fields) as stream:
                said = stream.get_final_message()
        else:
            said = claude.messages.create(messages=asked, **fields)
        kinds = [block.type for block in said.content]
        assert kinds == [*([] if model == "gpt-5" else ["thinking"]), "tool_use", "tool_use"]
        results: list[Any] = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "done"} for block in said.content if block.type == "tool_use"
        ]
        turns = [*asked, {"role": "assistant", "content": said.content}, {"role": "user", "content": results}]
        assert text_of(claude.messages.create(messages=turns, **fields)) == "The tools say: done; done"


def test_thinking_is_an_effort_at_openai(world: World, claude: anthropic.Anthropic) -> None:
    claude.messages.create(model="gpt-5", max_tokens=5000, messages=SAY, thinking={"type": "enabled", "budget_tokens": 4000})
    assert world.vendors["gpt-5"].last.body["reasoning_effort"] == "medium"


def test_cache_control(world: World, claude: anthropic.Anthropic) -> None:
    system: list[Any] = [{"type": "text", "text": "Rules. " * 800, "cache_control": {"type": "ephemeral"}}]
    fields: dict[str, Any] = {"model": "claude", "max_tokens": 200, "messages": SAY, "system": system}
    first, second = claude.messages.create(**fields).usage, claude.messages.create(**fields).usage
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 1000
    with claude.messages.stream(**fields) as stream:
        assert stream.get_final_message().usage.cache_read_input_tokens == second.cache_read_input_tokens
    raw = claude.messages.with_raw_response.create(**fields | {"model": "chat"})
    assert raw.headers["x-scutum-dropped"] == "cache_control"


@pytest.mark.parametrize("model", EVERYWHERE)
def test_tokens_are_counted(claude: anthropic.Anthropic, model: str) -> None:
    raw = claude.messages.with_raw_response.count_tokens(model=model, messages=SAY, system="Be kind.")
    assert raw.parse().input_tokens > 0
    assert raw.headers.get("x-scutum-estimated") == (None if model in NATIVE else "true")


@pytest.mark.parametrize("model", ["claude", "claude-newest", "chat", "gpt-5", "open-weights", "sim"])
def test_structured_output(claude: anthropic.Anthropic, model: str) -> None:
    said = claude.messages.parse(
        model=model, max_tokens=2000, messages=[{"role": "user", "content": "Invent a guest."}], output_format=Guest
    )
    assert isinstance(said.parsed_output, Guest)


@pytest.mark.refused
@pytest.mark.parametrize("model", ["claude", "chat"])
def test_a_refusal_keeps_the_vendors_words(claude: anthropic.Anthropic, model: str) -> None:
    tools: list[Any] = [{"name": "has blanks", "input_schema": {"type": "object", "properties": {}}}]
    with pytest.raises(anthropic.BadRequestError, match="name") as caught:
        claude.messages.create(model=model, max_tokens=20, messages=SAY, tools=tools)
    assert caught.value.type == "invalid_request_error"
