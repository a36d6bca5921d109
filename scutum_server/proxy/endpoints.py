"""Which paths the data plane answers, and what differs between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from scutum_server.proxy import pipeline
from scutum_server.proxy.call import Call
from scutum_server.proxy.ids import kept as responses_kept
from scutum_server.proxy.passthrough import batches as passthrough_batches
from scutum_server.proxy.passthrough import files as passthrough_files
from scutum_server.proxy.passthrough import forms as passthrough_forms
from scutum_server.upstream import native
from scutum_server.wire import chat, completions, embeddings, messages, passed, responses
from scutum_server.wire.errors import Shape


class Endpoint(Struct, frozen=True):
    """`route` is the name in records and in a key's `allowed_routes`; `recorded` requests get a usage record.

    `wire` is the format of request and answer, `shape` that of errors.
    """

    route: str
    method: str
    handle: Callable[[Call], Awaitable[None]]
    recorded: bool = False
    wire: str = ""
    noun: str = ""
    kind: str = ""
    decoder: msgspec.json.Decoder[Any] = chat.REQUEST
    shape: Shape = "openai"


CHAT: Final = Endpoint(
    route="/v1/chat/completions",
    method="POST",
    handle=pipeline.complete,
    recorded=True,
    wire=native.CHAT,
    noun="a chat completion",
    kind="chat",
)
EMBEDDINGS: Final = Endpoint(
    route="/v1/embeddings",
    method="POST",
    handle=pipeline.complete,
    recorded=True,
    wire=native.EMBEDDINGS,
    noun="a list of embeddings",
    kind="embedding",
    decoder=embeddings.REQUEST,
)
COMPLETIONS: Final = Endpoint(
    route="/v1/completions",
    method="POST",
    handle=pipeline.complete,
    recorded=True,
    wire=native.COMPLETIONS,
    noun="a text completion",
    decoder=completions.REQUEST,
)
RESPONSES: Final = Endpoint(
    route="/v1/responses",
    method="POST",
    handle=pipeline.complete,
    recorded=True,
    wire=native.RESPONSES,
    noun="a response",
    decoder=responses.REQUEST,
    shape="responses",
)
MESSAGES: Final = Endpoint(
    route="/v1/messages",
    method="POST",
    handle=pipeline.complete,
    recorded=True,
    wire=native.MESSAGES,
    noun="a message",
    decoder=messages.REQUEST,
    shape="anthropic",
)
COUNT_TOKENS: Final = Endpoint(
    route="/v1/messages/count_tokens",
    method="POST",
    handle=pipeline.count_tokens,
    recorded=True,
    wire=native.COUNT_TOKENS,
    noun="a count of tokens",
    decoder=messages.COUNT_REQUEST,
    shape="anthropic",
)
MODELS: Final = Endpoint(route="/v1/models", method="GET", handle=pipeline.list_models)
MODEL: Final = Endpoint(route="/v1/models", method="GET", handle=pipeline.get_model)

BY_PATH: Final[dict[bytes, Endpoint]] = {
    b"/v1/chat/completions": CHAT,
    b"/v1/embeddings": EMBEDDINGS,
    b"/v1/completions": COMPLETIONS,
    b"/v1/responses": RESPONSES,
    b"/v1/messages": MESSAGES,
    b"/v1/messages/count_tokens": COUNT_TOKENS,
    b"/v1/models": MODELS,
}
MODEL_PREFIX: Final = b"/v1/models/"


def _passed(wire: str, decoder: msgspec.json.Decoder[Any]) -> Endpoint:
    return Endpoint(f"/v1/{wire}", "POST", pipeline.complete, recorded=True, wire=wire, decoder=decoder)


def _form(wire: str, decoder: msgspec.json.Decoder[Any] = passed.PASSED) -> Endpoint:
    return Endpoint(f"/v1/{wire}", "POST", passthrough_forms.form, recorded=True, wire=wire, decoder=decoder)


def _object(route: str, noun: str, **handlers: Callable[[Call], Awaitable[None]]) -> dict[str, Endpoint]:
    """What one path takes, by method; `route` is that of the collection, for all of them."""
    return {
        method: Endpoint(route, method, handle, recorded=True, wire=route.removeprefix("/v1/"), noun=noun)
        for method, handle in handlers.items()
    }


for _each in (
    _passed("moderations", passed.MODERATION),
    _passed("rerank", passed.PASSED),
    _passed("images/generations", passed.IMAGE),
    _passed("audio/speech", passed.SPEECH),
    _form("images/edits", passed.IMAGE_EDIT),
    _form("images/variations"),
    _form("audio/transcriptions"),
    _form("audio/translations"),
):
    BY_PATH[_each.route.encode()] = _each

_FILE, _BATCH, _RESPONSE = ("/v1/files", "a file"), ("/v1/batches", "a batch"), ("/v1/responses", "a response")
OBJECTS: Final[dict[bytes, dict[str, Endpoint]]] = {
    b"files": _object(*_FILE, POST=passthrough_files.upload, GET=passthrough_files.list_files),
    b"files/*": _object(*_FILE, GET=passthrough_files.get_file, DELETE=passthrough_files.delete_file),
    b"files/*/content": _object(*_FILE, GET=passthrough_files.get_content),
    b"batches": _object(*_BATCH, POST=passthrough_batches.create, GET=passthrough_batches.list_batches),
    b"batches/*": _object(*_BATCH, GET=passthrough_batches.get_batch),
    b"batches/*/cancel": _object(*_BATCH, POST=passthrough_batches.cancel),
    b"responses/*": _object(*_RESPONSE, GET=responses_kept.get_response, DELETE=responses_kept.delete_response),
    b"responses/*/input_items": _object(*_RESPONSE, GET=responses_kept.get_input_items),
}
"""By path below /v1/, with a star for an id."""


def of_object(path: bytes, method: str) -> Endpoint | None:
    """The endpoint of a path that has an id or several methods; for a wrong method, any of the path's."""
    if not path.startswith((b"/v1/files", b"/v1/batches", b"/v1/responses/")):
        return None
    methods = _methods(path)
    return methods.get(method) or next(iter(methods.values()), None)


def allowed(path: bytes, endpoint: Endpoint) -> str:
    """The methods that a path takes."""
    return ", ".join(_methods(path)) or endpoint.method


def _methods(path: bytes) -> dict[str, Endpoint]:
    parts = path.removeprefix(b"/v1/").split(b"/")
    if len(parts) > 1 and parts[1]:
        parts[1] = b"*"
    return OBJECTS.get(b"/".join(parts), {})
