"""Which paths the data plane answers, and what differs between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from scutum_server.proxy import pipeline
from scutum_server.proxy.call import Call
from scutum_server.upstream import native
from scutum_server.wire import chat, completions, embeddings, messages, responses
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
