"""A chat completion as an answer in Anthropic's format, whole and streamed."""

from __future__ import annotations

import secrets
from typing import Any, Final

import msgspec

from scutum_server.wire.chat import Usage
from scutum_server.wire.errors import error_in
from scutum_server.wire.events import Splitter, event, payload_of
from scutum_server.wire.fields import Document, items, json_object, obj

_STOP: Final = {
    "stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use",
    "content_filter": "refusal",
}  # fmt: skip

_THOUGHT: Final = {"type": "thinking", "thinking": "", "signature": ""}


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def to_message(completion: Document, *, thinks: bool) -> Document:
    """The message of a completion's first choice; `thinks`: with the reasoning that it tells. Raises InvalidInput."""
    choice = next((choice for _, choice in items(completion.get("choices"), "choices")), None)
    said = obj(obj(choice, "choices[0]").get("message"), "choices[0].message")
    content: list[Document] = []
    if thinks and (thought := reasoning_in(said)):
        content.append(_THOUGHT | {"thinking": thought})
    words = said.get("content") or said.get("refusal")
    if isinstance(words, str) and words:
        content.append({"type": "text", "text": words})
    for where, call in items(said.get("tool_calls") or [], "tool_calls"):
        function = obj(call.get("function"), where)
        content.append(
            {
                "type": "tool_use",
                "id": str(call.get("id") or new_id("toolu")),
                "name": str(function.get("name") or ""),
                "input": json_object(function.get("arguments"), f"{where}.function.arguments"),
            }
        )
    reason, stop = obj(choice, "choices[0]").get("finish_reason"), stop_in(obj(choice, "choices[0]"))
    calls = any(block["type"] == "tool_use" for block in content)
    return {
        "id": str(completion.get("id") or new_id("msg")),
        "type": "message",
        "role": "assistant",
        "model": str(completion.get("model") or ""),
        "content": content,
        "stop_reason": "stop_sequence" if stop else stop_reason(reason, calls=calls, refused=bool(said.get("refusal"))),
        "stop_sequence": stop,
        "usage": usage_of(completion.get("usage")),
    }


def reasoning_in(said: Document) -> str:
    """The reasoning in a message or delta: servers of OpenAI's format call it by one of two names."""
    thought = said.get("reasoning_content") or said.get("reasoning")
    return thought if isinstance(thought, str) else ""


def stop_in(choice: Document) -> str | None:
    """The stop sequence that ended an answer, where the server says it: OpenAI's does not, vLLM and others do."""
    stop = choice.get("stop_reason")
    return stop if isinstance(stop, str) and choice.get("finish_reason") == "stop" else None


def stop_reason(reason: Any, *, calls: bool, refused: bool) -> str:
    """Some servers say `stop` after tool calls; whoever reads Anthropic's format waits for `tool_use`."""
    if refused:
        return "refusal"
    return "tool_use" if calls and reason in {"stop", None} else _STOP.get(reason, "end_turn")


def usage_of(usage: Any) -> Document:
    """OpenAI's counts in Anthropic's names; zeros when nothing was reported."""
    try:
        counts = msgspec.convert(usage or {}, Usage)
    except msgspec.ValidationError:
        counts = Usage()
    return {
        "input_tokens": max(0, (counts.prompt_tokens or 0) - counts.cached - counts.written),
        "cache_creation_input_tokens": counts.written,
        "cache_read_input_tokens": counts.cached,
        "output_tokens": counts.output,
    }


