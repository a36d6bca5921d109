"""An answer in Anthropic's format as a chat completion, whole and streamed."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import msgspec

from scutum_server.wire.errors import error_in
from scutum_server.wire.events import Splitter, payload_of
from scutum_server.wire.fields import Document, items, obj
from scutum_server.wire.messages import MessagesUsage, as_usage
from scutum_server.wire.sse import DONE
from scutum_server.wire.translate.chat import JSON_TOOL

_FINISH: Final = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "max_tokens": "length",
    "model_context_window_exceeded": "length", "tool_use": "tool_calls", "refusal": "content_filter",
}  # fmt: skip
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})


def to_chat(message: Document, *, json_tool: bool) -> Document:
    """The completion; `json_tool` says that the answer was asked for as the input of JSON_TOOL. Raises InvalidInput."""
    texts: list[str] = []
    thoughts: list[str] = []
    signed: list[Document] = []
    calls: list[Document] = []
    spoken_by_tool = False
    for _, block in items(message.get("content"), "content"):
        kind = block.get("type")
        if kind == "text":
            texts.append(str(block.get("text") or ""))
        elif kind in _THOUGHTS:
            thoughts.append(str(block.get("thinking") or ""))
            signed += _signed(block)
        elif kind == "tool_use":
            arguments = spelt(block.get("input"))
            if json_tool and block.get("name") == JSON_TOOL:
                spoken_by_tool = True
                texts.append(arguments)
            else:
                calls.append(_call(block, arguments))
    said: Document = {"role": "assistant", "content": "".join(texts) if texts else None, "refusal": None}
    if any(thoughts):
        said["reasoning_content"] = "".join(thoughts)
    if signed:
        said["thinking_blocks"] = signed
    if calls:
        said["tool_calls"] = calls
    finish = _finish(message.get("stop_reason"), spoken_by_tool=spoken_by_tool)
    usage = message.get("usage")
    return {
        "id": str(message.get("id") or ""),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": str(message.get("model") or ""),
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish}],
        "usage": usage_of(obj(usage, "usage")) if usage is not None else None,
    }


def spelt(arguments: Any) -> str:
    """JSON with the blanks that Anthropic's streams have in it: an answer is the same text, whole and streamed."""
    return json.dumps(arguments or {}, ensure_ascii=False)


def _signed(block: Document) -> list[Document]:
    """A block of thoughts as the provider wants it back, or nothing where it does not sign them."""
    if block.get("type") == "thinking" and not block.get("signature"):
        return []
    return [{name: value for name, value in block.items() if not name.startswith("_")}]


