"""A stream of chat chunks as the events of a Response."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from scutum_server.wire.errors import error_in
from scutum_server.wire.events import Splitter, event, payload_of
from scutum_server.wire.fields import Document, items, obj
from scutum_server.wire.sse import DONE
from scutum_server.wire.translate.messages_answer import new_id, reasoning_in
from scutum_server.wire.translate.responses import sealed
from scutum_server.wire.translate.responses_answer import (
    SEALS,
    call_item,
    ended,
    message_item,
    public,
    reasoning_item,
    text_part,
)

_PREFIXES: Final = {"call": "fc", "reasoning": "rs"}
"""Of items that are no messages."""


class _Item(Struct):
    """One item of the output while it grows: a message's text (or refusal), a call's arguments, or reasoning.

    `call` is what else the item says: a call's id and name, or sealed thoughts.
    """

    index: int
    id: str
    kind: str
    call: Document
    said: list[str]
    logprobs: list[Any]

    def document(self, *, done: bool) -> Document:
        said, status = "".join(self.said), "completed" if done else "in_progress"
        if self.kind == "call":
            return call_item(self.id, self.call, (said or "{}") if done else "", status)
        if self.kind == "reasoning":
            return reasoning_item(self.id, said if done else "") | self.call
        return message_item(self.id, [self.part(done=done)] if done else [], status)

    def part(self, *, done: bool) -> Document:
        said = "".join(self.said) if done else ""
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": said}
        return text_part(said, self.logprobs if done else [])


class ChatToResponses:
    """Turns chunks into events; the last one, with the whole response, is for the caller."""

    def __init__(self, frame: Document) -> None:
        self.ended = False
        self.last = b""
        self._splitter = Splitter()
        self._seals = bool(frame.get(SEALS))
        self._frame = public(frame)
        self._signed: list[Document] = []
        self._sequence = 0
        self._begun = False
        self._items: list[_Item] = []
        self._open: _Item | None = None
        self._calls: dict[int, _Item] = {}
        self._reason: Any = None
        self._usage: Any = None

    def feed(self, data: bytes) -> bytes:
        """Events for the chunks in `data`; raises InvalidInput for chunks that are none."""
        return b"".join([self._chunk(payload_of(each)) for each in self._splitter.feed(data)])

    def finish(self) -> bytes:
        """Closes what is open, and prepares the last event."""
        out = self._begin({}) + self._close()
        if all(item.kind == "reasoning" for item in self._items):
            out += self._start("text", {}) + self._close()
        output = [item.document(done=True) for item in self._items]
        whole = ended(self._frame, output, self._reason, {"usage": self._usage})
        self.last = self._event(f"response.{whole['status']}", {"response": whole}) + DONE
        return out

    def _chunk(self, payload: bytes) -> bytes:
        if not payload or payload.strip() == b"[DONE]":
            return b""
        chunk = obj(msgspec.json.decode(payload), "chunk")
        if chunk.get("error"):
            theirs = error_in(payload)
            told = {"code": theirs["code"], "message": theirs["message"] or "The provider failed.", "param": None}
            return self._event("error", told)
        out = self._begin(chunk)
        self._usage = chunk.get("usage") or self._usage
        for where, choice in items(chunk.get("choices") or [], "choices"):
            if choice.get("index") in {0, None}:
                out += self._delta(obj(choice.get("delta") or {}, where), choice)
                self._reason = choice.get("finish_reason") or self._reason
        self.ended = self._reason is not None
        return out

    def _begin(self, chunk: Document) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        if chunk.get("model"):
            self._frame = self._frame | {"model": chunk["model"]}
        response = {"response": self._frame}
        return self._event("response.created", response) + self._event("response.in_progress", response)

    def _delta(self, delta: Document, choice: Document) -> bytes:
        out = b""
        thought = reasoning_in(delta)
        if thought:
            out += self._think(thought)
        if delta.get("thinking_blocks"):
            out += self._keep(delta["thinking_blocks"])
        if isinstance(delta.get("content"), str) and delta["content"]:
            logprobs = (choice.get("logprobs") or {}).get("content") or []
            out += self._say("text", delta["content"], logprobs)
        if isinstance(delta.get("refusal"), str) and delta["refusal"]:
            out += self._say("refusal", delta["refusal"], [])
        for where, call in items(delta.get("tool_calls") or [], "tool_calls"):
            number = call.get("index")
            number = number if isinstance(number, int) else len(self._calls)
            function = obj(call.get("function") or {}, where)
            if number not in self._calls:
                named = {"id": call.get("id") or new_id("call"), "name": function.get("name")}
                out += self._close() + self._start("call", named)
                self._calls[number] = self._items[-1]
            if function.get("arguments"):
                item = self._calls[number]
                item.said.append(str(function["arguments"]))
                out += self._about(item, "response.function_call_arguments.delta", delta=str(function["arguments"]))
        return out

    def _say(self, kind: str, piece: str, logprobs: list[Any]) -> bytes:
        out = b""
        if self._open is None or self._open.kind != kind:
            out = self._close() + self._start(kind, {})
        item = self._items[-1]
        item.said.append(piece)
        item.logprobs += logprobs
        if kind == "refusal":
            return out + self._about(item, "response.refusal.delta", content_index=0, delta=piece)
        return out + self._about(item, "response.output_text.delta", content_index=0, delta=piece, logprobs=logprobs)

    def _think(self, piece: str) -> bytes:
        out = b""
        if self._open is None or self._open.kind != "reasoning":
            out = self._close() + self._start("reasoning", {})
        item = self._items[-1]
        if not item.said:
            part = {"type": "summary_text", "text": ""}
            out += self._about(item, "response.reasoning_summary_part.added", summary_index=0, part=part)
        item.said.append(piece)
        return out + self._about(item, "response.reasoning_summary_text.delta", summary_index=0, delta=piece)

    def _keep(self, signed: list[Document]) -> bytes:
        """Thoughts whose provider wants them back; they come before the item is done."""
        if not self._seals:
            return b""
        out = b""
        if self._open is None or self._open.kind != "reasoning":
            out = self._close() + self._start("reasoning", {})
        self._signed += signed
        return out

    def _start(self, kind: str, call: Document) -> bytes:
        item = _Item(len(self._items), new_id(_PREFIXES.get(kind, "msg")), kind, call, [], [])
        self._items.append(item)
        self._open = item
        added = {"output_index": item.index, "item": item.document(done=False)}
        out = self._event("response.output_item.added", added)
        if kind not in _PREFIXES:
            out += self._about(item, "response.content_part.added", content_index=0, part=item.part(done=False))
        return out

    def _close(self) -> bytes:
        item, self._open = self._open, None
        if item is None:
            return b""
        said = "".join(item.said)
        if item.kind == "call":
            name = str(item.call.get("name") or "")
            out = self._about(item, "response.function_call_arguments.done", arguments=said or "{}", name=name)
        elif item.kind == "reasoning":
            out = self._end_thought(item, said)
        else:
            if item.kind == "refusal":
                out = self._about(item, "response.refusal.done", content_index=0, refusal=said)
            else:
                out = self._about(item, "response.output_text.done", content_index=0, text=said, logprobs=item.logprobs)
            out += self._about(item, "response.content_part.done", content_index=0, part=item.part(done=True))
        done = {"output_index": item.index, "item": item.document(done=True)}
        return out + self._event("response.output_item.done", done)

    def _end_thought(self, item: _Item, said: str) -> bytes:
        if self._signed:
            item.call = {"encrypted_content": sealed(self._signed)}
            self._signed = []
        if not said:
            return b""
        part = {"type": "summary_text", "text": said}
        out = self._about(item, "response.reasoning_summary_text.done", summary_index=0, text=said)
        return out + self._about(item, "response.reasoning_summary_part.done", summary_index=0, part=part)

    def _about(self, item: _Item, kind: str, /, **fields: Any) -> bytes:
        return self._event(kind, {"item_id": item.id, "output_index": item.index, **fields})

    def _event(self, name: str, fields: Document) -> bytes:
        made = event(name, {"type": name, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return made
