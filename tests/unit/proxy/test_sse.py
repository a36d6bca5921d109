"""Streams cut at any byte: the same events, the same usage."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scutum_server.errors import UpstreamError
from scutum_server.wire.events import Splitter
from scutum_server.wire.sse import MAX_EVENT_BYTES, ChatStream

USAGE = {"prompt_tokens": 4, "completion_tokens": 9}


def data(document: object, end: str) -> bytes:
    return f"data: {json.dumps(document, ensure_ascii=False)}{end}{end}".encode()


def text(content: str, end: str, **more: object) -> bytes:
    return data({"choices": [{"index": 0, "delta": {"content": content}}], **more}, end)


contents = st.lists(
    st.text() | st.sampled_from(['"usage"', "[DONE]", "\n\ndata: x", '"usage":{', '"error":{']), max_size=5
)


@given(
    contents=contents, cuts=st.lists(st.integers(0, 3000), max_size=12), end=st.sampled_from(["\n", "\r\n", "\r"]),
    show=st.booleans(), nulls=st.booleans(), done=st.booleans(),
)  # fmt: skip
def test_any_split_gives_the_same(
    contents: list[str], cuts: list[int], end: str, show: bool, nulls: bool, done: bool
) -> None:
    events = [text(content, end, **({"usage": None} if nulls else {})) for content in contents]
    usage = data({"choices": [], "usage": USAGE}, end)
    whole = b"".join([*events, usage, f"data: [DONE]{end}{end}".encode() if done else b""])
    stream = ChatStream(show_usage=show)
    points = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    out = b"".join(stream.feed(whole[a:b]) for a, b in zip(points, points[1:], strict=False)) + stream.finish()
    assert out.rstrip(b"\r\n") == b"".join([*events, usage if show else b""]).rstrip(b"\r\n")
    assert stream.usage is not None
    assert (stream.usage.prompt_tokens, stream.usage.completion_tokens) == (4, 9)
    assert stream.done is done
    assert not stream.error


def test_usage_beside_choices_is_passed_and_read() -> None:
    stream = ChatStream(show_usage=False)
    last = text("x", "\n", usage=USAGE)
    assert stream.feed(last) == last
    assert stream.usage is not None


def test_nothing_after_the_end_is_passed_on() -> None:
    stream = ChatStream(show_usage=True)
    assert stream.feed(b"data: [DONE]\n\n" + text("late", "\n")) == b""
    assert stream.feed(text("later", "\n")) == b""


def test_an_event_without_an_end_is_bounded() -> None:
    stream = ChatStream(show_usage=True)
    with pytest.raises(UpstreamError):
        for _ in range(MAX_EVENT_BYTES // 2**20 + 1):
            stream.feed(b"x" * 2**20)


def test_an_estimate_counts_events_and_text() -> None:
    stream = ChatStream(show_usage=True)
    stream.feed(text("", "\n"))
    for _ in range(10):
        stream.feed(text("a", "\n"))
    assert stream.estimate() == 10
    stream.feed(text("word" * 100, "\n"))
    assert 100 <= stream.estimate() <= 111


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_no_bytes_break_it(pieces: list[bytes]) -> None:
    stream = ChatStream(show_usage=False)
    for piece in pieces:
        stream.feed(piece)
    stream.finish()


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {not json\n\n", b"data: overloaded\n\n", b"data: [1]\n\n", b'data: "x"\n\n', b"data: <html>\n\n",
        b'data: {"a": 1}}\n\n', b'data: {"a": "\xff"}\n\n', b": \xff\n\n", b'data: {"a":\ndata: }\n\n',
        b'data: {"usage": {"a"\n\n', b"data: {not json\r\n\r\n", b"event: x\ndata: {no\n\n", b'data: {"a":\n1}\n\n',
        b"data: {not [DONE]\n\n", b"data: {" + b'"a": {' * 100_000 + b"\n\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("together", [False, True])
def test_garbage_ends_a_stream_where_it_begins(garbage: bytes, together: bool) -> None:
    good, late = text("é", "\n") + text("b", "\n"), text("late", "\n")
    stream = ChatStream(show_usage=True)
    pieces = [good + garbage + late] if together else [good, garbage, late]
    assert b"".join(stream.feed(piece) for piece in pieces) + stream.finish() == good
    assert stream.garbage
    assert not stream.done


@pytest.mark.parametrize(
    "event",
    [
        b": waiting\n\n", b'event: message\nid: 5\ndata: {"a": 1}\n\n', b'data:{"a": 1}\n\n', b'data: {"a": 1} \n\n',
        b'data: {"a": 1}\r\n\r\n', b'data: {"a":\ndata: 1}\n\n', b'data: {"a": "\\ud83d\\ude00 \xc3\xa9"}\n\n',
        b'data: {"a": "\\ud83d"}\n\n', b'data: {"a": NaN}\n\n', b"retry: 5\n\n", b'id: 5\rdata: {"a": 1}\r\r',
    ],
)  # fmt: skip
def test_unusual_events_are_no_garbage(event: bytes) -> None:
    stream = ChatStream(show_usage=True)
    assert stream.feed(text("a", "\n") + event) + stream.feed(text("b", "\n")) + stream.finish() == (
        text("a", "\n") + event + text("b", "\n")
    )
    assert not stream.garbage


def test_an_event_without_data_is_left_out() -> None:
    stream = ChatStream(show_usage=True)
    assert stream.feed(b"data: \n\n" + text("a", "\n") + b"data:\n\n") == text("a", "\n")
    assert not stream.garbage


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_large_event_in_small_pieces_is_looked_through_once(end: str) -> None:
    """Looking at all of it for each piece would take minutes, and every other client would wait for them."""
    event = text("x" * (MAX_EVENT_BYTES - 1000), end)
    stream = ChatStream(show_usage=True)
    pieces = [event[at : at + 120] for at in range(0, len(event), 120)]
    assert b"".join([stream.feed(piece) for piece in [*pieces, text("b", end)]]) + stream.finish() == event + text("b", end)
    splitter = Splitter(2 * MAX_EVENT_BYTES)
    found = [each for piece in [*pieces, text("b", end)] for each in splitter.feed(piece)]
    assert b"".join([*found, splitter.rest().removesuffix(b"\n\n")]) == event + text("b", end)
