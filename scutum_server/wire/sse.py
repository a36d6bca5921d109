"""A stream of server-sent events on its way through: bytes pass; only usage, errors and the end are read.

Every event's syntax is checked, by a decoder that keeps nothing of it: the clients' libraries give up on events that
are not JSON, and must hear from us which side is at fault.
"""

from __future__ import annotations

import json
import re
from typing import Final

import msgspec
from msgspec import Struct

from scutum_server.errors import UpstreamError
from scutum_server.wire.chat import BYTES_PER_TOKEN, CHUNK, Usage

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
DONE: Final = b"data: [DONE]\n\n"

_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_DATA: Final = re.compile(rb"^data:[ ]?(.*?)\r?$", re.MULTILINE)
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')
_ERROR: Final = re.compile(rb'"error"\s*:\s*[{"]')


class _Object(Struct):
    """Any JSON object."""


_OBJECT: Final = msgspec.json.Decoder(_Object)


class ChatStream:
    """Passes whole events on and keeps what accounting needs.

    `show_usage` says whether the client asked for the usage event; if not it is taken out. `[DONE]` is never passed on:
    the caller ends the stream itself, with the cost before it. Nothing is passed on from an event that is no JSON
    object in UTF-8, which sets `garbage`.
    """

    __slots__ = (
        "_first", "_show_usage", "_tail", "done", "error", "events", "garbage", "last", "partial", "received", "usage",
    )  # fmt: skip

    def __init__(self, *, show_usage: bool) -> None:
        self.usage: Usage | None = None
        self.partial: Usage | None = None
        self.last = DONE
        self.done = False
        self.error = b""
        self.garbage = False
        self.events = 0
        self.received = 0
        self._first = 0
        self._show_usage = show_usage
        self._tail = bytearray()

    def feed(self, data: bytes) -> bytes:
        """The bytes that may go to the client now; raises UpstreamError for an event beyond all bounds."""
        if self.done or self.garbage:
            return b""
        if self._tail:
            seam = max(0, len(self._tail) - 3)  # what is held has no end in it: one may begin in its last bytes
            self._tail += data
            if _END.search(self._tail, seam) is None:
                self._check_tail()
                return b""
            data, self._tail = bytes(self._tail), bytearray()
        if data[-2:] != b"\n\n":
            data = self._hold_back(data)
        # A key is never spelt `\"usage\"`: inside a string the quotes are escaped and these bytes do not match.
        if b"[DONE]" in data or b'"usage"' in data or b'"error"' in data or not _plain(data):
            return self._look(data)
        self._count(data)
        return data

    def finish(self) -> bytes:
        """What is left when the provider ended its answer without the last blank line."""
        rest, self._tail = bytes(self._tail), bytearray()
        return self._look(rest + b"\n\n") if rest.strip() and not self.done and not self.garbage else b""

    def estimate(self) -> int:
        """Tokens generated so far, by what was seen: an event carries one at least, four bytes of text are one.

        The first event of a stream carries the role and no text, so its size is the envelope of all the others.
        """
        text = self.received - self.events * self._first
        return max(self.events - 1, text // BYTES_PER_TOKEN, 0)

    def _count(self, data: bytes) -> None:
        count = data.count(b"\n\n") or 1
        if not self.events and data:
            self._first = len(data) // count
        self.events += count if data else 0
        self.received += len(data)

    def _hold_back(self, data: bytes) -> bytes:
        cut = 0
        if b"\r" in data:
            for found in _END.finditer(data):
                cut = found.end()
        else:
            cut = data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
        self._tail = bytearray(data[cut:])
        self._check_tail()
        return data[:cut]

    def _check_tail(self) -> None:
        if len(self._tail) > MAX_EVENT_BYTES:
            raise UpstreamError("The provider sent an event that is too large.", code="upstream_bad_answer")

    def _look(self, data: bytes) -> bytes:
        passed: list[bytes] = []
        start = 0
        for found in _END.finditer(data):
            event = data[start : found.end()]
            start = found.end()
            if self._pass(event):
                passed.append(event)
            if self.done or self.garbage:
                break
        return b"".join(passed)

    def _pass(self, event: bytes) -> bool:
        has_usage = _USAGE.search(event) is not None
        if not has_usage and not _ERROR.search(event) and _plain(event):
            self._count(event)
            return True
        lines = _DATA.findall(event.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        payload = b"\n".join(lines).strip()
        if payload == b"[DONE]":
            self.done = True
            return False
        try:
            event.decode()
            if not payload:
                return not lines  # a comment; an event without data is none, and libraries fail on it
            chunk = CHUNK.decode(payload)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            self.garbage = not _lenient(payload)
            if not self.garbage:
                self._count(event)
            return not self.garbage
        if bytes(chunk.error) not in {b"", b"null"}:
            self.error = payload
        if has_usage:
            self.usage = chunk.usage or self.usage
            if not chunk.choices:
                return self._show_usage
        self._count(event)
        return True


def _lenient(payload: bytes) -> bool:
    """Whether clients can read what the strict decoder cannot: NaN, or an emoji that is split between two events."""
    try:
        return isinstance(json.loads(payload), dict)
    except (ValueError, RecursionError):
        return False


def _plain(data: bytes) -> bool:
    """Whether `data` is nothing but events of one line with a JSON object each, as nearly all are."""
    if data[:6] != b"data: " or b"\r" in data:
        return not data
    try:
        if not data.isascii():
            data.decode()
        if data.count(b"\n") == 2:
            _OBJECT.decode(data[6:])
            return True
        payloads = data[6:-2].split(b"\n\ndata: ")
        for payload in payloads:
            _OBJECT.decode(payload)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    return data.count(b"\n") == 2 * len(payloads)
