"""The way of a request to its provider and back: as it is where the provider takes its format, else translated."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from scutum_server.errors import InvalidInput
from scutum_server.proxy.ids.objects import with_upstream_ids
from scutum_server.proxy.ids.responses import KeptStream, Wrap, with_previous_id, with_wrapped_ids, wrapper
from scutum_server.upstream.native import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    PASSED,
    RESPONSES,
    Traits,
)
from scutum_server.wire import chat, embeddings, messages, responses
from scutum_server.wire.body import ANYTHING, decode, with_model
from scutum_server.wire.messages import MessagesStream
from scutum_server.wire.sse import ChatStream
from scutum_server.wire.steps import (
    FromChat,
    FromCompletions,
    FromMessages,
    FromResponses,
    Passage,
    Step,
    Translated,
    answer_through,
    request_through,
)

if TYPE_CHECKING:
    from scutum_server.proxy.call import Call
    from scutum_server.proxy.config.snapshot import Deployment

_PASSED_HEADERS: Final = (b"anthropic-version", b"anthropic-beta")
_PLAIN: Final = re.compile(rb"[ -~]{1,4096}")
_MAX_DROPPED: Final = 2000
_OF_CHAT: Final = frozenset({CHAT, COMPLETIONS})
_OF_MESSAGES: Final = frozenset({MESSAGES, COUNT_TOKENS})

UsageReader = Callable[[bytes], chat.Usage | None]
"""Reads the usage of a provider's whole answer; raises a msgspec error when it is none."""


def _no_usage(body: bytes) -> None:
    messages.check_count(body)


_USAGE_IN: Final[dict[str, UsageReader]] = {
    CHAT: chat.usage_in,
    COMPLETIONS: chat.usage_in,
    EMBEDDINGS: embeddings.usage_in,
    MESSAGES: messages.usage_in,
    COUNT_TOKENS: _no_usage,
    RESPONSES: responses.usage_in,
}


_REPORTED_IN: Final[dict[str, UsageReader]] = {
    MESSAGES: messages.reported_in,
    RESPONSES: responses.reported_in,
}


class Way(Struct):
    """`wire` is the format that goes to the provider; `fields` are header lines for it.

    `passed` answers go to the client as they are; `wrap` gives it the ids of what the provider keeps.
    `dropped` is the answer's header line that names what of the request the provider's format has no place for.
    """

    wire: str
    path: str
    body: bytes
    steps: Sequence[Step] = ()
    fields: bytes = b""
    show_usage: bool = True
    dropped: bytes = b""
    passed: bool = False
    wrap: Wrap | None = None

    def usage_in(self, body: bytes) -> chat.Usage | None:
        """Of the provider's whole answer; raises a msgspec error when it is none."""
        return _USAGE_IN[self.wire](body)

    def reported_in(self, body: bytes) -> chat.Usage | None:
        """What a document that is no answer says about its cost, if anything."""
        try:
            return _REPORTED_IN.get(self.wire, chat.reported_in)(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None

    def told(self, body: bytes) -> bytes:
        """The provider's whole answer for the client; raises UpstreamError."""
        if self.wrap is not None:
            return with_wrapped_ids(body, self.wrap)
        return answer_through(self.steps, body) if self.steps else body

    def passage(self) -> Passage:
        """For a streamed answer."""
        meter: Passage
        if self.wire == MESSAGES:
            meter = MessagesStream()
        elif self.wrap is not None:
            meter = KeptStream(self.wrap)
        else:
            meter = ChatStream(show_usage=self.show_usage)
        return Translated(meter, self.steps) if self.steps else meter


def way_of(call: Call, deployment: Deployment) -> Way:
    """For one attempt; raises InvalidInput for a request that the provider cannot be asked."""
    wire, traits, model = call.endpoint.wire, deployment.provider.lane.traits, deployment.upstream_model
    path = traits.paths.get(wire)
    if path is None:
        return _translated(call, deployment, traits)
    if wire != RESPONSES:
        # Azure's Responses API takes the deployment's name from the body.
        path = deployment.path_prefix + path
    body = with_upstream_ids(call, call.body, deployment)
    if wire in _OF_CHAT:
        show_usage = _wants_usage(call)
        body = with_model(body, model, include_usage=call.stream and not show_usage)
        return Way(wire, path, body, show_usage=show_usage)
    if wire == RESPONSES:
        body = with_previous_id(call, with_model(body, model))
        return Way(wire, path, body, wrap=wrapper(call, deployment))
    fields = _passed_headers(call) if wire in _OF_MESSAGES else b""
    return Way(wire, path, with_model(body, model), fields=fields, passed=wire in PASSED)


def _translated(call: Call, deployment: Deployment, traits: Traits) -> Way:
    steps = _steps(call.endpoint.wire, traits)
    if not steps:
        raise InvalidInput(
            f"The model `{call.requested_model[:100]}` is at a provider that has no {call.endpoint.route}.",
            code="unsupported_by_provider",
        )
    document = decode(call.body, ANYTHING)
    document["model"] = deployment.upstream_model
    body, dropped = request_through(steps, document)
    wire = CHAT if CHAT in traits.paths else MESSAGES
    if call.stream and wire == CHAT:
        body = with_model(body, deployment.upstream_model, include_usage=True)
    # Messages and Responses tell the usage in events of their own, which are made from chat's.
    show_usage = call.endpoint.wire != COMPLETIONS or _wants_usage(call)
    path = deployment.path_prefix + traits.paths[wire]
    return Way(wire, path, body, steps, show_usage=show_usage, dropped=_dropped_header(dropped))


def _dropped_header(names: Sequence[str]) -> bytes:
    if not names:
        return b""
    # They are the client's own words.
    listed = ", ".join(quote(name, safe=".:>_-")[:100] for name in names)
    return b"x-scutum-dropped: %b\r\n" % listed[:_MAX_DROPPED].encode("ascii")


def dropped_header(line: bytes, further: bytes | None) -> bytes:
    """The header line with the names that the lane had to leave out as well."""
    if not further:
        return line
    return b"%b, %b\r\n" % (line[:-2], further) if line else b"x-scutum-dropped: %b\r\n" % further


def _steps(wire: str, traits: Traits) -> list[Step]:
    """From the client's format to one of the provider's, or nothing when there is no way."""
    paths, cap = traits.paths, traits.cap_field
    if wire == MESSAGES:
        return [FromMessages(cap)] if CHAT in paths else []
    if CHAT not in paths and MESSAGES not in paths:
        return []
    if wire == CHAT:
        return [FromChat(traits.max_tokens, has_schemas=traits.has_schemas)]
    if wire not in {RESPONSES, COMPLETIONS}:
        return []
    first: Step = FromResponses(cap) if wire == RESPONSES else FromCompletions(cap)
    if CHAT in paths:
        return [first]
    return [first, FromChat(traits.max_tokens, has_schemas=traits.has_schemas, usage=wire == RESPONSES)]


def _wants_usage(call: Call) -> bool:
    options = getattr(call.parsed, "stream_options", None)
    return bool(options is not None and options.include_usage)


def _passed_headers(call: Call) -> bytes:
    """The client's choice of version and beta features, for a provider of the same format."""
    return b"".join(
        b"%b: %b\r\n" % (name, value)
        for name, value in call.exchange.scope["headers"]
        if name in _PASSED_HEADERS and _PLAIN.fullmatch(value)
    )
