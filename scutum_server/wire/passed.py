"""Requests that go to a provider as they are: the fields that the pipeline reads."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from scutum_server.wire.chat import Amount


class PassedRequest(Struct):
    """What the pipeline reads of a request; everything else is forwarded unseen."""

    model: str
    user: str | None = None


class ModerationRequest(PassedRequest):
    """OpenAI's own default where the client names no model, here and below."""

    model: str = "omni-moderation-latest"


class ImageRequest(PassedRequest):
    model: str = "dall-e-2"
    n: Amount | None = None


class ImageEditRequest(ImageRequest):
    model: str = "gpt-image-1.5"


class SpeechRequest(PassedRequest, kw_only=True):
    input: str


MODERATION: Final = msgspec.json.Decoder(ModerationRequest)
IMAGE: Final = msgspec.json.Decoder(ImageRequest)
IMAGE_EDIT: Final = msgspec.json.Decoder(ImageEditRequest)
SPEECH: Final = msgspec.json.Decoder(SpeechRequest)
PASSED: Final = msgspec.json.Decoder(PassedRequest)
