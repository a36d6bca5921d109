"""A Messages request in OpenAI's chat format."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scutum_server.wire import gpt
from scutum_server.wire.fields import Document, impossible, is_set, items, left_over, obj, text
from scutum_server.wire.json_schema import is_strict

FORMAT: Final = "OpenAI's chat format"

_PASSED: Final = ("model", "stream", "temperature", "top_p")
_TRANSLATED: Final = frozenset({
    *_PASSED, "messages", "system", "max_tokens", "stop_sequences", "tools", "tool_choice", "metadata", "thinking",
    "output_config", "output_format",
})  # fmt: skip
_LEFT_OUT: Final = frozenset({
    "betas", "billing_policy", "cache_control", "compaction", "container", "context_management", "diagnostics",
    "fallback_credit_token", "fallbacks", "inference_geo", "mcp_servers", "service_tier", "speed", "thread", "top_k",
    "user_profile_id", "workspace_id",
})  # fmt: skip
"""Fields of Messages for which chat has no word."""
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})


def to_chat(request: Document, cap_field: str) -> tuple[Document, list[str]]:
    """The request, and the names of fields that were left out; raises InvalidInput for what cannot be said.

    Fields that Messages does not know are the provider's own, and pass.
    """
    dropped = [name for name in request if name in _LEFT_OUT and is_set(request[name])]
    chat: Document = {name: request[name] for name in _PASSED if request.get(name) is not None}
    chat |= {name: request[name] for name in request.keys() - _TRANSLATED - _LEFT_OUT}
    chat["messages"] = _conversation(request, dropped)
    chat[gpt.cap_field(request["model"], cap_field)] = request["max_tokens"]
    gpt.without_sampling(chat, dropped)
    if request.get("stop_sequences"):
        chat["stop"] = request["stop_sequences"]
    metadata = obj(request.get("metadata") or {}, "metadata")
    if isinstance(metadata.get("user_id"), str):
        chat["user"] = metadata["user_id"]
    _put_tools(chat, request, dropped)
    _put_format(chat, request, dropped)
    _put_effort(chat, request, dropped)
    if b'"cache_control"' in msgspec.json.encode(request):
        dropped.append("cache_control")
    return chat, list(dict.fromkeys(dropped))


def _put_effort(chat: Document, request: Document, dropped: list[str]) -> None:
    """A wish to think is told to models that are known to hear it."""
    thinking = obj(request.get("thinking") or {}, "thinking")
    effort = gpt.effort_of(thinking, obj(request.get("output_config") or {}, "output_config").get("effort"))
    if effort is None:
        return
    if gpt.reasons(request["model"]):
        chat["reasoning_effort"] = effort
        return
    if thinking.get("type") in {"enabled", "adaptive"}:
        dropped.append("thinking")
    else:
        dropped.append("output_config.effort")


def _conversation(request: Document, dropped: list[str]) -> list[Document]:
    messages: list[Document] = []
    system = request.get("system")
    if system:
        said = system if isinstance(system, str) else _joined(system, "system")
        messages.append({"role": "system", "content": said})
    for where, message in items(request.get("messages"), "messages"):
        role, content = message.get("role"), message.get("content")
        if role not in {"user", "assistant", "system"}:
            raise impossible(f"A message of the role {role!r}", f"{where}.role", FORMAT)
        if isinstance(content, str):
            messages.append({"role": role, "content": content})
        elif role == "assistant":
            messages.append(_assistant(content, f"{where}.content", dropped))
        else:
            messages += _turn(role, content, f"{where}.content", dropped)
    return messages


def _joined(blocks: object, where: str) -> str:
    return "\n\n".join(text(block.get("text"), f"{place}.text") for place, block in items(blocks, where))


def _turn(role: str, content: object, where: str, dropped: list[str]) -> list[Document]:
    """Tool results are messages of their own, before the rest; what they show of images follows them."""
    results: list[Document] = []
    parts: list[Document] = []
    for place, block in items(content, where):
        if block.get("type") == "tool_result":
            told, shown = _result(block, place, dropped)
            results.append(told)
            parts += shown
        else:
            parts.append(_part(block, place))
    if len(parts) == 1 and parts[0]["type"] == "text":
        return [*results, {"role": role, "content": parts[0]["text"]}]
    return [*results, {"role": role, "content": parts}] if parts else results


def _result(block: Document, where: str, dropped: list[str]) -> tuple[Document, list[Document]]:
    content = block.get("content")
    shown: list[Document] = []
    if content is None or isinstance(content, str):
        said = content or ""
    else:
        parts = [_part(part, place) for place, part in items(content, f"{where}.content")]
        said = "\n".join(part["text"] for part in parts if part["type"] == "text")
        shown = [part for part in parts if part["type"] != "text"]
    if block.get("is_error"):
        dropped.append("tool_result.is_error")
    told = {"role": "tool", "tool_call_id": text(block.get("tool_use_id"), f"{where}.tool_use_id"), "content": said}
    return told, shown


def _part(block: Document, where: str) -> Document:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": text(block.get("text"), f"{where}.text")}
    if kind not in {"image", "document"}:
        raise impossible(f"A block of the type {kind!r}", where, FORMAT)
    source = obj(block.get("source"), f"{where}.source")
    way = source.get("type")
    if way == "text":
        return {"type": "text", "text": text(source.get("data"), f"{where}.source.data")}
    if way == "base64":
        url = f"data:{source.get('media_type')};base64,{text(source.get('data'), f'{where}.source.data')}"
        if kind == "image":
            return {"type": "image_url", "image_url": {"url": url}}
        name = block.get("title") or "document.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": url}}
    if way == "url" and kind == "image":
        return {"type": "image_url", "image_url": {"url": text(source.get("url"), f"{where}.source.url")}}
    raise impossible(f"A {kind} whose source is of the type {way!r}", f"{where}.source", FORMAT)


def _assistant(content: object, where: str, dropped: list[str]) -> Document:
    texts: list[str] = []
    calls: list[Document] = []
    for place, block in items(content, where):
        kind = block.get("type")
        if kind == "text":
            texts.append(text(block.get("text"), f"{place}.text"))
        elif kind == "tool_use":
            arguments = msgspec.json.encode(block.get("input") or {}).decode()
            function = {"name": text(block.get("name"), f"{place}.name"), "arguments": arguments}
            calls.append({"id": text(block.get("id"), f"{place}.id"), "type": "function", "function": function})
        elif kind in _THOUGHTS:
            dropped.append("thinking")
        else:
            raise impossible(f"A block of the type {kind!r}", place, FORMAT)
    said: Document = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    return said | ({"tool_calls": calls} if calls else {})


def _put_tools(chat: Document, request: Document, dropped: list[str]) -> None:
    tools: list[Document] = []
    for where, tool in items(request.get("tools") or [], "tools"):
        if tool.get("type") not in {None, "custom"}:
            raise impossible(f"The tool {tool.get('type')!r}", where, FORMAT)
        function: Document = {"name": text(tool.get("name"), f"{where}.name")}
        if tool.get("description"):
            function["description"] = tool["description"]
        function["parameters"] = tool.get("input_schema") or {"type": "object", "properties": {}}
        if tool.get("strict") is not None:
            function["strict"] = bool(tool["strict"]) and is_strict(function["parameters"])
            if tool["strict"] and not function["strict"]:
                dropped.append("tools.strict")
        others = left_over(tool, ("type", "name", "description", "input_schema", "strict", "cache_control"))
        dropped += [f"tools.{name}" for name in others]
        tools.append({"type": "function", "function": function})
    if not tools:
        return
    chat["tools"] = tools
    choice = request.get("tool_choice")
    if choice is None:
        return
    kind = obj(choice, "tool_choice").get("type")
    if kind == "tool":
        chat["tool_choice"] = {"type": "function", "function": {"name": text(choice.get("name"), "tool_choice.name")}}
    elif kind in {"auto", "any", "none"}:
        chat["tool_choice"] = "required" if kind == "any" else kind
    else:
        raise impossible(f"A tool choice of the type {kind!r}", "tool_choice", FORMAT)
    if choice.get("disable_parallel_tool_use"):
        chat["parallel_tool_calls"] = False


def _put_format(chat: Document, request: Document, dropped: list[str]) -> None:
    config = obj(request.get("output_config") or {}, "output_config")
    dropped += [f"output_config.{name}" for name in left_over(config, ("format", "effort"))]
    wanted: Any = config.get("format") or request.get("output_format")
    if wanted is None:
        return
    kind = obj(wanted, "output_config.format").get("type")
    if kind != "json_schema":
        raise impossible(f"An output format of the type {kind!r}", "output_config.format", FORMAT)
    schema = wanted.get("schema") or {}
    described = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
    chat["response_format"] = {"type": "json_schema", "json_schema": described}
