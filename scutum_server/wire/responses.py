"""OpenAI's Responses: the fields that the pipeline reads, and the usage in answers and streams."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from scutum_server.wire.chat import Amount, Count, InputDetails, OutputDetails, Usage, terms_of
from scutum_server.wire.events import Meter
from scutum_server.wire.sse import DONE


class ResponsesRequest(Struct):
    """What the pipeline reads of a request; everything else is forwarded unseen."""

    model: str
    stream: bool | None = None
    user: str | None = None
    max_output_tokens: Amount | None = None
    service_tier: Raw = Raw()
    previous_response_id: str | None = None

    @property
    def terms(self) -> tuple[str, str] | None:
        """Those that the client asked for."""
        return terms_of(self.service_tier)

    @property
    def max_tokens(self) -> int | None:
        return self.max_output_tokens


class ResponsesUsage(Struct):
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class _Reported(Struct):
    """Usage is read apart from what holds it, which is good without it."""

    reported: Raw = msgspec.field(name="usage", default=Raw(b"null"))
    service_tier: Raw = Raw()

    @property
    def usage(self) -> ResponsesUsage | None:
        """None as well when a count is absurd: nothing was reported."""
        try:
            return _USAGE.decode(self.reported)
        except (msgspec.MsgspecError, RecursionError):
            return None


class _Answer(_Reported, kw_only=True):
    output: list[Raw]
    error: Raw = Raw()
    id: str = ""
    previous_response_id: str | None = None


class _Action(Struct):
    type: str = "search"


class _Item(Struct):
    type: str = ""
    action: _Action | None = None


class _Event(Struct):
    type: str = ""
    delta: Raw = Raw()
    response: _Answer | None = None


REQUEST: Final = msgspec.json.Decoder(ResponsesRequest)
_USAGE: Final[msgspec.json.Decoder[ResponsesUsage | None]] = msgspec.json.Decoder(ResponsesUsage | None)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_REPORTED: Final = msgspec.json.Decoder(_Reported)
_ITEM: Final = msgspec.json.Decoder(_Item)
_EVENT: Final = msgspec.json.Decoder(_Event)
_LAST: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


def usage_in(body: bytes) -> Usage | None:
    """The usage of a whole answer; raises a msgspec error when it is none."""
    return _with_searches(_ANSWER.decode(body))


def reported_in(body: bytes) -> Usage | None:
    """What a document that is no answer says about its cost; raises a msgspec error when it says none."""
    return _as_usage(_REPORTED.decode(body))


def _as_usage(answer: _Reported | None) -> Usage | None:
    usage = answer.usage if answer is not None else None
    if usage is None or usage.input_tokens is None:
        return None
    return Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens or 0,
        prompt_tokens_details=usage.input_tokens_details,
        completion_tokens_details=usage.output_tokens_details,
        terms=terms_of(answer.service_tier) if answer is not None else None,
    )


def _with_searches(answer: _Answer | None) -> Usage | None:
    """The usage counts no searches, and each has a price: the answer lists them. Opening a page found is free."""
    usage = _as_usage(answer)
    if usage is not None and answer is not None:
        for item in answer.output:
            if b"_search_call" in bytes(item):
                _count_search(item, usage)
    return usage


def _count_search(item: Raw, usage: Usage) -> None:
    try:
        found = _ITEM.decode(item)
    except msgspec.MsgspecError:
        return
    if found.type == "web_search_call":
        searched = found.action is None or found.action.type == "search"
        usage.web_searches = (usage.web_searches or 0) + searched
    elif found.type == "file_search_call":
        usage.file_searches += 1


class ResponsesStream(Meter):
    """A stream of a response on its way through; it has told its ids before any byte of them is passed on."""

    __slots__ = ("previous_id", "response_id")

    def __init__(self) -> None:
        super().__init__()
        self.response_id = ""
        self.previous_id: str | None = None

    def _look(self, event: bytes, payload: bytes) -> bool:
        found = _EVENT.decode(payload)
        self.events += 1
        kind = found.type
        if found.response is not None:
            self.response_id, self.previous_id = found.response.id, found.response.previous_response_id
        if kind.endswith(".delta"):
            self._text += max(0, len(bytes(found.delta)) - 2)
        elif kind in _LAST:
            self.usage = _with_searches(found.response)
            if kind == "response.failed":
                said = bytes(found.response.error) if found.response is not None else b""
                self.error = said if said.startswith(b"{") else payload
            # OpenAI's own streams end without it; the open form of the format demands it, and every client knows it.
            self.last, self.done = event + DONE, True
            return False
        elif kind == "error":
            self.error = payload
        return True
