"""Streams cut at any byte: the same events, the same usage."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scutum_server.errors import UpstreamError
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
