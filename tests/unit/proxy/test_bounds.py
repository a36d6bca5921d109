"""The most that a request can cost."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from scutum_server.proxy.limits.bounds import TEMPLATE_TOKENS, TOOLS_TOKENS, Most, asked_output, most
from scutum_server.proxy.limits.rates import RateCard
from scutum_server.upstream.catalog import Price, pricer
from scutum_server.upstream.native import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES
from scutum_server.wire import chat, completions, embeddings, messages

DECODERS = {CHAT: chat.REQUEST, COMPLETIONS: completions.REQUEST, EMBEDDINGS: embeddings.REQUEST, MESSAGES: messages.REQUEST}
OWN = pricer(provider_kind="openai", base_url=None, upstream_model="m", override=Price(10, 100))


def bound(wire: str, document: dict[str, Any], price: Any = OWN, window: int | None = None) -> tuple[Most, int]:
    """The bound, and the bytes of the request."""
    body = json.dumps({"model": "m", **document}).encode()
    call = SimpleNamespace(body=body, parsed=DECODERS[wire].decode(body), endpoint=SimpleNamespace(wire=wire))
    asked = asked_output(call)
    output = 500 if asked is None else asked
    return most(call, SimpleNamespace(price=price, window=window), RateCard(), output), len(body)


def test_text_costs_a_token_a_byte_at_most() -> None:
    found, size = bound(CHAT, {"messages": [], "max_tokens": 50, "n": 3})
    taken = 10 * (size + TEMPLATE_TOKENS)
    assert found == Most(taken + 3 * 100 * 50, taken + 3 * 100 * 16, taken, 300, 50)


def test_without_a_maximum_it_is_the_budget_s() -> None:
    assert bound(CHAT, {"messages": []})[0].output == 500
    assert bound(CHAT, {"messages": [], "max_tokens": -1})[0].output == 500
    assert bound(COMPLETIONS, {"prompt": "x"})[0].output == 16


def test_a_maximum_below_the_least_output_is_enough() -> None:
    found, _ = bound(CHAT, {"messages": [], "max_tokens": 5})
    assert found.least == found.most == found.input + 500


def test_providers_put_something_around_tools() -> None:
    plain, size = bound(CHAT, {"messages": []})
    tools, with_tools = bound(CHAT, {"messages": [], "tools": []})
    assert tools.input - plain.input == 10 * (TOOLS_TOKENS + with_tools - size)


def test_an_image_may_fill_the_window() -> None:
    image = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}]}
    assert bound(CHAT, image, window=128_000)[0].input == 10 * 128_000
    assert bound(CHAT, image)[0].input == 10 * 1_000_000


def test_a_tool_of_the_provider_s_reads_the_window_again_and_has_its_price() -> None:
    tools = {"messages": [], "max_tokens": 5_000, "tools": [{"type": "web_search_20250305", "name": "w", "max_uses": 2}]}
    price = pricer(provider_kind="anthropic", base_url=None, upstream_model="claude-haiku-4-5", override=None)
    found, _ = bound(MESSAGES, tools, price, 200_000)
    # The dearest way to take input: into a cache that lasts an hour.
    assert found.input == 2_000 * 3 * 200_000 + 2 * 10_000_000


def test_thinking_needs_room() -> None:
    thinks = {"messages": [], "max_tokens": 9_000, "thinking": {"type": "enabled", "budget_tokens": 8_000}}
    found, _ = bound(MESSAGES, thinks)
    assert found.least == found.input + 100 * 2_048


def test_embeddings_have_no_output() -> None:
    found, size = bound(EMBEDDINGS, {"input": "x"})
    assert found == Most(*[10 * (size + TEMPLATE_TOKENS)] * 3, 0, 0)
