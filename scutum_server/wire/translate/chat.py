"""A chat completion request in Anthropic's format."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scutum_server.wire.claude import thinks_in, tune
from scutum_server.wire.fields import Document, data_url, impossible, is_set, items, json_object, obj, text
from scutum_server.wire.json_schema import for_anthropic

FORMAT: Final = "Anthropic's format"
JSON_TOOL: Final = "json_answer"
"""The tool whose input is the answer when a client wants JSON of a given schema."""

_PASSED: Final = ("model", "stream", "thinking")
_TRANSLATED: Final = frozenset({
    *_PASSED, "messages", "max_tokens", "max_completion_tokens", "stop", "temperature", "top_p", "top_k", "tools",
    "tool_choice", "parallel_tool_calls", "response_format", "user", "n", "logprobs", "top_logprobs", "stream_options",
    "modalities", "functions", "function_call", "audio", "reasoning_effort",
})  # fmt: skip
_LEFT_OUT: Final = frozenset({
    "frequency_penalty", "logit_bias", "metadata", "moderation", "prediction", "presence_penalty", "prompt_cache_key",
    "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "seed", "service_tier", "store", "verbosity",
    "web_search_options",
})  # fmt: skip
"""Fields of chat for which Anthropic's format has no word."""
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})


def to_messages(chat: Document, max_tokens: int, *, has_schemas: bool = False) -> tuple[Document, list[str]]:
    """The request, and the names of fields that were left out; raises InvalidInput for what cannot be said.

    `has_schemas` says that the server takes JSON schemas for its answer and its tools' inputs. Fields that chat does
    not know are the provider's own, and pass.
    """
    _refuse(chat)
    dropped = [name for name in chat if name in _LEFT_OUT and is_set(chat[name])]
    system, turns = _conversation(chat["messages"])
    bound = chat.get("max_completion_tokens") or chat.get("max_tokens") or max_tokens
    made: Document = {"model": chat["model"], "max_tokens": bound, "messages": turns}
    made |= {name: chat[name] for name in _PASSED if chat.get(name) is not None}
    made |= {name: chat[name] for name in chat.keys() - _TRANSLATED - _LEFT_OUT}
    stop = chat.get("stop")
    if stop:
        made["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if isinstance(chat.get("user"), str):
        made["metadata"] = {"user_id": chat["user"]}
    _put_tools(made, chat, dropped, has_schemas=has_schemas)
    _put_format(made, system, chat.get("response_format"), has_schemas=has_schemas)
    if system:
        made["system"] = system
    tune(made, chat, dropped)
    return made, dropped


def _refuse(chat: Document) -> None:
    if chat.get("n") not in {None, 1}:
        raise impossible("More than one choice", "n", FORMAT)
    for name in ("logprobs", "top_logprobs"):
        if is_set(chat.get(name)):
            raise impossible("The field `logprobs`", name, FORMAT)
    for name in ("functions", "function_call"):
        if is_set(chat.get(name)):
            raise impossible(f"The old field `{name}` (use `tools`)", name, FORMAT)
    modalities = chat.get("modalities")
    if is_set(chat.get("audio")) or (modalities and modalities != ["text"]):
        raise impossible("An answer in audio", "modalities", FORMAT)


def _conversation(messages: object) -> tuple[list[Document], list[Document]]:
    """The system's blocks, and the turns: neighbours of one role are one turn, so results stand together."""
    system: list[Document] = []
    turns: list[Document] = []
    for where, message in items(messages, "messages"):
        role = message.get("role")
        if role in {"system", "developer"}:
            system += _blocks(message.get("content"), f"{where}.content")
            continue
        if role == "user":
            blocks = _blocks(message.get("content"), f"{where}.content")
        elif role == "assistant":
            blocks = _assistant(message, where)
        elif role == "tool":
            role, blocks = "user", [_result(message, where)]
        else:
            raise impossible(f"A message of the role {role!r}", f"{where}.role", FORMAT)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return system, turns


def _blocks(content: object, where: str) -> list[Document]:
    """Texts that are empty are left out: Anthropic refuses them."""
    if content is None or isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    found = [_block(part, place) for place, part in items(content, where)]
    return [block for block in found if block.get("text") != ""]


def _block(part: Document, where: str) -> Document:
    kind = part.get("type")
    if kind == "text":
        block: Document = {"type": "text", "text": text(part.get("text"), f"{where}.text")}
    elif kind == "refusal":
        block = {"type": "text", "text": text(part.get("refusal"), f"{where}.refusal")}
    elif kind == "image_url":
        block = {"type": "image", "source": _source(obj(part.get("image_url"), where).get("url"), f"{where}.image_url")}
    elif kind == "file":
        file = obj(part.get("file"), f"{where}.file")
        if not file.get("file_data"):
            raise impossible("A file that is only named by its id", where, FORMAT)
        block = {"type": "document", "source": _source(file["file_data"], f"{where}.file.file_data")}
        if file.get("filename"):
            block["title"] = file["filename"]
    else:
        raise impossible(f"A part of the type {kind!r}", where, FORMAT)
    if part.get("cache_control") is not None:
        block["cache_control"] = part["cache_control"]
    return block


def _source(url: object, where: str) -> Document:
    spelt = text(url, where)
    inline = data_url(spelt)
    if inline is not None:
        return {"type": "base64", "media_type": inline[0], "data": inline[1]}
    if spelt.lower().startswith("data:"):
        raise impossible("A data URL that is not base64", where, FORMAT)
    return {"type": "url", "url": spelt}


def _assistant(message: Document, where: str) -> list[Document]:
    if is_set(message.get("function_call")):
        raise impossible("The old field `function_call` (use `tool_calls`)", where, FORMAT)
    blocks = _thoughts(message, where)
    said = _blocks(message.get("content"), f"{where}.content")
    blocks += said or (_blocks(message["refusal"], f"{where}.refusal") if message.get("refusal") else [])
    for place, call in items(message.get("tool_calls") or [], f"{where}.tool_calls"):
        if call.get("type", "function") != "function":
            raise impossible(f"A tool call of the type {call['type']!r}", place, FORMAT)
        function = obj(call.get("function"), f"{place}.function")
        blocks.append(
            {
                "type": "tool_use",
                "id": text(call.get("id"), f"{place}.id"),
                "name": text(function.get("name"), f"{place}.function.name"),
                "input": json_object(function.get("arguments"), f"{place}.function.arguments"),
            }
        )
    return blocks


def _thoughts(message: Document, where: str) -> list[Document]:
    """The signed thoughts that an answer came with: Anthropic wants them back before the results of its calls."""
    found = [block for _, block in items(message.get("thinking_blocks") or [], f"{where}.thinking_blocks")]
    return [block for block in found if block.get("type") in _THOUGHTS]


def _result(message: Document, where: str) -> Document:
    block: Document = {
        "type": "tool_result",
        "tool_use_id": text(message.get("tool_call_id"), f"{where}.tool_call_id"),
    }
    content = _blocks(message.get("content"), f"{where}.content")
    return block | ({"content": content} if content else {})


def _put_tools(made: Document, chat: Document, dropped: list[str], *, has_schemas: bool) -> None:
    tools: list[Document] = []
    for where, tool in items(chat.get("tools") or [], "tools"):
        if tool.get("type") != "function":
            raise impossible(f"A tool of the type {tool.get('type')!r}", where, FORMAT)
        function = obj(tool.get("function"), f"{where}.function")
        schema = function.get("parameters") or {"type": "object", "properties": {}}
        entry = {"name": text(function.get("name"), f"{where}.function.name"), "input_schema": schema}
        if function.get("description"):
            entry["description"] = function["description"]
        if tool.get("cache_control") is not None:
            entry["cache_control"] = tool["cache_control"]
        if function.get("strict"):
            enforced = for_anthropic(schema) if has_schemas else None
            if enforced is not None:
                entry |= {"input_schema": enforced, "strict": True}
            elif "tools.strict" not in dropped:
                dropped.append("tools.strict")
        tools.append(entry)
    if not tools:
        return
    made["tools"] = tools
    choice = _choice(chat.get("tool_choice"))
    if chat.get("parallel_tool_calls") is False and choice != {"type": "none"}:
        choice = (choice or {"type": "auto"}) | {"disable_parallel_tool_use": True}
    if choice is not None:
        made["tool_choice"] = choice


def _choice(choice: Any) -> Document | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in {"auto", "none", "required"}:
        return {"type": "any" if choice == "required" else choice}
    named = obj(choice, "tool_choice")
    if named.get("type") != "function":
        raise impossible(f"A tool choice of the type {named.get('type')!r}", "tool_choice", FORMAT)
    return {"type": "tool", "name": text(obj(named.get("function"), "tool_choice.function").get("name"), "tool_choice")}


def _put_format(made: Document, system: list[Document], wanted: Any, *, has_schemas: bool) -> None:
    """Where the server has no field for a schema, JSON is the input of one forced tool.

    Tools of the client's own, and thinking, forbid that: then an instruction asks.
    """
    if wanted is None:
        return
    kind = obj(wanted, "response_format").get("type")
    if kind == "text":
        return
    if kind == "json_object":
        system.append(
            {"type": "text", "text": "Answer with one JSON object and nothing else: no prose, no code fence."}
        )
        return
    if kind != "json_schema":
        raise impossible(f"A response format of the type {kind!r}", "response_format", FORMAT)
    described = obj(wanted.get("json_schema"), "response_format.json_schema")
    schema = obj(described.get("schema") or {"type": "object"}, "response_format.json_schema.schema")
    enforced = for_anthropic(schema) if has_schemas else None
    if enforced is not None:
        made["output_config"] = made.get("output_config", {}) | {"format": {"type": "json_schema", "schema": enforced}}
        return
    if "tools" in made or thinks_in(made) or schema.get("type") != "object":
        spelt = msgspec.json.encode(schema).decode()
        words = f"Answer with JSON that is valid against this schema, and nothing else, no code fence: {spelt}"
        system.append({"type": "text", "text": words})
        return
    about = described.get("description") or f"Gives the answer ({described.get('name', 'as JSON')})."
    made["tools"] = [{"name": JSON_TOOL, "description": about, "input_schema": schema}]
    made["tool_choice"] = {"type": "tool", "name": JSON_TOOL}
