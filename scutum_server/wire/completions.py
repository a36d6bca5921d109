"""Text completions, the predecessor of chat: the fields that the pipeline reads."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from scutum_server.wire.chat import Amount, StreamOptions


class CompletionsRequest(Struct):
    """What the pipeline reads of a request; everything else is forwarded unseen. Answers and streams are as chat's."""

    model: str
    prompt: Raw = Raw()
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    max_tokens: Amount | None = None
    n: Amount | None = None
    best_of: Amount | None = None


REQUEST: Final = msgspec.json.Decoder(CompletionsRequest)
