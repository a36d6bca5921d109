"""A provider is told of the cap in its own words, and not of one that it would take for none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scutum_server.wire.output_cap import with_output_cap


def capped(document: dict[str, Any], cap: int, field: str) -> dict[str, Any]:
    return json.loads(with_output_cap(json.dumps(document).encode(), cap, field=field))


@pytest.mark.parametrize(
    ("given", "field", "sent"),
    [
        ({}, "max_tokens", {"max_tokens": 50}),
        ({}, "max_output_tokens", {"max_output_tokens": 50}),
        ({"max_tokens": 80}, "max_tokens", {"max_tokens": 50}),
        ({"max_tokens": 20}, "max_tokens", {"max_tokens": 20}),
        # A server that knows the old name only would take no notice of the new one.
        ({"max_completion_tokens": 80}, "max_tokens", {"max_completion_tokens": 50, "max_tokens": 50}),
        # OpenAI refuses a request with both.
        ({"max_tokens": 80}, "max_completion_tokens", {"max_tokens": 50}),
        ({"max_tokens": 80, "max_completion_tokens": 90}, "max_completion_tokens", {"max_tokens": 50, "max_completion_tokens": 50}),
        # Zero and less are no maximum at all to some servers.
        ({"max_tokens": -1}, "max_tokens", {"max_tokens": 50}),
        ({"max_tokens": 0}, "max_tokens", {"max_tokens": 50}),
        ({"max_tokens": None}, "max_tokens", {"max_tokens": 50}),
        # The name of another format is not known here.
        ({"max_output_tokens": 10}, "max_tokens", {"max_output_tokens": 10, "max_tokens": 50}),
    ],
)  # fmt: skip
def test_the_lower_one_is_sent(given: dict[str, Any], field: str, sent: dict[str, Any]) -> None:
    assert capped({"model": "m", **given}, 50, field) == {"model": "m", **sent}


def test_a_name_spelt_with_escapes_is_seen() -> None:
    assert json.loads(with_output_cap(b'{"m\\u0061x_tokens": 9000}', 50, field="max_tokens")) == {"max_tokens": 50}


def test_tokens_for_thinking_stay_below_the_cap() -> None:
    thinking = {"type": "enabled", "budget_tokens": 10_000}
    sent = capped({"max_tokens": 20_000, "thinking": thinking}, 5_000, "max_tokens")
    assert sent == {"max_tokens": 5_000, "thinking": thinking | {"budget_tokens": 2_500}}
    sent = capped({"max_tokens": 20_000, "thinking": thinking}, 12_000, "max_tokens")
    assert sent == {"max_tokens": 12_000, "thinking": thinking}


@pytest.mark.parametrize("odd", ["1e400", "[" * 500 + "]" * 500, '{"a":1,"a":2}', "1.50"])
def test_other_values_keep_their_bytes(odd: str) -> None:
    for given, told in (("9000", "50"), ("1e400", "50"), ('"x"', "50"), ("20", "20"), ("-1", "50"), ("1.5", "50")):
        body = f'{{"max_tokens":{given},"x":{odd},"thinking":{{"type":"enabled","budget_tokens":{given},"y":{odd}}}}}'
        got = with_output_cap(body.encode(), 50, field="max_tokens").decode()
        assert got.startswith(f'{{"max_tokens":{told},"x":{odd},"thinking":{{"type":"enabled","budget_tokens":')
        assert got.endswith(f',"y":{odd}}}}}')
