"""What in a request is not in its bytes: found in every format, and not suspected where it is only spoken of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scutum_server.wire.reach import NOTHING, USES, Reach, reach

OUTSIDE = Reach(outside=True, uses=0)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {
    "url": {"type": "string"}, "file": {"type": "string"}, "prompt": {"type": "string"}, "image": {"type": "array"}}}}}  # fmt: skip


def user(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def given(item: Any) -> dict[str, Any]:
    return {"input": [item]}


TEXT = {"type": "text", "text": "hi"}
PLAIN = [
    {"messages": [{"role": "user", "content": "hi"}]},
    user(TEXT, {"type": "text", "text": 'see {"type": "image_url", "file_id": "x"} and "prompt": "y"', "cache_control": {"type": "ephemeral"}}),
    {**user(TEXT), "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}},
     "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}},
    {**user(TEXT), "system": [TEXT], "thinking": {"type": "enabled", "budget_tokens": 2000},
     "tools": [{"name": "f", "input_schema": {"type": "object"}}, {"type": "bash_20250124", "name": "bash"}]},
    {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"file": "a"}}]},
                  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [TEXT]}]}]},
    {"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
               {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
               {"type": "function_call_output", "call_id": "c", "output": "x"},
               {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "abc"}]},
    {**user(TEXT), "previous_response_id": None},
]  # fmt: skip


@pytest.mark.parametrize("document", PLAIN, ids=range(len(PLAIN)))
def test_text_is_all_there_is(document: dict[str, Any]) -> None:
    assert reach(json.dumps(document).encode()) == NOTHING


FAR = [
    user(TEXT, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}),
    user({"image_url": "https://x/y.png"}),
    user({"type": "video_url", "video_url": {"url": "https://x/y"}}),
    user({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
    user({"type": "file", "file": {"file_id": "file-1"}}),
    user({"type": "of_the_future"}),
    {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]},
    user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}),
    user({"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}),
    user({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}),
    {**user(TEXT), "container": "c_1"},
    {"input": "hi", "previous_response_id": "resp_1"},
    {"input": "hi", "conversation": {"id": "conv_1"}},
    {"prompt": {"id": "pmpt_1"}},
    given({"type": "item_reference", "id": "msg_1"}),
    given({"id": "msg_1"}),
    given({"type": "reasoning", "id": "rs_1", "summary": []}),
    given({"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}),
    given({"role": "user", "content": [{"type": "input_file", "file_url": "https://x/y.pdf"}]}),
    given({"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "https://x"}]}),
]  # fmt: skip


@pytest.mark.parametrize("document", FAR, ids=range(len(FAR)))
def test_what_is_referred_to_is_outside(document: dict[str, Any]) -> None:
    assert reach(json.dumps(document).encode()) == OUTSIDE
    assert reach(json.dumps(document, indent=1).encode()) == OUTSIDE


def test_names_that_are_spelt_with_escapes_are_found() -> None:
    body = json.dumps(FAR[0]).replace("image_url", "im\\u0061ge_url").encode()
    assert reach(body) == OUTSIDE
    assert reach(json.dumps(user({"type": "text", "text": "caf\u00e9 \u6f22"})).encode()) == NOTHING


@pytest.mark.parametrize(
    ("fields", "uses"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]}, 3),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}, {"type": "code_execution_20250825"}]}, 2 * USES),
        ({"tools": [{"type": "web_search"}]}, USES),
        ({"tools": [{"type": "file_search"}, {"type": "mcp"}], "max_tool_calls": 4}, 4),
        ({"web_search_options": {}}, USES),
        ({"tools": [TOOL, {"type": "custom", "name": "c"}]}, 0),
    ],
)
def test_tools_that_the_provider_runs_are_counted(fields: dict[str, Any], uses: int) -> None:
    assert reach(json.dumps({**user(TEXT), **fields}).encode()) == Reach(outside=False, uses=uses)


def test_servers_of_tools_are_outside_and_run() -> None:
    assert reach(json.dumps({**user(TEXT), "mcp_servers": [{"type": "url", "url": "https://x"}]}).encode()) == Reach(True, USES)


def test_what_cannot_be_read_may_be_anything() -> None:
    body = b'{"messages":[{"role":"user","content":[{"type":"image"}]}],"x":1e999}'
    assert reach(body) == Reach(True, USES)
