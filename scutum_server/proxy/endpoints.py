"""Which paths the data plane answers, and what differs between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from scutum_server.proxy import pipeline
from scutum_server.proxy.call import Call
from scutum_server.wire import chat, embeddings


class Endpoint(Struct, frozen=True):
    """`route` is the name in records and in a key's `allowed_routes`; `recorded` requests get a usage record."""

    route: str
    method: str
    handle: Callable[[Call], Awaitable[None]]
    recorded: bool = False
    upstream_path: str = ""
    noun: str = ""
    kind: str = ""
    decoder: msgspec.json.Decoder[Any] = chat.REQUEST
    answer: msgspec.json.Decoder[Any] = chat.ANSWER


CHAT: Final = Endpoint(
    route="/v1/chat/completions",
    method="POST",
    handle=pipeline.complete,
    recorded=True,
    upstream_path="chat/completions",
    noun="a chat completion",
    kind="chat",
)
EMBEDDINGS: Final = Endpoint(
    route="/v1/embeddings",
    method="POST",
    handle=pipeline.complete,
    recorded=True,
    upstream_path="embeddings",
    noun="a list of embeddings",
    kind="embedding",
    decoder=embeddings.REQUEST,
    answer=embeddings.ANSWER,
)
MODELS: Final = Endpoint(route="/v1/models", method="GET", handle=pipeline.list_models)
MODEL: Final = Endpoint(route="/v1/models", method="GET", handle=pipeline.get_model)

BY_PATH: Final[dict[bytes, Endpoint]] = {
    b"/v1/chat/completions": CHAT,
    b"/v1/embeddings": EMBEDDINGS,
    b"/v1/models": MODELS,
}
MODEL_PREFIX: Final = b"/v1/models/"
