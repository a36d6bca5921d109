"""Chat completions: the fields that the pipeline reads, and the usage in answers."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw, Struct

MAX_COUNT: Final = 2**31 - 1
Amount = Annotated[int, Meta(ge=-MAX_COUNT, le=MAX_COUNT)]
"""What a client asks for; some servers take a negative one for no bound."""


class StreamOptions(Struct):
    include_usage: bool | None = None


class ChatRequest(Struct):
    """What the pipeline reads of a request; everything else is forwarded unseen."""

    model: str
    messages: list[Raw]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    max_tokens: Amount | None = None
    max_completion_tokens: Amount | None = None
    n: Amount | None = None
    service_tier: Raw = Raw()

    @property
    def terms(self) -> tuple[str, str] | None:
        """Those that the client asked for."""
        return terms_of(self.service_tier)


Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
"""Tokens of one call: what the spend log can hold."""


class InputDetails(Struct):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_long_tokens: Count | None = msgspec.field(default=None, name="#cache_write_long_tokens")
    """Of those written, what is kept for an hour: Anthropic's wire tells it apart."""
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class OutputDetails(Struct):
    """Anthropic's wire says `thinking_tokens`."""

    reasoning_tokens: Count | None = None
    thinking_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class Usage(Struct):
    """Tokens as OpenAI's wire reports them, for chat and for embeddings, and what other formats report beyond that.

    `terms` are those under which the call was served, where prices depend on them: (name, value) in the API's words.
    No API has the names with a `#`: those are for the readers of other formats to set.
    """

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    prompt_cache_hit_tokens: Count | None = None
    web_searches: int | None = msgspec.field(default=None, name="#web_searches")
    """How often the provider searched by itself: Anthropic's wire tells it, and Responses list it."""
    file_searches: int = msgspec.field(default=0, name="#file_searches")
    terms: tuple[str, str] | None = msgspec.field(default=None, name="#terms")

    @property
    def output(self) -> int:
        """With the reasoning, which xAI and Google report beside the completion and only count in the total."""
        return (self.completion_tokens or 0) + self._beside

    @property
    def _beside(self) -> int:
        if self.total_tokens is None or self.prompt_tokens is None:
            return 0
        beside = self.total_tokens - self.prompt_tokens - (self.completion_tokens or 0)
        return beside if beside > 0 and self._reasoning in {0, beside} else 0

    @property
    def cached(self) -> int:
        """DeepSeek has a name of its own for it, beside OpenAI's or alone."""
        details = self.prompt_tokens_details
        return (details and details.cached_tokens) or self.prompt_cache_hit_tokens or 0

    @property
    def extras(self) -> tuple[int, int, int]:
        """Tokens written to a cache, those of them that stay for an hour, and searches."""
        details = self.prompt_tokens_details
        if details is None:
            return 0, 0, self.web_searches or 0
        return details.cache_write_tokens or 0, details.cache_write_long_tokens or 0, self.web_searches or 0

    @property
    def written(self) -> int:
        return self.extras[0]

    @property
    def reasoning(self) -> int:
        return self._reasoning or self._beside

    @property
    def _reasoning(self) -> int:
        details = self.completion_tokens_details
        return (details and (details.reasoning_tokens or details.thinking_tokens)) or 0


_USAGE: Final[msgspec.json.Decoder[Usage | None]] = msgspec.json.Decoder(Usage | None)


class Reported(Struct):
    """An answer's usage: read apart from the answer, which is good without it."""

    reported: Raw = msgspec.field(name="usage", default=Raw(b"null"))
    service_tier: Raw = Raw()

    @property
    def usage(self) -> Usage | None:
        """None as well when a count is absurd (negative, broken, over 2^31 - 1, no number): nothing was reported."""
        try:
            found = _USAGE.decode(self.reported)
        except (msgspec.MsgspecError, RecursionError):
            return None
        if found is not None:
            found.terms = terms_of(self.service_tier)
        return found


_USUAL_TIERS: Final = frozenset({b"", b"null", b'"default"', b'"auto"', b'"standard"'})


def terms_of(service_tier: Raw) -> tuple[str, str] | None:
    """Those of an answer's `service_tier`; None for the usual one, and for what is no string."""
    said = bytes(service_tier)
    if said in _USUAL_TIERS or not said.startswith(b'"'):
        return None
    return ("service_tier", said[1:-1].decode("utf-8", "replace"))


class ChatAnswer(Reported, kw_only=True):
    """A whole answer; without `choices` it is none."""

    choices: list[Raw]


class ChatChunk(Reported, kw_only=True):
    """One event of a stream."""

    choices: list[Raw] | None = None
    error: Raw = Raw()


def usage_in(body: bytes) -> Usage | None:
    """The usage of a whole answer; raises a msgspec error when it is none."""
    return ANSWER.decode(body).usage


def reported_in(body: bytes) -> Usage | None:
    """What a document that is no answer says about its cost; raises a msgspec error when it is no document."""
    return _REPORTED.decode(body).usage


REQUEST: Final = msgspec.json.Decoder(ChatRequest)
ANSWER: Final = msgspec.json.Decoder(ChatAnswer)
CHUNK: Final = msgspec.json.Decoder(ChatChunk)
_REPORTED: Final = msgspec.json.Decoder(Reported)

BYTES_PER_TOKEN: Final = 4
"""The rule for tokens that nobody reported: four bytes of text are one token."""
IMAGE_TOKENS: Final = 1000
_BINARY: Final = frozenset({"image_url", "input_audio", "file", "source", "file_data"})
"""What names an image or a file in a message, of whichever format."""


def text_tokens(value: Any) -> int:
    """An estimate of the tokens in messages, input or choices: their texts by bytes, a fixed number for an image."""
    size = 0
    left = [value]
    while left:  # no recursion: documents are nested as deeply as others like
        item = left.pop()
        if isinstance(item, str):
            size += len(item.encode())
        elif isinstance(item, list):
            left += item
        elif isinstance(item, dict):
            if _BINARY & item.keys():
                size += IMAGE_TOKENS * BYTES_PER_TOKEN
            else:
                left += item.values()
        elif isinstance(item, int | float) and not isinstance(item, bool):
            size += BYTES_PER_TOKEN
    return size // BYTES_PER_TOKEN
