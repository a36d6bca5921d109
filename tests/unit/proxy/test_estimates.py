"""Tokens that were never reported, estimated from those that were."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from scutum_server.proxy.estimates import Estimates
from scutum_server.upstream.catalog import Tokens


def call(text: str, tokens: Tokens | None = None, deployment: str = "dep", **fields: Any) -> Any:
    body = json.dumps({"messages": [{"content": text}], **fields}).encode()
    return SimpleNamespace(body=body, tokens=tokens, deployment=SimpleNamespace(id=deployment))


def test_without_any_report_four_bytes_are_a_token() -> None:
    estimates = Estimates()
    assert (estimates.input(call("x" * 400)), estimates.output(call(""), 50)) == (100, 50)


def test_a_deployment_s_own_counts_are_learnt_and_no_other_s() -> None:
    estimates = Estimates()
    for _ in range(100):
        # A vendor whose tokens are five bytes, and whose streams carry two tokens an event.
        estimates.learn(call("x" * 4000, Tokens(800, 200)), 100)
    assert 78 <= estimates.input(call("y" * 400)) <= 82
    assert 98 <= estimates.output(call(""), 50) <= 102
    assert estimates.input(call("y" * 400, deployment="other")) == 100


def test_reasoning_counts_only_where_it_is_streamed() -> None:
    estimates = Estimates()
    for _ in range(100):
        estimates.learn(call("x", Tokens(1, 1000, reasoning=900), "hides"), 100)
        estimates.learn(call("x", Tokens(1, 1000, reasoning=900), "streams"), 1000)
    assert estimates.output(call("", deployment="hides"), 50) == 50
    assert estimates.output(call("", deployment="streams"), 50) == 50


def test_what_is_not_in_the_text_teaches_nothing() -> None:
    estimates = Estimates()
    for _ in range(20):
        estimates.learn(call("x" * 4000, Tokens(90_000, 0), previous_response_id="resp_1"), 0)
        estimates.learn(call("hi", Tokens(90, 0)), 0)
    assert estimates.input(call("x" * 400)) == 100


def test_reports_beyond_reason_teach_nothing() -> None:
    estimates = Estimates()
    for tokens in (Tokens(2**31 - 1, 2**31 - 1), Tokens(1, 1)):
        estimates.learn(call("x" * 400, tokens), 100)
    assert (estimates.input(call("x" * 400)), estimates.output(call(""), 100)) == (100, 100)
