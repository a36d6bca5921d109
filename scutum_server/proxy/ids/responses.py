"""Responses that a provider keeps: their ids go out wrapped, and `previous_response_id` comes back to who has it.

Bytes pass as they are but for the two ids, which have names of their own in a response and in its events.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from scutum_server.errors import InvalidInput
from scutum_server.proxy.ids.objects import find, wrap
from scutum_server.proxy.ids.wrapped import unknown
from scutum_server.upstream.native import RESPONSES
from scutum_server.wire.responses import ResponsesRequest, ResponsesStream

if TYPE_CHECKING:
    from scutum_server.proxy.call import Call
    from scutum_server.proxy.config.snapshot import Deployment, Plan

Wrap = Callable[[str], str]

_STATEFUL: Final = (b'"previous_response_id"', b'"conversation"', b'"background"')
_PARTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Ids(Struct):
    id: str = ""
    previous_response_id: str | None = None


_IDS: Final = msgspec.json.Decoder(_Ids)


def pinned(call: Call, plan: Plan) -> Plan:
    """Only the deployments of the provider that has the request's previous response; raises NotFound, InvalidInput."""
    given = call.parsed.previous_response_id if isinstance(call.parsed, ResponsesRequest) else None
    if given is None or not any(RESPONSES in each.provider.lane.traits.paths for each in plan.candidates):
        return plan
    keeper, _ = find(call, given)
    plan = plan.only(lambda each: each.provider.id == keeper.provider.id)
    if not plan.candidates:
        raise InvalidInput(
            f"The previous response is at another provider than the model `{call.requested_model[:100]}`: "
            "use the model that gave it, or send the whole conversation as `input`.",
            code="response_at_another_provider",
            param="previous_response_id",
        )
    return plan


def with_previous_id(call: Call, body: bytes) -> bytes:
    """`body`, of `with_model`, naming the previous response as the provider does.

    Raises NotFound for a foreign one, InvalidInput for a response in the background.
    """
    if not any(name in body for name in _STATEFUL):
        return body
    document = _PARTS.decode(body)
    given = _value(document, "previous_response_id")
    if given is not None:
        _, theirs = find(call, str(given))
        document["previous_response_id"] = msgspec.Raw(msgspec.json.encode(theirs))
    if _value(document, "background"):
        raise InvalidInput(
            "A response in the background is not to be had here: what it costs is known when nobody waits for it. "
            "Leave `background` out.",
            code="unsupported_by_gateway",
            param="background",
        )
    conversation = _value(document, "conversation")
    if conversation is not None:
        raise unknown(str(conversation.get("id") if isinstance(conversation, dict) else conversation))
    return msgspec.json.encode(document)


def _value(document: dict[str, msgspec.Raw], name: str) -> Any:
    return msgspec.json.decode(document[name]) if name in document else None


def wrapper(call: Call, deployment: Deployment) -> Wrap:
    """Wraps the ids of what `deployment` keeps for the request's team."""
    return lambda upstream_id: wrap(call, deployment.id, upstream_id)


def with_wrapped_ids(body: bytes, wrapped: Wrap) -> bytes:
    """A whole response, good as it is otherwise."""
    ids = _IDS.decode(body)
    for theirs in (ids.id, ids.previous_response_id):
        if theirs:
            body = _replaced(body, theirs, wrapped)
    return body


def _replaced(data: bytes, theirs: str, wrapped: Wrap) -> bytes:
    """`data` with the wrapped id wherever a field that names a response has theirs."""
    quoted = msgspec.json.encode(theirs)
    if quoted not in data:
        return data
    field = rb'("(?:id|response_id|previous_response_id)"\s*:\s*)' + re.escape(quoted)
    ours = msgspec.json.encode(wrapped(theirs))
    return re.sub(field, lambda found: found[1] + ours, data)


class KeptStream(ResponsesStream):
    """The stream of a response that the provider keeps, on its way to the client with wrapped ids."""

    __slots__ = ("_wrapped",)

    def __init__(self, wrapped: Wrap) -> None:
        super().__init__()
        self._wrapped = wrapped

    def feed(self, data: bytes) -> bytes:
        return self._ours(super().feed(data))

    def finish(self) -> bytes:
        out = self._ours(super().finish())
        self.last = self._ours(self.last)
        return out

    def _ours(self, data: bytes) -> bytes:
        for theirs in (self.response_id, self.previous_id):
            if data and theirs:
                data = _replaced(data, theirs, self._wrapped)
        return data
