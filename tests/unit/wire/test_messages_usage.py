"""What Anthropic's usage tells apart that others do not."""

from __future__ import annotations

import json

from scutum_server.wire import messages

USAGE = {"input_tokens": 5, "output_tokens": 2, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 7,
         "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
         "server_tool_use": {"web_search_requests": 3}}  # fmt: skip


def test_caches_of_an_hour_and_searches_are_read() -> None:
    usage = messages.usage_in(json.dumps({"content": [], "usage": USAGE}).encode())
    assert (usage.prompt_tokens, usage.cached, usage.extras) == (42, 7, (30, 20, 3))


def test_on_a_stream_the_last_word_counts() -> None:
    stream = messages.MessagesStream()
    start = {"type": "message_start", "message": {"usage": USAGE | {"server_tool_use": None}}}
    delta = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9, "server_tool_use": {"web_search_requests": 4}}}
    for event in (start, delta):
        stream.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert (stream.usage.completion_tokens, stream.usage.extras) == (9, (30, 20, 4))
