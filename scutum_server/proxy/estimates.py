"""Tokens that no provider reported: weighed by bytes, with factors learnt per deployment from what it does report.

No tokenizer runs here. Each vendor has its own and most publish none, so that any of them is as wrong for the others as
a factor; the vendor's own counts are right, and come with every answer that is not cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from scutum_server.wire.chat import BYTES_PER_TOKEN, text_tokens

if TYPE_CHECKING:
    from scutum_server.proxy.call import Call

ASKED: Final = ("messages", "input", "prompt", "system", "instructions", "tools")
"""Where the formats have what a model reads."""
LEAST: Final = 64
"""Below so many tokens the frame around a text, or the event that ends a stream, says too much."""
LARGEST_BODY: Final = 64 * 1024
_FIRST: Final = 16
_EVERY: Final = 64
"""To weigh a request costs as much as to read it: the first of a deployment, and then one out of so many."""
_WEIGHT: Final = 0.1
_RANGE: Final = (0.2, 5.0)
"""A report beyond tells of something else than the text."""
_UNSEEN: Final = (b'"image_url"', b'"input_audio"', b'"source"', b'"file', b'"previous_response_id"', b'"conversation"')
"""What stands for tokens that are not in the request's texts."""


class _Factor(Struct):
    """Tokens reported for each token that our rule sees."""

    value: float = 1.0
    known: int = 1

    def learn(self, found: float) -> None:
        low, high = _RANGE
        if low <= found <= high:
            self.known += 1
            self.value += max(_WEIGHT, 1 / self.known) * (found - self.value)


class _Factors(Struct):
    input: _Factor = msgspec.field(default_factory=_Factor)
    output: _Factor = msgspec.field(default_factory=_Factor)
    seen: int = 0


class Estimates:
    """One for a worker; what it has learnt ends with it, since a few answers teach it again."""

    def __init__(self) -> None:
        self._known: dict[str, _Factors] = {}

    def learn(self, call: Call, raw_output: int) -> None:
        """From a call whose tokens were reported; `raw_output` is what a stream's meter saw, 0 if there was none."""
        if call.deployment is None:
            return
        factors = self._known.get(call.deployment.id)
        if factors is None:
            factors = self._known[call.deployment.id] = _Factors()
        factors.seen += 1
        if raw_output >= LEAST:
            factors.output.learn(_visible(call, raw_output) / raw_output)
        if factors.seen > _FIRST and factors.seen % _EVERY:
            return
        if len(call.body) <= LARGEST_BODY and not any(mark in call.body for mark in _UNSEEN):
            raw = raw_input(call)
            if raw >= LEAST:
                factors.input.learn(call.tokens.input / raw)

    def input(self, call: Call) -> int:
        """Tokens of the request."""
        return round(raw_input(call) * self._factors(call).input.value)

    def output(self, call: Call, raw: int) -> int:
        """Tokens of an answer, by what was seen of it."""
        return round(raw * self._factors(call).output.value)

    def _factors(self, call: Call) -> _Factors:
        known = self._known.get(call.deployment.id) if call.deployment is not None else None
        return known or _Factors()


def _visible(call: Call, raw: int) -> int:
    """The reported tokens that a stream's meter can have seen: some providers stream their reasoning, some do not."""
    spoken = call.tokens.output - call.tokens.reasoning
    return spoken if abs(spoken - raw) < abs(call.tokens.output - raw) else call.tokens.output


def raw_input(call: Call) -> int:
    """Tokens of the request, by its texts."""
    try:
        document = msgspec.json.decode(call.body)
    except (msgspec.MsgspecError, RecursionError):  # a number beyond all bounds where the provider may have ignored it
        return len(call.body) // BYTES_PER_TOKEN
    return text_tokens([document.get(name) for name in ASKED])


def raw_output(body: bytes) -> int:
    """Tokens of a whole answer that reports none, by the texts of its choices; embeddings generate none."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return len(body) // BYTES_PER_TOKEN
    choices = document.get("choices") or ()
    said = [choice.get("message") or choice.get("text") for choice in choices if isinstance(choice, dict)]
    return text_tokens([said, document.get("content"), document.get("output")])
