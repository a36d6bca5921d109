"""Responses clients before every wire: the official OpenAI client, unchanged."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from tests.fixtures.openai_schema import validate
from tests.fixtures.servers import wait_until
from tests.fixtures.vendors.world import World
from tests.integration.clients.asked import BOTH, PNG, RESPONSES_TOOLS, Person

EVERYWHERE = ["responses", "chat", "gpt-5", "open-weights", "claude", "claude-newest", "claude-old", "sim"]
SAY = "Say exactly: alpha beta"


@pytest.mark.parametrize("model", EVERYWHERE)
def test_whole_and_streamed(world: World, chat: openai.OpenAI, model: str) -> None:
    asked: dict[str, Any] = {"model": model, "input": SAY, "instructions": "Be kind.", "max_output_tokens": 2000}
    raw = chat.responses.with_raw_response.create(**asked)
    validate(json.loads(raw.text), "Response")
    whole = raw.parse()
    assert whole.status == "completed"
    events = list(chat.responses.create(**asked, stream=True))
    assert "".join(each.delta for each in events if each.type == "response.output_text.delta") == whole.output_text
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.output_tokens == whole.usage.output_tokens > 0
    assert [each.sequence_number for each in events] == list(range(len(events)))
    assert world.proxy.record(raw.headers["x-request-id"])["tokens_out"] == whole.usage.output_tokens


@pytest.mark.parametrize("model", EVERYWHERE)
def test_events_are_what_openai_promises(world: World, model: str) -> None:
    body = {"model": model, "input": BOTH, "tools": RESPONSES_TOOLS, "stream": True}
    _, _, raw = world.proxy.request("POST", "/v1/responses", body, key=world.proxy.master_key)
    lines = [line[6:] for line in raw.decode().splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    for line in lines[:-1]:
        validate(json.loads(line), "ResponseStreamEvent")


@pytest.mark.parametrize("model", EVERYWHERE)
def test_parallel_tools_and_their_results(chat: openai.OpenAI, model: str) -> None:
    asked: list[Any] = [{"role": "user", "content": BOTH}]
    for streams in (False, True):
        if streams:
            with chat.responses.stream(model=model, input=asked, tools=RESPONSES_TOOLS) as stream:
                for _ in stream:
                    pass
                said: Any = stream.get_final_response()
        else:
            said = chat.responses.create(model=model, input=asked, tools=RESPONSES_TOOLS)
        calls = [item for item in said.output if item.type == "function_call"]
        assert [call.name for call in calls] == ["get_weather", "get_clock"]
        items = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in said.output]
        items = [item | {"status": "completed"} if item["type"] == "function_call" else item for item in items]
        results = [
            {"type": "function_call_output", "call_id": call.call_id, "output": f"{call.name} done"} for call in calls
        ]
        last = chat.responses.create(model=model, input=[*asked, *items, *results], tools=RESPONSES_TOOLS)
        assert "get_weather done; get_clock done" in last.output_text or model == "sim"


@pytest.mark.parametrize("model", EVERYWHERE)
def test_structured_output(chat: openai.OpenAI, model: str) -> None:
    assert isinstance(chat.responses.parse(model=model, input="Invent a person.", text_format=Person).output_parsed, Person)
    with chat.responses.stream(model=model, input="Invent a person.", text_format=Person) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_response().output_parsed, Person)


@pytest.mark.parametrize("model", EVERYWHERE)
def test_images(chat: openai.OpenAI, model: str) -> None:
    parts: list[Any] = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
    ]
    said = chat.responses.create(model=model, input=[{"role": "user", "content": parts}])
    assert said.output_text == "I see 1 image(s)." or model == "sim"


@pytest.mark.parametrize("model", ["responses", "chat"])
def test_logprobs(chat: openai.OpenAI, model: str) -> None:
    said = chat.responses.create(model=model, input=SAY, top_logprobs=2, include=["message.output_text.logprobs"])
    message: Any = said.output[-1]
    assert "".join(entry.token for entry in message.content[0].logprobs) == "alpha beta"


@pytest.mark.parametrize("model", ["open-weights", "claude", "claude-newest"])
def test_reasoning_is_told_and_goes_back_sealed(chat: openai.OpenAI, model: str) -> None:
    asked: list[Any] = [{"role": "user", "content": BOTH}]
    fields: dict[str, Any] = {
        "model": model, "tools": RESPONSES_TOOLS, "reasoning": {"effort": "low", "summary": "auto"}, "store": False,
        "include": ["reasoning.encrypted_content"],
    }  # fmt: skip
    for streams in (False, True):
        if streams:
            with chat.responses.stream(input=asked, **fields) as stream:
                told = "".join(e.delta for e in stream if e.type == "response.reasoning_summary_text.delta")
                said: Any = stream.get_final_response()
            assert told == said.output[0].summary[0].text
        else:
            said = chat.responses.create(input=asked, **fields)
        thought, *calls = said.output
        assert (thought.type, [call.type for call in calls]) == ("reasoning", ["function_call", "function_call"])
        assert thought.summary[0].text.startswith("The user wants an answer.")
        assert bool(thought.encrypted_content) is (model != "open-weights"), "only Anthropic wants thoughts back"
        items = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in said.output]
        results = [{"type": "function_call_output", "call_id": call.call_id, "output": "done"} for call in calls]
        last = chat.responses.create(input=[*asked, *items, *results], **fields)
        assert last.usage.output_tokens_details.reasoning_tokens > 0
        assert last.output_text == "The tools say: done; done"


def test_a_conversation_goes_on_where_it_is_kept(world: World, chat: openai.OpenAI) -> None:
    first = chat.responses.create(model="responses", input="My name is Ada.")
    theirs = world.vendors["responses"].responses.kept[-1]
    assert first.id.startswith("resp_") and theirs not in first.id
    second = chat.responses.create(model="responses", input="What is my name?", previous_response_id=first.id)
    assert (second.output_text, second.previous_response_id) == ("Ada", first.id)
    assert world.vendors["responses"].last.body["previous_response_id"] == theirs
    events = list(chat.responses.create(
        model="responses", input="What is my name?", previous_response_id=second.id, stream=True
    ))  # fmt: skip
    assert {event.response.previous_response_id for event in events if hasattr(event, "response")} == {second.id}
    (last_id,) = {event.response.id for event in events if hasattr(event, "response")}
    assert events[-1].response.output_text == "Ada"
    third = chat.responses.create(model="responses", input="What is my name?", previous_response_id=last_id)
    assert third.output_text == "Ada"


def foreign(world: World) -> list[Any]:
    """Ways to name a response that is not the caller's."""
    rows = world.proxy.rows
    with rows.transaction() as conn:
        conn.execute("INSERT INTO teams (id, org_id, name) VALUES ('team_b', 'org_default', 'b') ON CONFLICT DO NOTHING")
        rows._changed(conn, "team", "team_b")
    key = rows.key(team="team_b")
    with openai.OpenAI(base_url=f"{world.proxy.url}/v1", api_key=key, max_retries=0) as other:
        wait_until(lambda: world.proxy.request("GET", "/v1/models", key=key)[0] == 200, what="the key")
        made = other.responses.create(model="responses", input="My name is Eve.")
    theirs = world.vendors["responses"].responses.kept[-1]
    changed = made.id[:-1] + ("A" if made.id[-1] != "A" else "B")
    return [made.id, theirs, changed, "resp_1", "x", ""]


