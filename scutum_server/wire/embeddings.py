"""Embeddings: the fields that the pipeline reads."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from scutum_server.wire.chat import Reported, Usage


class EmbeddingsRequest(Struct):
    """What the pipeline reads of a request; everything else is forwarded unseen."""

    model: str
    input: Raw
    user: str | None = None


class EmbeddingsAnswer(Reported, kw_only=True):
    """A whole answer; without `data` it is none."""

    data: list[Raw]


REQUEST: Final = msgspec.json.Decoder(EmbeddingsRequest)
ANSWER: Final = msgspec.json.Decoder(EmbeddingsAnswer)


def usage_in(body: bytes) -> Usage | None:
    """The usage of a whole answer; raises a msgspec error when it is none. Voyage reports the total alone."""
    usage = ANSWER.decode(body).usage
    if usage is not None and usage.prompt_tokens is None:
        usage.prompt_tokens = usage.total_tokens
    return usage
