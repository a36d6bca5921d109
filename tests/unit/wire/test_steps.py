"""Translators and whatever they are given: they say what is wrong, and never fall over."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures import anthropic_wire, chat_wire

from scutum_server.errors import InvalidInput, UpstreamError
from scutum_server.wire import messages, responses
from scutum_server.wire.messages import MessagesStream
from scutum_server.wire.responses import ResponsesStream
from scutum_server.wire.sse import ChatStream
from scutum_server.wire.steps import (
    FromChat,
    FromCompletions,
    FromMessages,
    FromResponses,
    Step,
    Translated,
    answer_through,
    request_through,
)

KINDS: dict[str, Callable[[], list[Step]]] = {
    "chat": lambda: [FromChat(100)],
    "messages": lambda: [FromMessages("max_tokens")],
    "responses": lambda: [FromResponses("max_tokens")],
    "responses to anthropic": lambda: [FromResponses("max_tokens"), FromChat(100, usage=True)],
    "completions": lambda: [FromCompletions("max_tokens")],
}
ASKED: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    "messages": {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]},
    "responses": {"model": "m", "input": "x"},
    "responses to anthropic": {"model": "m", "input": "x"},
    "completions": {"model": "m", "prompt": "x"},
}
CALLS = [chat_wire.call("weather", {"city": "Zürich"}, 1), chat_wire.call("clock", {"zone": "UTC"}, 2)]
COMPLETION = chat_wire.completion("grüezi", calls=CALLS, finish="tool_calls")
MESSAGE = anthropic_wire.message(
    {"type": "thinking", "thinking": "hm", "signature": ""}, anthropic_wire.text("grüezi"),
    anthropic_wire.tool_use("weather", {"city": "Zürich"}), anthropic_wire.tool_use("clock", {}, 2), stop="tool_use",
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def speaks_anthropic(kind: str) -> bool:
    return kind in {"chat", "responses to anthropic"}


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [path] if path else []
    pairs = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in pairs:
        found += places(value, (*path, key))
    return found


def planted(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


def known_fields() -> list[str]:
    from scutum_server.wire.translate import chat as translate_chat
    from scutum_server.wire.translate import completions as translate_completions
    from scutum_server.wire.translate import messages as translate_messages
    from scutum_server.wire.translate import responses as translate_responses

    modules = (translate_chat, translate_completions, translate_messages, translate_responses)
    return sorted({name for module in modules for name in module._TRANSLATED | getattr(module, "_LEFT_OUT", set())} - {"model", "stream"})


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_requests_of_any_types(kind: str, data: st.DataObject) -> None:
    asked = {**ASKED[kind], data.draw(st.sampled_from(known_fields())): data.draw(json_values)}
    try:
        body, dropped = request_through(KINDS[kind](), asked)
    except InvalidInput:
        return
    assert json.loads(body)["model"] == "m"
    assert all(isinstance(name, str) for name in dropped)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_answers_of_any_types(kind: str, data: st.DataObject) -> None:
    whole = MESSAGE if speaks_anthropic(kind) else COMPLETION
    broken = planted(whole, data.draw(st.sampled_from(places(whole))), data.draw(json_values))
    steps = KINDS[kind]()
    request_through(steps, ASKED[kind])
    try:
        json.loads(answer_through(steps, json.dumps(broken).encode()))
    except UpstreamError:
        return


def passage(kind: str) -> Translated:
    steps = KINDS[kind]()
    request_through(steps, ASKED[kind])
    return Translated(MessagesStream() if speaks_anthropic(kind) else ChatStream(show_usage=True), steps)


def pieces(kind: str) -> list[bytes]:
    return anthropic_wire.events(MESSAGE) if speaks_anthropic(kind) else chat_wire.chunks(COMPLETION)


def steady(raw: bytes) -> str:
    """Without what differs from call to call."""
    import re

    return re.sub(r"(resp|msg|fc|rs)_[0-9a-f]{24}|\"(created|created_at|completed_at)\":\d+", "", raw.decode())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_streams_are_the_same_however_they_are_cut(kind: str, data: st.DataObject) -> None:
    whole = b"".join(pieces(kind))
    reference = passage(kind)
    expected = reference.feed(whole) + reference.finish() + reference.last
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=8)))
    stream, out = passage(kind), b""
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        out += stream.feed(whole[start:end])
    out += stream.finish() + stream.last
    assert steady(out) == steady(expected)
    assert stream.usage is not None


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_streams_of_any_types(kind: str, data: st.DataObject) -> None:
    parts = pieces(kind)
    at = data.draw(st.integers(0, len(parts) - 2))
    document = json.loads(next(line for line in parts[at].decode().splitlines() if line.startswith("data:"))[5:])
    broken = planted(document, data.draw(st.sampled_from(places(document))), data.draw(json_values))
    parts = [*parts[:at], b"data: " + json.dumps(broken).encode() + b"\n\n", *parts[at + 1 :]]
    stream = passage(kind)
    try:
        for part in parts:
            stream.feed(part)
        stream.finish()
    except UpstreamError:
        return


@pytest.mark.parametrize("meter", [MessagesStream, ResponsesStream])
@pytest.mark.parametrize("event", [b"data: {no json\n\n", b"data: \xff{}\n\n", b"data: []\n\n", b"event: x\ndata:\n\n"])
def test_garbage_is_never_passed_on(meter: type[MessagesStream | ResponsesStream], event: bytes) -> None:
    stream = meter()
    assert stream.feed(b": a comment\n\n" + event) == b": a comment\n\n"
    assert stream.garbage == (b"event:" not in event), "an event without data is left out"


@pytest.mark.parametrize("count", [-1, 2**31, "7", None, 1.5])
def test_absurd_counts_are_none(count: Any) -> None:
    message = anthropic_wire.message(anthropic_wire.text("x"), usage={"input_tokens": count, "output_tokens": 1})
    assert messages.usage_in(json.dumps(message).encode()) is None
    stream = MessagesStream()
    stream.feed(b"".join(anthropic_wire.events(message)))
    assert stream.done
    assert stream.usage is None
    response = {"output": [], "usage": {"input_tokens": count, "output_tokens": 1}}
    assert responses.usage_in(json.dumps(response).encode()) is None
    most = {"input_tokens": 2**31 - 1, "cache_read_input_tokens": 1}
    assert messages.usage_in(json.dumps({"content": [], "usage": most}).encode()) is None