def test_another_teams_response_is_unknown(world: World, chat: openai.OpenAI) -> None:
    for name in foreign(world):
        before = len(world.vendors["responses"].requests)
        with pytest.raises(openai.NotFoundError) as caught:
            chat.responses.create(model="responses", input="What is my name?", previous_response_id=name)
        assert caught.value.code == "not_found"
        assert len(world.vendors["responses"].requests) == before


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"responses","input":"x","previous_response_id":"%b","previous_response_id":null}',
        b'{"model":"responses","input":"x","previous\\u005fresponse_id":"%b","previous_response_id":null}',
    ],
)
def test_a_second_key_smuggles_no_foreign_id(world: World, body: bytes) -> None:
    _, theirs, *_ = foreign(world)
    status, _, _ = world.proxy.request("POST", "/v1/responses", body % theirs.encode(), key=world.proxy.master_key)
    assert status == 200
    assert world.vendors["responses"].last.body.get("previous_response_id") is None


def test_a_conversation_of_the_account_is_unknown(world: World, chat: openai.OpenAI) -> None:
    for conversation in ("conv_1", {"id": "conv_1"}):
        with pytest.raises(openai.NotFoundError):
            chat.responses.create(model="responses", input="x", conversation=conversation)


def test_a_response_is_not_looked_for_at_another_provider(chat: openai.OpenAI, world: World) -> None:
    made = chat.responses.create(model="responses", input="x")
    for model, code in (("responses-elsewhere", "response_at_another_provider"), ("chat", "unsupported_by_provider")):
        with pytest.raises(openai.BadRequestError) as caught:
            chat.responses.create(model=model, input="x", previous_response_id=made.id)
        assert (caught.value.code, caught.value.param) == (code, "previous_response_id")


def test_a_kept_response_is_found_again_and_deleted(world: World, chat: openai.OpenAI) -> None:
    first = chat.responses.create(model="responses", input="Say exactly: alpha")
    made = chat.responses.create(model="responses", input="Say exactly: beta", previous_response_id=first.id)
    found = chat.responses.retrieve(made.id, include=["message.output_text.logprobs"])
    assert (found.id, found.previous_response_id, found.output_text) == (made.id, first.id, "beta")
    assert [item.content[0].text for item in chat.responses.input_items.list(made.id)][-1] == "Say exactly: beta"
    chat.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError) as caught:
        chat.responses.retrieve(made.id)
    assert made.id in str(caught.value), "the provider's own id is nobody's business"
    world.vendors["responses"].refused.clear()


def test_another_teams_response_is_not_found(world: World, chat: openai.OpenAI) -> None:
    names = foreign(world)
    before = len(world.vendors["responses"].requests)
    for name in names[:-1]:
        for ask in (chat.responses.retrieve, chat.responses.delete, chat.responses.input_items.list):
            with pytest.raises(openai.NotFoundError):
                ask(name)
    assert len(world.vendors["responses"].requests) == before


def test_a_response_in_the_background_is_refused(world: World, chat: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat.responses.create(model="responses", input="x", background=True)
    assert caught.value.code == "unsupported_by_gateway"
    assert world.vendors["responses"].requests == []