def usage_of(usage: Document) -> Document | None:
    """Anthropic's counts in OpenAI's names."""
    try:
        counts = as_usage(msgspec.convert(usage, MessagesUsage))
    except msgspec.ValidationError:
        return None
    if counts is None:
        return None
    taken, given = counts.prompt_tokens or 0, counts.completion_tokens or 0
    return {
        "prompt_tokens": taken,
        "completion_tokens": given,
        "total_tokens": taken + given,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": counts.written},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    }


def _call(block: Document, arguments: str) -> Document:
    return {
        "id": str(block.get("id") or ""),
        "type": "function",
        "function": {"name": str(block.get("name") or ""), "arguments": arguments},
    }


def _finish(reason: Any, *, spoken_by_tool: bool) -> str:
    if spoken_by_tool and reason == "tool_use":
        return "stop"
    return _FINISH.get(reason, "stop")


class MessagesToChat:
    """Turns the events of a message into chunks; `usage` says whether the client asked for the usage chunk."""

    def __init__(self, *, json_tool: bool, usage: bool) -> None:
        self.ended = False
        self.last = DONE
        self._splitter = Splitter()
        self._json_tool = json_tool
        self._show_usage = usage
        self._frame: Document = {"id": "", "object": "chat.completion.chunk", "created": int(time.time()), "model": ""}
        self._counts: Document = {}
        self._calls = 0
        self._open: Document = {}
        self._thought: list[str] = []
        self._signature: list[str] = []
        self._spoke_by_tool = False

    def feed(self, data: bytes) -> bytes:
        """Chunks for the events in `data`; raises InvalidInput for events that are none."""
        return b"".join([self._event(event) for event in self._splitter.feed(data)])

    def finish(self) -> bytes:
        """The usage chunk, if it is wanted."""
        usage = usage_of(self._counts) if self._show_usage else None
        return self._encode({"choices": [], "usage": usage}) if usage is not None else b""

    def _event(self, event: bytes) -> bytes:
        payload = payload_of(event)
        if not payload:
            return b""
        found = obj(msgspec.json.decode(payload), "event")
        kind = found.get("type")
        if kind == "content_block_delta":
            return self._delta(obj(found.get("delta"), "delta"))
        if kind == "content_block_start":
            return self._start(obj(found.get("content_block"), "content_block"))
        if kind == "content_block_stop":
            return self._stop()
        if kind == "message_start":
            message = obj(found.get("message"), "message")
            self._frame |= {"id": str(message.get("id") or ""), "model": str(message.get("model") or "")}
            self._count(message.get("usage"))
            return self._chunk({"role": "assistant", "content": "", "refusal": None})
        if kind == "message_delta":
            self._count(found.get("usage"))
            reason = obj(found.get("delta"), "delta").get("stop_reason")
            if reason is None:
                return b""
            self.ended = True
            return self._chunk({}, _finish(reason, spoken_by_tool=self._spoke_by_tool))
        if kind == "error":
            return b"data: %b\n\n" % msgspec.json.encode({"error": error_in(payload)})
        return b""

    def _start(self, block: Document) -> bytes:
        self._open = block | {"_sent": False}
        if block.get("type") == "text" and block.get("text"):
            return self._chunk({"content": block["text"]})
        if block.get("type") != "tool_use":
            return b""
        if self._json_tool and block.get("name") == JSON_TOOL:
            self._spoke_by_tool = self._open["_answer"] = True
            return b""
        self._calls += 1
        return self._chunk({"tool_calls": [{"index": self._calls - 1, **_call(block, "")}]})

    def _delta(self, delta: Document) -> bytes:
        kind = delta.get("type")
        if kind == "text_delta":
            return self._chunk({"content": delta.get("text") or ""})
        if kind == "thinking_delta":
            self._thought.append(str(delta.get("thinking") or ""))
            return self._chunk({"reasoning_content": self._thought[-1]})
        if kind == "signature_delta":
            self._signature.append(str(delta.get("signature") or ""))
        if kind == "input_json_delta" and delta.get("partial_json"):
            return self._arguments(str(delta["partial_json"]))
        return b""

    def _stop(self) -> bytes:
        """A tool's input that never came in pieces is said now: a client must be able to parse what it got.

        Signed thoughts are told as a whole, for a client that sends them back.
        """
        kind = self._open.get("type")
        if kind == "tool_use" and not self._open["_sent"]:
            return self._arguments(spelt(self._open.get("input")))
        if kind not in _THOUGHTS:
            return b""
        block = self._open
        if kind == "thinking":
            block |= {"thinking": "".join(self._thought), "signature": "".join(self._signature)}
        self._thought, self._signature = [], []
        signed = _signed(block)
        return self._chunk({"thinking_blocks": signed}) if signed else b""

    def _arguments(self, piece: str) -> bytes:
        self._open["_sent"] = True
        if self._open.get("_answer"):
            return self._chunk({"content": piece})
        return self._chunk({"tool_calls": [{"index": max(self._calls - 1, 0), "function": {"arguments": piece}}]})

    def _count(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._counts |= {name: count for name, count in usage.items() if count is not None}

    def _chunk(self, delta: Document, finish: str | None = None) -> bytes:
        body: Document = {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}
        return self._encode(body | {"usage": None} if self._show_usage else body)

    def _encode(self, body: Document) -> bytes:
        return b"data: %b\n\n" % msgspec.json.encode(self._frame | body)
