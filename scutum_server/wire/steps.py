"""Translations as steps: each turns a request from one format to the next, and answers back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from scutum_server.errors import InvalidInput, UpstreamError
from scutum_server.wire.chat import Usage
from scutum_server.wire.fields import Document
from scutum_server.wire.translate import chat as translate_chat
from scutum_server.wire.translate import chat_answer as translate_chat_answer
from scutum_server.wire.translate import completions as translate_completions
from scutum_server.wire.translate import messages as translate_messages
from scutum_server.wire.translate import messages_answer as translate_messages_answer
from scutum_server.wire.translate import responses as translate_responses
from scutum_server.wire.translate import responses_answer as translate_responses_answer
from scutum_server.wire.translate.responses_stream import ChatToResponses

# What a document of unforeseen types makes of code that walks it. InvalidInput is what the walk itself raises.
_UNREADABLE: Final = (
    TypeError,
    ArithmeticError,
    ValueError,
    LookupError,
    AttributeError,
    RecursionError,
    msgspec.MsgspecError,
)


class Passage(Protocol):
    """A stream on its way to the client: what accounting reads of it. `last` is for the caller to send, at the end."""

    @property
    def usage(self) -> Usage | None: ...
    @property
    def partial(self) -> Usage | None: ...
    @property
    def done(self) -> bool: ...
    @property
    def error(self) -> bytes: ...
    @property
    def garbage(self) -> bool: ...
    @property
    def events(self) -> int: ...
    @property
    def last(self) -> bytes: ...
    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...
    def estimate(self) -> int: ...


class Translator(Protocol):
    """Turns a stream's events into another format's. `ended` once the provider has said why its answer ended."""

    ended: bool
    last: bytes

    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class Step(Protocol):
    """One translation of one request; `request` comes first, the others rely on what it has seen."""

    def request(self, document: Document) -> tuple[Document, list[str]]: ...
    def answer(self, document: Document) -> Document: ...
    def stream(self) -> Translator: ...


class FromChat:
    """A chat client, a provider of Anthropic's format. `usage` has the stream end with a usage chunk in any case."""

    def __init__(self, max_tokens: int, *, has_schemas: bool = False, usage: bool = False) -> None:
        self._max_tokens = max_tokens
        self._has_schemas = has_schemas
        self._usage = usage
        self._json_tool = False

    def request(self, document: Document) -> tuple[Document, list[str]]:
        made, dropped = translate_chat.to_messages(document, self._max_tokens, has_schemas=self._has_schemas)
        self._json_tool = made.get("tool_choice") == {"type": "tool", "name": translate_chat.JSON_TOOL}
        self._usage = self._usage or bool((document.get("stream_options") or {}).get("include_usage"))
        return made, dropped

    def answer(self, document: Document) -> Document:
        return translate_chat_answer.to_chat(document, json_tool=self._json_tool)

    def stream(self) -> Translator:
        return translate_chat_answer.MessagesToChat(json_tool=self._json_tool, usage=self._usage)


class FromMessages:
    """A Messages client, a provider of chat."""

    def __init__(self, cap_field: str) -> None:
        self._cap_field = cap_field
        self._thinks = False

    def request(self, document: Document) -> tuple[Document, list[str]]:
        self._thinks = (document.get("thinking") or {}).get("type") in ("enabled", "adaptive")
        return translate_messages.to_chat(document, self._cap_field)

    def answer(self, document: Document) -> Document:
        return translate_messages_answer.to_message(document, thinks=self._thinks)

    def stream(self) -> Translator:
        return translate_messages_answer.ChatToMessages(thinks=self._thinks)


class FromResponses:
    """A Responses client, a provider of chat."""

    def __init__(self, cap_field: str) -> None:
        self._cap_field = cap_field
        self._frame: Document = {}

    def request(self, document: Document) -> tuple[Document, list[str]]:
        made = translate_responses.to_chat(document, self._cap_field)
        self._frame = translate_responses_answer.frame_of(document)
        return made

    def answer(self, document: Document) -> Document:
        return translate_responses_answer.to_response(document, self._frame)

    def stream(self) -> Translator:
        return ChatToResponses(self._frame)


class FromCompletions:
    """A client of text completions, a provider of chat."""

    def __init__(self, cap_field: str) -> None:
        self._cap_field = cap_field

    def request(self, document: Document) -> tuple[Document, list[str]]:
        return translate_completions.to_chat(document, self._cap_field)

    def answer(self, document: Document) -> Document:
        return translate_completions.to_completion(document)

    def stream(self) -> Translator:
        return translate_completions.ChatToCompletions()


def request_through(steps: Sequence[Step], document: Document) -> tuple[bytes, list[str]]:
    """The body for the provider, and the names of the client's fields that were left out; raises InvalidInput."""
    dropped: list[str] = []
    try:
        for step in steps:
            document, left_out = step.request(document)
            dropped += left_out
        return msgspec.json.encode(document), dropped
    except _UNREADABLE as error:
        reason = f"A field has a type that it cannot have ({type(error).__name__})."
        raise InvalidInput(f"The request cannot be translated for this model's provider. {reason}") from error


def answer_through(steps: Sequence[Step], body: bytes) -> bytes:
    """The provider's whole answer for the client; raises UpstreamError."""
    try:
        document: Any = msgspec.json.decode(body)
        for step in reversed(steps):
            document = step.answer(document)
        return msgspec.json.encode(document)
    except (InvalidInput, *_UNREADABLE) as error:
        raise _unreadable() from error


def _unreadable() -> UpstreamError:
    return UpstreamError(
        "The provider's answer is not what its format promises: it cannot be translated.", code="upstream_bad_answer"
    )


class Translated:
    """A provider's stream, metered in its own format and translated for the client; a Passage."""

    def __init__(self, meter: Passage, steps: Sequence[Step]) -> None:
        self._meter = meter
        self._translators = [step.stream() for step in reversed(steps)]
        self.last = b""

    @property
    def usage(self) -> Usage | None:
        return self._meter.usage

    @property
    def partial(self) -> Usage | None:
        return self._meter.partial

    @property
    def done(self) -> bool:
        return self._meter.done

    @property
    def error(self) -> bytes:
        return self._meter.error

    @property
    def garbage(self) -> bool:
        return self._meter.garbage

    @property
    def events(self) -> int:
        return self._meter.events

    def estimate(self) -> int:
        return self._meter.estimate()

    def feed(self, data: bytes) -> bytes:
        """The bytes that may go to the client now; raises UpstreamError."""
        out = self._meter.feed(data)
        try:
            for translator in self._translators:
                out = out and translator.feed(out)
        except (InvalidInput, *_UNREADABLE) as error:
            raise _unreadable() from error
        return out

    def finish(self) -> bytes:
        """What is left at the provider's end; raises UpstreamError when that came too early."""
        out = self._meter.finish()
        complete = self.events and not self.error and not self.garbage
        try:
            for translator in self._translators:
                out = out and translator.feed(out)
                if complete and not (self.done or translator.ended):
                    raise UpstreamError(
                        "The provider ended its stream in the middle of the answer.", code="upstream_disconnected"
                    )
                out += translator.finish() if complete else b""
        except (InvalidInput, *_UNREADABLE) as error:
            raise _unreadable() from error
        self.last = self._translators[-1].last if complete else b""
        return out
