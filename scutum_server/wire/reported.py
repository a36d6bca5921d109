"""What providers report of calls that are no chat: units for the tariff, read from answers that may be huge.

OpenAI's images and audio say `usage` with tokens by modality, or seconds; rerankers say `usage.total_tokens` (Jina,
Voyage, vLLM) or `meta.billed_units` and `meta.tokens` (Cohere); a batch says `usage` when it is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from scutum_server.wire.chat import MAX_COUNT

Units = dict[str, int | Decimal]

KEPT_BYTES: Final = 1024
"""Of each string in a skimmed answer."""
MOST_BYTES: Final = 1024 * 1024
_MODALITIES: Final = ("text", "image", "audio")
_DATA: Final = b"data:"


def units_in(document: object, *, images: bool = False) -> Units | None:
    """The units that an answer reports, or None; `images` says that all its output is images unless it says more."""
    if not isinstance(document, dict):
        return None
    usage = document.get("usage")
    if isinstance(usage, dict):
        if usage.get("type") == "duration":
            return _seconds(usage.get("seconds"))
        return _tokens(usage, images=images)
    meta = document.get("meta")
    if isinstance(meta, dict):
        return _tokens(meta.get("tokens")) or _tokens(meta.get("billed_units"))
    return None


def _tokens(usage: object, *, images: bool = False) -> Units | None:
    if not isinstance(usage, dict):
        return None
    taken = _first(usage, "input_tokens", "prompt_tokens", "total_tokens")
    if taken is None:
        return None
    given = _first(usage, "output_tokens", "completion_tokens") or 0
    units: Units = {"input_tokens": taken, "output_tokens": given}
    details = _details(usage, "input_tokens_details", "input_token_details", "prompt_tokens_details")
    made = _details(usage, "output_tokens_details", "output_token_details", "completion_tokens_details")
    for modality in _MODALITIES:
        for found, direction, most in ((details, "input", taken), (made, "output", given)):
            count = _count(found.get(f"{modality}_tokens"))
            if count is not None:
                units[f"{direction}_{modality}_tokens"] = min(count, most)
    if images and given and not made:
        units["output_image_tokens"] = given
    cached = _count(details.get("cached_tokens"))
    if cached:
        units["cache_read_tokens"] = min(cached, taken)
    reasoning = _count(made.get("reasoning_tokens"))
    if reasoning:
        units["output_reasoning_tokens"] = min(reasoning, given)
    return units


def _seconds(value: object) -> Units | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
        return {"audio_seconds": Decimal(str(value))}
    return None


def _first(usage: dict[str, Any], *names: str) -> int | None:
    return next((found for name in names if (found := _count(usage.get(name))) is not None), None)


def _details(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    return next((found for name in names if isinstance(found := usage.get(name), dict)), {})


def _count(value: object) -> int | None:
    """Absurd counts are none."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole and not isinstance(value, bool) and 0 <= value <= MAX_COUNT else None  # type: ignore[call-overload, operator]


class Skimmer:
    """Keeps of a JSON text, or of a stream of events, all but its long strings: a picture is one long string."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._whole = True
        self._inside = False
        self._escaped = False
        self._mark = 0
        self._length = 0

    def feed(self, data: bytes) -> None:
        start, size = 0, len(data)
        while start < size:
            if self._inside:
                end = self._string_end(data, start)
                self._length += end - start
                if self._length <= KEPT_BYTES:
                    self._keep(data[start:end])
                elif not self._inside:
                    del self._kept[self._mark :]
                    self._keep(b'"')
            else:
                quote = data.find(b'"', start)
                end = size if quote < 0 else quote + 1
                self._keep(data[start:end])
                self._inside, self._length, self._mark = quote >= 0, 0, len(self._kept)
            start = end

    def _string_end(self, data: bytes, start: int) -> int:
        """Behind the quote that ends the string, or the end of `data`; an escape may go on in the next piece."""
        at = start + self._escaped
        self._escaped = False
        while True:
            quote = data.find(b'"', at)
            slash = data.find(b"\\", at, len(data) if quote < 0 else quote)
            if slash >= 0:
                at = slash + 2
                if at > len(data):
                    self._escaped = True
                    return len(data)
            elif quote < 0:
                return len(data)
            else:
                self._inside = False
                return quote + 1

    def _keep(self, data: bytes) -> None:
        self._whole = self._whole and len(self._kept) + len(data) <= MOST_BYTES
        if self._whole:
            self._kept += data

    def document(self) -> object:
        """The JSON document without its long strings; None when it is none, or too large even so."""
        return _decoded(bytes(self._kept)) if self._whole else None

    def events(self) -> Iterator[object]:
        """The documents of the stream's events that came since the last time, without their long strings."""
        end = self._kept.rfind(b"\n") + 1  # no string of JSON has a plain one
        lines, self._kept[:end] = bytes(self._kept[:end]), b""
        self._mark = max(0, self._mark - end)
        for line in lines.splitlines():
            if line.startswith(_DATA):
                yield _decoded(line[len(_DATA) :])


def _decoded(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
