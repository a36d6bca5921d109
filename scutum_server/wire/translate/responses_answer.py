"""A chat completion as a Response."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from scutum_server.wire.chat import Usage
from scutum_server.wire.fields import Document, items, obj
from scutum_server.wire.translate.messages_answer import new_id, reasoning_in
from scutum_server.wire.translate.responses import ENCRYPTED, sealed

_ECHOED: Final[Document] = {
    "background": False, "instructions": None, "max_output_tokens": None, "max_tool_calls": None, "metadata": {},
    "parallel_tool_calls": True, "prompt_cache_key": None, "safety_identifier": None, "temperature": 1.0,
    "tool_choice": "auto", "tools": [], "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled",
}  # fmt: skip
"""What a response repeats of its request, and what it says when the request did not."""
SEALS: Final = "_seals"
"""Whether the client wants its reasoning items sealed; never sent."""
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


def frame_of(request: Document) -> Document:
    """A response that has not said anything yet."""
    echoed = {name: default if request.get(name) is None else request[name] for name, default in _ECHOED.items()}
    reasoning = request.get("reasoning") or {}
    wanted = request.get("text") or {}
    echoed["tools"] = [{"description": None, "strict": None, "parameters": None} | tool for tool in echoed["tools"]]
    if request.get("user") is not None:
        echoed["user"] = request["user"]
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": request["model"],
        "output": [],
        "previous_response_id": None,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "service_tier": "default",
        # Nothing is kept here: a response that a translation made cannot be asked for again.
        "store": False,
        "text": {"format": wanted.get("format") or {"type": "text"}},
        "usage": None,
        SEALS: ENCRYPTED in (request.get("include") or ()),
        **echoed,
    }


def to_response(completion: Document, frame: Document) -> Document:
    """The response of a completion's first choice, on the request's frame; raises InvalidInput."""
    choice = next((choice for _, choice in items(completion.get("choices"), "choices")), None)
    choice = obj(choice, "choices[0]")
    said = obj(choice.get("message"), "choices[0].message")
    output = reasoning_items(reasoning_in(said), said.get("thinking_blocks") or [], frame)
    content: list[Document] = []
    if said.get("content"):
        logprobs = (choice.get("logprobs") or {}).get("content") or []
        content.append(text_part(str(said["content"]), logprobs))
    if said.get("refusal"):
        content.append({"type": "refusal", "refusal": str(said["refusal"])})
    calls = [obj(call.get("function"), where) | {"id": call.get("id")} for where, call in items(
        said.get("tool_calls") or [], "tool_calls")]  # fmt: skip
    if content or not calls:
        output.append(message_item(new_id("msg"), content, "completed"))
    output += [call_item(new_id("fc"), call, str(call.get("arguments") or "{}"), "completed") for call in calls]
    model = completion.get("model")
    frame = public(frame)
    return ended(frame | ({"model": model} if model else {}), output, choice.get("finish_reason"), completion)


def ended(frame: Document, output: list[Document], reason: Any, completion: Document) -> Document:
    """`frame` with its last status."""
    why = _INCOMPLETE.get(reason)
    return frame | {
        "status": "completed" if why is None else "incomplete",
        "completed_at": int(time.time()) if why is None else None,
        "incomplete_details": None if why is None else {"reason": why},
        "output": output,
        "usage": usage_of(completion.get("usage")),
    }


def usage_of(usage: Any) -> Document | None:
    """Chat's counts in the names of Responses; None when nothing was reported."""
    try:
        counts = msgspec.convert(usage or {}, Usage)
    except msgspec.ValidationError:
        return None
    if counts.prompt_tokens is None:
        return None
    given = counts.output
    return {
        "input_tokens": counts.prompt_tokens,
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": counts.written},
        "output_tokens": given,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.prompt_tokens + given,
    }


def reasoning_items(thought: str, signed: list[Document], frame: Document) -> list[Document]:
    """The item that tells an answer's reasoning, if there is any; sealed for a client that wants to send it back."""
    if not thought and not signed:
        return []
    item = reasoning_item(new_id("rs"), thought)
    if frame.get(SEALS) and signed:
        item["encrypted_content"] = sealed(signed)
    return [item]


def reasoning_item(item_id: str, thought: str) -> Document:
    summary = [{"type": "summary_text", "text": thought}] if thought else []
    return {"id": item_id, "type": "reasoning", "summary": summary}


def public(frame: Document) -> Document:
    """`frame` without what it only holds for us."""
    return {name: value for name, value in frame.items() if name != SEALS}


def text_part(text: str, logprobs: list[Any]) -> Document:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def message_item(item_id: str, content: list[Document], status: str) -> Document:
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": content}


def call_item(item_id: str, call: Document, arguments: str, status: str) -> Document:
    """`call` has the `id` that a result must name, and the function's `name`."""
    return {
        "id": item_id,
        "type": "function_call",
        "call_id": str(call.get("id") or new_id("call")),
        "name": str(call.get("name") or ""),
        "arguments": arguments,
        "status": status,
    }
