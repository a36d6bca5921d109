"""A Responses request in OpenAI's chat format."""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec

from scutum_server.errors import InvalidInput
from scutum_server.wire import gpt
from scutum_server.wire.fields import Document, impossible, is_set, items, left_over, obj, text

FORMAT: Final = "the chat format"

_PASSED: Final = ("model", "stream", "temperature", "top_p", "parallel_tool_calls", "user")
_TRANSLATED: Final = frozenset({
    *_PASSED, "input", "instructions", "max_output_tokens", "tools", "tool_choice", "text", "reasoning", "metadata",
    "top_logprobs", "include", "stream_options", "previous_response_id", "conversation", "background", "prompt",
})  # fmt: skip
_LEFT_OUT: Final = frozenset({
    "access_programs", "context_management", "image", "max_tool_calls", "moderation", "prompt_cache_key",
    "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "service_tier", "store", "truncation",
})  # fmt: skip
"""Fields of Responses for which other servers' chat has no word."""
_STATEFUL: Final = ("previous_response_id", "conversation", "background", "prompt")
_LOGPROBS: Final = "message.output_text.logprobs"
ENCRYPTED: Final = "reasoning.encrypted_content"
_SEALED: Final = "scutum-thoughts:"
"""What the encrypted content of our own reasoning items begins with."""
_PART_TEXTS: Final = ("input_text", "output_text", "text")


def to_chat(request: Document, cap_field: str) -> tuple[Document, list[str]]:
    """The request, and the names of fields that were left out; raises InvalidInput for what cannot be said.

    Fields that Responses does not know are the provider's own, and pass.
    """
    for name in _STATEFUL:
        if is_set(request.get(name)):
            raise InvalidInput(
                f"The field `{name}` needs a provider that has the Responses API itself; this model's has not: "
                "send the whole conversation as `input`.",
                code="unsupported_by_provider",
                param=name,
            )
    dropped = [name for name in request if name in _LEFT_OUT and is_set(request[name])]
    chat: Document = {name: request[name] for name in _PASSED if request.get(name) is not None}
    chat |= {name: request[name] for name in request.keys() - _TRANSLATED - _LEFT_OUT}
    chat["messages"] = _conversation(request, dropped)
    if request.get("max_output_tokens") is not None:
        chat[gpt.cap_field(request["model"], cap_field)] = request["max_output_tokens"]
    gpt.without_sampling(chat, dropped)
    reasoning = obj(request.get("reasoning") or {}, "reasoning")
    if reasoning.get("effort"):
        chat["reasoning_effort"] = reasoning["effort"]
    dropped += [f"reasoning.{name}" for name in left_over(reasoning, ("effort", "summary", "generate_summary"))]
    include = request.get("include") or []
    if _LOGPROBS in include or is_set(request.get("top_logprobs")):
        chat |= {"logprobs": True, "top_logprobs": request.get("top_logprobs") or 0}
    dropped += [f"include:{name}" for name in include if name not in {_LOGPROBS, ENCRYPTED}]
    _put_tools(chat, request)
    _put_text(chat, request, dropped)
    return chat, list(dict.fromkeys(dropped))


def _conversation(request: Document, dropped: list[str]) -> list[Document]:
    messages: list[Document] = []
    if request.get("instructions"):
        messages.append({"role": "system", "content": text(request["instructions"], "instructions")})
    given = request.get("input")
    thoughts: list[Document] = []
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    for where, item in items(given, "input"):
        kind = item.get("type", "message")
        if kind == "message":
            messages.append(_message(item, where) | _taken(thoughts, item.get("role")))
        elif kind == "function_call":
            _put_call(messages, item, where, thoughts)
        elif kind == "function_call_output":
            call = text(item.get("call_id"), f"{where}.call_id")
            output = _output(item.get("output"), f"{where}.output")
            messages.append({"role": "tool", "tool_call_id": call, "content": output})
        elif kind == "reasoning":
            found = unsealed(item.get("encrypted_content"))
            thoughts += found
            dropped += [] if found else ["input.reasoning"]
        elif kind == "item_reference" and str(item.get("id")).startswith("rs_"):
            dropped.append("input.reasoning")
        else:
            raise impossible(f"An input item of the type {kind!r}", where, FORMAT)
    return messages


def _message(item: Document, where: str) -> Document:
    role, content = item.get("role"), item.get("content")
    if role not in {"user", "assistant", "system", "developer"}:
        raise impossible(f"A message of the role {role!r}", f"{where}.role", FORMAT)
    # Few servers beside OpenAI's know the role `developer`.
    role = "system" if role == "developer" else role
    if isinstance(content, str):
        return {"role": role, "content": content}
    parts = [_part(part, place) for place, part in items(content, f"{where}.content")]
    if all(part["type"] == "text" for part in parts):
        return {"role": role, "content": "".join(part["text"] for part in parts)}
    return {"role": role, "content": parts}


