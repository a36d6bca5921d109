"""What is known of the vendors' models by their names, and of the schemas that they enforce."""

from __future__ import annotations

from typing import Any

import pytest

from scutum_server.wire import claude, gpt
from scutum_server.wire.json_schema import for_anthropic, is_strict


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-2.1", (2, 1)),
        ("claude-instant-1.2", (1, 2)),
        ("claude-3-haiku-20240307", (3, 0)),
        ("claude-3-5-sonnet-20241022", (3, 5)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-haiku-4-5@20251001", (4, 5)),
        ("anthropic.claude-opus-4-8-v1:0", (4, 8)),
        ("claude-sonnet-5", (5, 0)),
        ("claude-mythos-preview", (99, 0)),
        ("kimi-k2", None),
    ],
)
def test_versions_of_claude(name: str, expected: tuple[int, int] | None) -> None:
    assert claude.version(name) == expected


def tuned(model: str, **chat: Any) -> tuple[dict[str, Any], list[str]]:
    made: dict[str, Any] = {"messages": [{"role": "user", "content": []}], "max_tokens": chat.get("max_tokens", 4096)}
    dropped: list[str] = []
    claude.tune(made, {"model": model, **chat}, dropped)
    return made, dropped


@pytest.mark.parametrize(
    ("model", "chat", "thinking", "dropped"),
    [
        ("claude-sonnet-4-5", {"reasoning_effort": "low"}, {"type": "enabled", "budget_tokens": 1024}, []),
        ("claude-sonnet-4-5", {"reasoning_effort": "low", "max_tokens": 9000}, {"type": "enabled", "budget_tokens": 1024}, []),
        ("claude-sonnet-4-5", {"reasoning_effort": "high", "max_tokens": 3000}, {"type": "enabled", "budget_tokens": 1500}, []),
        ("claude-sonnet-4-5", {"reasoning_effort": "high", "max_tokens": 900}, None, ["reasoning_effort"]),
        ("claude-sonnet-4-5", {"reasoning_effort": "none"}, None, []),
        ("claude-opus-4-6", {"reasoning_effort": "high", "temperature": 0.1}, {"type": "adaptive"}, ["temperature"]),
        ("claude-3-5-sonnet-latest", {"reasoning_effort": "high"}, None, ["reasoning_effort"]),
        ("kimi-k2", {"reasoning_effort": "high", "temperature": 0.1, "top_p": 0.2}, None, []),
        ("claude-opus-4-8", {"temperature": 1, "top_p": 1, "top_k": 1}, None, ["top_k"]),
    ],
)
def test_thinking_and_sampling(
    model: str, chat: dict[str, Any], thinking: dict[str, Any] | None, dropped: list[str]
) -> None:
    made, left_out = tuned(model, **chat)
    assert (made.get("thinking"), left_out) == (thinking, dropped)


def test_our_own_bound_leaves_room_for_thoughts() -> None:
    assert tuned("claude-sonnet-4-5", reasoning_effort="high")[0]["max_tokens"] == 8192


@pytest.mark.parametrize("name", ["o3", "o4-mini", "gpt-5", "gpt-5.2", "openai/gpt-5-mini", "gpt-10"])
def test_models_that_reason(name: str) -> None:
    assert gpt.reasons(name)


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "gpt-oss-120b", "qwen3", "omni-1", "", None])
def test_models_that_do_not(name: object) -> None:
    assert not gpt.reasons(name)


OPEN = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0, "description": "In years."}}}


def test_anthropic_is_told_of_bounds_in_words() -> None:
    made = for_anthropic({"type": "object", "properties": {"a": {"type": "array", "items": OPEN, "minItems": 2}}})
    assert made == {
        "type": "object", "additionalProperties": False,
        "properties": {"a": {"type": "array", "description": "(minItems: 2)", "items": {
            "type": "object", "additionalProperties": False,
            "properties": {"age": {"type": "integer", "description": "In years. (minimum: 0)"}},
        }}},
    }  # fmt: skip


@pytest.mark.parametrize(
    "schema", [{"type": "object", "additionalProperties": {"type": "string"}}, {"anyOf": [True]}, 7,
               {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": True}}}]
)  # fmt: skip
def test_a_schema_that_would_change_its_sense_is_not_enforced(schema: Any) -> None:
    assert for_anthropic(schema) is None


CLOSED: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def test_openai_enforces_closed_schemas_without_optional_fields() -> None:
    assert is_strict(CLOSED)
    assert is_strict(CLOSED | {"properties": {"a": {"anyOf": [CLOSED, {"type": "null"}]}}})
    assert not is_strict(OPEN)
    assert not is_strict(CLOSED | {"required": []})
    assert not is_strict(CLOSED | {"properties": {"a": {"type": "array", "items": OPEN}}})


@pytest.mark.parametrize(
    ("package", "name", "module"),
    [
        ("openai.types.chat.completion_create_params", "CompletionCreateParamsBase", "translate.chat"),
        ("openai.types.responses.response_create_params", "ResponseCreateParamsBase", "translate.responses"),
        ("openai.types.completion_create_params", "CompletionCreateParamsBase", "translate.completions"),
        ("anthropic.types.message_create_params", "MessageCreateParamsBase", "translate.messages"),
    ],
)
def test_every_field_that_a_client_knows_is_known(package: str, name: str, module: str) -> None:
    """A field of the client's format must not reach a vendor of another format as if it were that vendor's own."""
    import importlib

    params = getattr(importlib.import_module(package), name).__annotations__
    translator = importlib.import_module(f"scutum_server.wire.{module}")
    assert set(params) - translator._TRANSLATED - getattr(translator, "_LEFT_OUT", frozenset()) == set()