class ChatToMessages:
    """Turns chunks into the events of a message. One block is open at a time; the last event is for the caller.

    `thinks` says whether the client wants to see the reasoning.
    """

    def __init__(self, *, thinks: bool) -> None:
        self._thinks = thinks
        self.ended = False
        self.last = event("message_stop", {"type": "message_stop"})
        self._splitter = Splitter()
        self._begun = False
        self._usage: Any = None
        self._reason: Any = None
        self._stop: str | None = None
        self._refused = False
        self._blocks = 0
        self._open: tuple[str, int] | None = None
        self._calls: dict[int, int] = {}

    def feed(self, data: bytes) -> bytes:
        """Events for the chunks in `data`; raises InvalidInput for chunks that are none."""
        return b"".join([self._chunk(payload_of(each)) for each in self._splitter.feed(data)])

    def finish(self) -> bytes:
        """Closes the open block and tells why the answer ended and what was used."""
        reason = stop_reason(self._reason, calls=bool(self._calls), refused=self._refused)
        delta = {"stop_reason": "stop_sequence" if self._stop else reason, "stop_sequence": self._stop}
        end = {"type": "message_delta", "delta": delta, "usage": usage_of(self._usage)}
        return self._begin({}) + self._close() + event("message_delta", end)

    def _chunk(self, payload: bytes) -> bytes:
        if not payload or payload.strip() == b"[DONE]":
            return b""
        chunk = obj(msgspec.json.decode(payload), "chunk")
        if chunk.get("error"):
            theirs = error_in(payload)
            told = {"type": "api_error", "message": theirs["message"] or "The provider failed.", "code": theirs["code"]}
            return event("error", {"type": "error", "error": told})
        out = self._begin(chunk)
        self._usage = chunk.get("usage") or self._usage
        for _, choice in items(chunk.get("choices") or [], "choices"):
            if choice.get("index") in {0, None}:
                out += self._delta(obj(choice.get("delta") or {}, "delta"))
                self._reason = choice.get("finish_reason") or self._reason
                self._stop = stop_in(choice) or self._stop
        self.ended = self._reason is not None
        return out

    def _begin(self, chunk: Document) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        message: Document = {
            "id": str(chunk.get("id") or new_id("msg")), "type": "message", "role": "assistant", "content": [],
            "model": str(chunk.get("model") or ""), "stop_reason": None, "stop_sequence": None,
            "usage": usage_of(chunk.get("usage")),
        }  # fmt: skip
        return event("message_start", {"type": "message_start", "message": message})

    def _delta(self, delta: Document) -> bytes:
        out = b""
        thought = reasoning_in(delta) if self._thinks else ""
        if thought:
            out += self._open_as("thinking", _THOUGHT)
            out += self._piece(self._blocks - 1, {"type": "thinking_delta", "thinking": thought})
        words = delta.get("content") or delta.get("refusal")
        self._refused = self._refused or bool(delta.get("refusal"))
        if isinstance(words, str) and words:
            out += self._open_as("text", {"type": "text", "text": ""})
            out += self._piece(self._blocks - 1, {"type": "text_delta", "text": words})
        for where, call in items(delta.get("tool_calls") or [], "tool_calls"):
            number = call.get("index")
            number = number if isinstance(number, int) else len(self._calls)
            function = obj(call.get("function") or {}, where)
            if number not in self._calls:
                named = {"id": str(call.get("id") or new_id("toolu")), "name": str(function.get("name") or "")}
                out += self._close() + self._start({"type": "tool_use", **named, "input": {}})
                self._calls[number] = self._blocks - 1
            if function.get("arguments"):
                piece = {"type": "input_json_delta", "partial_json": str(function["arguments"])}
                out += self._piece(self._calls[number], piece)
        return out

    def _open_as(self, kind: str, block: Document) -> bytes:
        if self._open is not None and self._open[0] == kind:
            return b""
        return self._close() + self._start(block)

    def _start(self, block: Document) -> bytes:
        self._open = (block["type"], self._blocks)
        self._blocks += 1
        start = {"type": "content_block_start", "index": self._open[1], "content_block": block}
        return event("content_block_start", start)

    def _piece(self, index: int, delta: Document) -> bytes:
        return event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        index, self._open = self._open[1], None
        return event("content_block_stop", {"type": "content_block_stop", "index": index})