def _part(part: Document, where: str) -> Document:
    kind = part.get("type")
    if kind in _PART_TEXTS:
        return {"type": "text", "text": text(part.get("text"), f"{where}.text")}
    if kind == "refusal":
        return {"type": "text", "text": text(part.get("refusal"), f"{where}.refusal")}
    if kind == "input_image" and part.get("image_url"):
        image = {"url": text(part["image_url"], f"{where}.image_url")}
        return {"type": "image_url", "image_url": image | ({"detail": part["detail"]} if part.get("detail") else {})}
    if kind == "input_file" and part.get("file_data"):
        file = {"filename": part.get("filename") or "file", "file_data": part["file_data"]}
        return {"type": "file", "file": file}
    raise impossible(f"A part of the type {kind!r} like this one", where, FORMAT)


def sealed(blocks: list[Document]) -> str:
    """Signed thoughts as the encrypted content of a reasoning item; the provider's signature guards them."""
    return _SEALED + base64.b64encode(msgspec.json.encode(blocks)).decode("ascii")


def unsealed(content: object) -> list[Document]:
    """The thoughts of a reasoning item that an answer of ours had; nothing for any other."""
    if not isinstance(content, str) or not content.startswith(_SEALED):
        return []
    try:
        found = msgspec.json.decode(base64.b64decode(content.removeprefix(_SEALED), validate=True))
    except (ValueError, msgspec.MsgspecError):
        return []
    return [block for block in found if isinstance(block, dict)] if isinstance(found, list) else []


def _taken(thoughts: list[Document], role: object) -> Document:
    """The thoughts that come before what an assistant says; none are left."""
    found = list(thoughts)
    thoughts.clear()
    return {"thinking_blocks": found} if found and role == "assistant" else {}


def _put_call(messages: list[Document], item: Document, where: str, thoughts: list[Document]) -> None:
    """Calls that follow one another, or an assistant's words, are one message in chat."""
    call = {
        "id": text(item.get("call_id"), f"{where}.call_id"),
        "type": "function",
        "function": {"name": text(item.get("name"), f"{where}.name"), "arguments": item.get("arguments") or "{}"},
    }
    if messages and messages[-1]["role"] == "assistant" and not thoughts:
        messages[-1].setdefault("tool_calls", []).append(call)
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call], **_taken(thoughts, "assistant")})


def _output(output: object, where: str) -> str:
    if isinstance(output, str):
        return output
    parts = [_part(part, place) for place, part in items(output, where)]
    if any(part["type"] != "text" for part in parts):
        raise impossible("A tool's output that is not text", where, FORMAT)
    return "\n".join(part["text"] for part in parts)


def _put_tools(chat: Document, request: Document) -> None:
    tools: list[Document] = []
    for where, tool in items(request.get("tools") or [], "tools"):
        if tool.get("type") != "function":
            raise impossible(f"The tool {tool.get('type')!r}", where, FORMAT)
        function = {
            name: tool[name] for name in ("name", "description", "parameters", "strict") if tool.get(name) is not None
        }
        tools.append({"type": "function", "function": function})
    if not tools:
        chat.pop("parallel_tool_calls", None)
        return
    chat["tools"] = tools
    choice: Any = request.get("tool_choice")
    if isinstance(choice, str):
        chat["tool_choice"] = choice
    elif choice is not None:
        if obj(choice, "tool_choice").get("type") != "function":
            raise impossible(f"A tool choice of the type {choice.get('type')!r}", "tool_choice", FORMAT)
        chat["tool_choice"] = {"type": "function", "function": {"name": text(choice.get("name"), "tool_choice.name")}}


def _put_text(chat: Document, request: Document, dropped: list[str]) -> None:
    settings = obj(request.get("text") or {}, "text")
    dropped += [f"text.{name}" for name in left_over(settings, ("format",))]
    wanted = obj(settings.get("format") or {"type": "text"}, "text.format")
    kind = wanted.get("type")
    if kind == "json_object":
        chat["response_format"] = {"type": "json_object"}
    elif kind == "json_schema":
        schema = {
            name: wanted[name] for name in ("name", "description", "schema", "strict") if wanted.get(name) is not None
        }
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif kind != "text":
        raise impossible(f"A text format of the type {kind!r}", "text.format", FORMAT)
