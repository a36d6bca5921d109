"""Anthropic's Messages: the fields that the pipeline reads, and the usage in answers and streams."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from scutum_server.wire.chat import MAX_COUNT, Amount, Count, InputDetails, OutputDetails, Usage
from scutum_server.wire.events import Meter


class Metadata(Struct):
    user_id: str | None = None


class MessagesRequest(Struct):
    """What the pipeline reads of a request; everything else is forwarded unseen."""

    model: str
    messages: list[Raw]
    max_tokens: Amount
    stream: bool | None = None
    metadata: Metadata | None = None
    speed: object = None

    @property
    def terms(self) -> tuple[str, str] | None:
        """Those that the client asked for."""
        return terms_of(self.speed)

    @property
    def user(self) -> str | None:
        return self.metadata.user_id if self.metadata is not None else None


class CountRequest(Struct):
    """A request to count the tokens of a conversation."""

    model: str
    messages: list[Raw]

    @property
    def user(self) -> None:
        return None


class CacheCreation(Struct):
    ephemeral_1h_input_tokens: Count | None = None


class ServerToolUse(Struct):
    web_search_requests: Count | None = None


class MessagesUsage(Struct):
    """Tokens as Anthropic's wire reports them: `input_tokens` are those that no cache had to do with."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    output_tokens_details: OutputDetails | None = None
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerToolUse | None = None
    speed: object = None


def terms_of(speed: object) -> tuple[str, str] | None:
    """Those of a message that was made faster for more money."""
    return ("speed", "fast") if speed == "fast" else None


def as_usage(usage: MessagesUsage) -> Usage | None:
    """The same in the form that accounting reads; None when the input was not reported, or is absurd."""
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    if usage.input_tokens is None or usage.input_tokens + read + written > MAX_COUNT:
        return None
    long = usage.cache_creation.ephemeral_1h_input_tokens if usage.cache_creation is not None else None
    tools = usage.server_tool_use
    details = InputDetails(cached_tokens=read, cache_write_tokens=written, cache_write_long_tokens=long)
    return Usage(
        prompt_tokens=usage.input_tokens + read + written,
        completion_tokens=usage.output_tokens or 0,
        prompt_tokens_details=details,
        completion_tokens_details=usage.output_tokens_details,
        web_searches=tools.web_search_requests if tools is not None else None,
        terms=terms_of(usage.speed),
    )


class _Reported(Struct):
    """Usage is read apart from what holds it, which is good without it."""

    reported: Raw = msgspec.field(name="usage", default=Raw(b"null"))

    @property
    def usage(self) -> MessagesUsage | None:
        """None as well when a count is absurd: nothing was reported."""
        try:
            return _USAGE.decode(self.reported)
        except (msgspec.MsgspecError, RecursionError):
            return None


class _Answer(_Reported, kw_only=True):
    content: list[Raw]


class _Count(Struct):
    input_tokens: int


class _Delta(Struct):
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None


class _Event(_Reported, kw_only=True):
    type: str = ""
    message: _Reported | None = None
    delta: _Delta | None = None


REQUEST: Final = msgspec.json.Decoder(MessagesRequest)
COUNT_REQUEST: Final = msgspec.json.Decoder(CountRequest)
_USAGE: Final[msgspec.json.Decoder[MessagesUsage | None]] = msgspec.json.Decoder(MessagesUsage | None)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_REPORTED: Final = msgspec.json.Decoder(_Reported)
_COUNT: Final = msgspec.json.Decoder(_Count)
_EVENT: Final = msgspec.json.Decoder(_Event)


def usage_in(body: bytes) -> Usage | None:
    """The usage of a whole answer; raises a msgspec error when it is none."""
    usage = _ANSWER.decode(body).usage
    return as_usage(usage) if usage is not None else None


def reported_in(body: bytes) -> Usage | None:
    """What a document that is no answer says about its cost; raises a msgspec error when it says none."""
    usage = _REPORTED.decode(body).usage
    return as_usage(usage) if usage is not None else None


def check_count(body: bytes) -> None:
    """Raises a msgspec error when `body` is no count; counting costs nothing."""
    _COUNT.decode(body)


class MessagesStream(Meter):
    """A stream of messages on its way through."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        super().__init__()
        self._counts = MessagesUsage()

    def _look(self, event: bytes, payload: bytes) -> bool:
        found = _EVENT.decode(payload)
        self.events += 1
        kind = found.type
        if kind == "content_block_delta":
            if found.delta is not None:
                said = found.delta.text or found.delta.partial_json or found.delta.thinking or ""
                self._text += len(said.encode())
        elif kind == "message_start":
            self._take(found.message.usage if found.message is not None else None)
            self.partial = as_usage(self._counts)
        elif kind == "message_delta":
            self._take(found.usage)
            self.usage = as_usage(self._counts)
        elif kind == "message_stop":
            self.last, self.done = event, True
            return False
        elif kind == "error":
            self.error = payload
        return True

    def _take(self, usage: MessagesUsage | None) -> None:
        """Later counts replace earlier ones: they are totals, and a part that is not repeated still holds."""
        if usage is not None:
            for name in usage.__struct_fields__:
                count = getattr(usage, name)
                if count is not None:
                    setattr(self._counts, name, count)
