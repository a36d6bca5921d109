"""Server-sent events with an `event:` name, as Anthropic's Messages and OpenAI's Responses stream them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from scutum_server.errors import UpstreamError
from scutum_server.wire.chat import BYTES_PER_TOKEN, Usage

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024

_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_DATA: Final = re.compile(rb"^data:[ ]?(.*?)\r?$", re.MULTILINE)


class Splitter:
    """Cuts a stream of bytes into whole events."""

    __slots__ = ("_limit", "_tail")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._tail = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The events that are complete now, with their blank lines; raises UpstreamError for one beyond all bounds."""
        if self._tail:
            seam = max(0, len(self._tail) - 3)  # what is held has no end in it: one may begin in its last bytes
            self._tail += data
            if _END.search(self._tail, seam) is None:
                self._check()
                return
            data = bytes(self._tail)
        start = 0
        for found in _END.finditer(data):
            yield data[start : found.end()]
            start = found.end()
        self._tail = bytearray(data[start:])
        self._check()

    def _check(self) -> None:
        if len(self._tail) > self._limit:
            raise UpstreamError("The provider sent an event that is too large.", code="upstream_bad_answer")

    def rest(self) -> bytes:
        """What is left when the stream ended without the last blank line: an event, or nothing."""
        rest, self._tail = bytes(self._tail), bytearray()
        return rest + b"\n\n" if rest.strip() else b""


def payload_of(event: bytes) -> bytes:
    """The data of one event; empty for comments."""
    return b"\n".join(_DATA.findall(event))


def event(name: str, document: dict[str, Any]) -> bytes:
    """One named event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(document))


class Meter(ABC):
    """Passes whole events on and keeps what accounting needs: the base of both formats.

    The event that ends the stream is held back in `last`: the caller ends the stream itself, with the cost before it.
    Nothing is passed on from an event that is no JSON object in UTF-8, which sets `garbage`.
    `usage` is what the provider reported for the whole; `partial` what it has said about the input before that.
    `error` is the data of the event by which the provider said that it failed.
    """

    __slots__ = ("_splitter", "_text", "done", "error", "events", "garbage", "last", "partial", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.partial: Usage | None = None
        self.done = False
        self.error = b""
        self.garbage = False
        self.events = 0
        self.last = b""
        self._text = 0
        # An event that ends a Responses stream holds the whole answer.
        self._splitter = Splitter(16 * MAX_EVENT_BYTES)

    def feed(self, data: bytes) -> bytes:
        """The bytes that may go to the client now; raises UpstreamError."""
        return b"".join([each for each in self._splitter.feed(data) if self._pass(each)])

    def finish(self) -> bytes:
        """What is left at the provider's end; raises UpstreamError when that came too early."""
        rest = self._splitter.rest()
        out = rest if rest and self._pass(rest) else b""
        if not self.done and not self.error and not self.garbage and self.events:
            raise UpstreamError(
                "The provider ended its stream in the middle of the answer.", code="upstream_disconnected"
            )
        return out

    def estimate(self) -> int:
        """Tokens generated so far, by what was seen: four bytes of text are one."""
        return -(-self._text // BYTES_PER_TOKEN)

    def _pass(self, event: bytes) -> bool:
        if self.done or self.garbage:
            return False
        payload = payload_of(event)
        if not payload.strip():
            return b"data:" not in event  # a comment; an event without data is none, and libraries fail on it
        try:
            event.decode()
            return self._look(event, payload)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            self.garbage = True
            return False

    @abstractmethod
    def _look(self, event: bytes, payload: bytes) -> bool:
        """Takes note of one event; False keeps it from the client; raises a msgspec error for one that is no JSON."""
