"""What providers report, wire by wire, against costs worked out by hand from the catalogue's prices."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scutum_server.proxy.charging import tokens_of
from scutum_server.proxy.limits.rates import dearest
from scutum_server.upstream.catalog import Apart, Tokens, pricer
from scutum_server.wire import chat, embeddings, messages, responses
from scutum_server.wire.messages import MessagesStream
from scutum_server.wire.responses import ResponsesStream
from scutum_server.wire.sse import ChatStream

XAI, GOOGLE = "https://api.x.ai/v1", "https://generativelanguage.googleapis.com/v1beta/openai"
DEEPSEEK = "https://api.deepseek.com"


def cost(usage: chat.Usage | None, model: str, base_url: str | None = None, kind: str = "openai") -> int:
    assert usage is not None
    made = pricer(provider_kind=kind, base_url=base_url, upstream_model=model, override=None)(tokens_of(usage))
    assert made.source.startswith("genai-prices:")
    return made.nano_usd


def completion(usage: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"id": "c", "choices": [{"index": 0, "message": {}}], "usage": usage, **fields}).encode()


def said(taken: int, given: int, **details: dict[str, int]) -> dict[str, Any]:
    return {"prompt_tokens": taken, "completion_tokens": given, "total_tokens": taken + given, **details}


CHAT = [
    ("gpt-4o", None, said(1000, 100, prompt_tokens_details={"cached_tokens": 400}), {},
     600 * 2500 + 400 * 1250 + 100 * 10_000),
    # Reasoning is part of the completion at OpenAI.
    ("o3-mini", None, said(10, 100, completion_tokens_details={"reasoning_tokens": 80}), {}, 10 * 1100 + 100 * 4400),
    # Half a nano-USD goes to the even side.
    ("gpt-5", None, said(1001, 10, prompt_tokens_details={"cached_tokens": 401}), {"service_tier": "flex"},
     600 * 625 + 25_062 + 10 * 5000),
    ("gpt-5", None, said(1000, 10), {"service_tier": "priority"}, 1000 * 2500 + 10 * 20_000),
    ("gpt-5", None, said(1000, 10), {"service_tier": "default"}, 1000 * 1250 + 10 * 10_000),
    ("gpt-5", None, said(1000, 10), {"service_tier": "scale"}, 1000 * 1250 + 10 * 10_000),
    ("gpt-5", None, said(1000, 10), {"service_tier": {"odd": 1}}, 1000 * 1250 + 10 * 10_000),
    ("gpt-audio", None,
     said(100, 50, prompt_tokens_details={"audio_tokens": 60}, completion_tokens_details={"audio_tokens": 40}), {},
     40 * 2500 + 60 * 32_000 + 10 * 10_000 + 40 * 64_000),
    # A model without a price for sound charges it as text.
    ("gpt-4o", None, said(100, 50, prompt_tokens_details={"audio_tokens": 60}), {}, 100 * 2500 + 50 * 10_000),
    # Reasoning beside the completion: only the total has it, with or without a name.
    ("grok-4", XAI, {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
                     "completion_tokens_details": {"reasoning_tokens": 94}}, {}, 32 * 3000 + 103 * 15_000),
    ("gemini-2.5-flash", GOOGLE, {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 620}, {},
     100 * 300 + 520 * 2500),
]  # fmt: skip


@pytest.mark.parametrize(("model", "base_url", "usage", "fields", "expected"), CHAT)
def test_chat(model: str, base_url: str | None, usage: dict[str, Any], fields: dict[str, Any], expected: int) -> None:
    assert cost(chat.usage_in(completion(usage, **fields)), model, base_url) == expected
    # Streamed: what the last event says holds, and its choices are empty.
    meter = ChatStream(show_usage=True)
    meter.feed(b'data: {"choices":[{"index":0,"delta":{"content":"x"}}],"usage":null}\n\n')
    meter.feed(b"data: %b\n\n" % json.dumps({"choices": [], "usage": usage, **fields}).encode())
    assert cost(meter.usage, model, base_url) == expected


def test_deepseek_s_own_name_for_cached_tokens() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 0, "prompt_cache_hit_tokens": 60, "prompt_cache_miss_tokens": 40}
    found = chat.usage_in(completion(usage))
    assert found is not None
    assert tokens_of(found) == Tokens(100, 0, cached=60)
    assert cost(found, "deepseek-chat", DEEPSEEK) < cost(chat.usage_in(completion(said(100, 0))), "deepseek-chat", DEEPSEEK)


def test_a_total_that_is_smaller_or_unexplained_changes_nothing() -> None:
    for usage in (
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 12},
        # 7 more than the parts, of which 3 are named: not what this rule is for.
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 22, "completion_tokens_details": {"reasoning_tokens": 3}},
    ):
        found = chat.usage_in(completion(usage))
        assert found is not None
        assert tokens_of(found).output == 5


def test_a_provider_cannot_set_what_only_we_set() -> None:
    found = chat.usage_in(completion(said(10, 5) | {"web_searches": 9, "terms": ["service_tier", "flex"], "file_searches": "x"}))
    assert found is not None
    assert tokens_of(found) == Tokens(10, 5)


def test_embeddings() -> None:
    body = json.dumps({"data": [], "usage": {"prompt_tokens": 1000, "total_tokens": 1000}}).encode()
    assert cost(embeddings.usage_in(body), "text-embedding-3-small") == 1000 * 20
    total_only = embeddings.usage_in(b'{"data": [], "usage": {"total_tokens": 70}}')
    assert total_only is not None
    assert tokens_of(total_only) == Tokens(70, 0)


CLAUDE = {
    "input_tokens": 100, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 500, "output_tokens": 50,
    "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200},
    "server_tool_use": {"web_search_requests": 2}, "service_tier": "standard",
}  # fmt: skip
CLAUDE_COST = 100 * 3000 + 1000 * 300 + 300 * 3750 + 200 * 6000 + 50 * 15_000 + 2 * 10_000_000


def test_messages_with_both_kinds_of_cache_writes_and_searches() -> None:
    body = json.dumps({"content": [], "usage": CLAUDE}).encode()
    assert cost(messages.usage_in(body), "claude-sonnet-4-5", kind="anthropic") == CLAUDE_COST


def test_messages_streamed_with_totals_that_grow() -> None:
    meter = MessagesStream()
    start = {"type": "message_start", "message": {"usage": CLAUDE | {"output_tokens": 1, "server_tool_use": None}}}
    last = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 50, "server_tool_use": {"web_search_requests": 2}}}
    for event in (start, last):
        meter.feed(b"event: x\ndata: %b\n\n" % json.dumps(event).encode())
    assert cost(meter.usage, "claude-sonnet-4-5", kind="anthropic") == CLAUDE_COST
    assert meter.partial is not None
    assert cost(meter.partial, "claude-sonnet-4-5", kind="anthropic") == CLAUDE_COST - 49 * 15_000 - 2 * 10_000_000


def test_messages_beyond_the_tier_count_cached_tokens_towards_it() -> None:
    usage = {"input_tokens": 1, "cache_read_input_tokens": 150_000, "cache_creation_input_tokens": 50_000,
             "cache_creation": {"ephemeral_1h_input_tokens": 50_000}, "output_tokens": 10}  # fmt: skip
    body = json.dumps({"content": [], "usage": usage}).encode()
    expected = 1 * 6000 + 150_000 * 600 + 50_000 * 12_000 + 10 * 22_500
    assert cost(messages.usage_in(body), "claude-sonnet-4-5", kind="anthropic") == expected


def test_messages_made_faster_for_more_money() -> None:
    body = json.dumps({"content": [], "usage": {"input_tokens": 10, "output_tokens": 3, "speed": "fast"}}).encode()
    assert cost(messages.usage_in(body), "claude-fable-5-2", kind="anthropic") == 10 * 16_000 + 3 * 80_000


RESPONSE = {
    "service_tier": "flex",
    "output": [
        {"type": "web_search_call", "action": {"type": "search", "query": "a"}},
        {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}},
        {"type": "file_search_call", "queries": ["b"]},
        {"type": "message", "content": [{"type": "output_text", "text": "a web_search_call that is only spoken of"}]},
    ],
    "usage": {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 200}, "output_tokens": 100,
              "output_tokens_details": {"reasoning_tokens": 60}, "total_tokens": 1100},
}  # fmt: skip
RESPONSE_COST = 800 * 625 + 12_500 + 100 * 5000 + 10_000_000 + 2_500_000


def test_responses_with_searches() -> None:
    assert cost(responses.usage_in(json.dumps(RESPONSE).encode()), "gpt-5") == RESPONSE_COST
    meter = ResponsesStream()
    meter.feed(b"data: %b\n\n" % json.dumps({"type": "response.completed", "response": RESPONSE}).encode())
    assert cost(meter.usage, "gpt-5") == RESPONSE_COST


@pytest.mark.parametrize(
    ("model", "kind"),
    [("gpt-5", "openai"), ("gpt-audio", "openai"), ("claude-sonnet-4-5", "anthropic"), ("claude-fable-5-2", "anthropic")],
)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_what_a_budget_sets_aside_covers_every_way_to_be_charged(model: str, kind: str, data: st.DataObject) -> None:
    price = pricer(provider_kind=kind, base_url=None, upstream_model=model, override=None)
    asked = data.draw(st.sampled_from([None, ("service_tier", "priority"), ("service_tier", "flex"), ("speed", "fast")]))
    counts = st.integers(0, 100_000)
    taken, given_out = data.draw(counts), data.draw(counts)
    searches, files = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
    apart = Apart(*(data.draw(counts) for _ in range(4)), files, data.draw(st.sampled_from([None, asked])))
    tokens = Tokens(taken, given_out, *(data.draw(counts) for _ in range(4)), searches, apart)
    rates = dearest(price, 100_000, asked)
    most = rates.fixed + rates.input * taken + rates.output * given_out + rates.use * (searches + files)
    assert price(tokens).nano_usd <= most
