"""Reading a request's body and naming another model in it, with as little parsing as is safe."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from scutum_server.errors import InvalidInput

T = TypeVar("T")

_AT: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_HALF: Final = re.compile(
    rb"(?<!\\)(?:\\\\)*(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F])"
)
"""An escape for one half of a surrogate pair without the other."""
_KINDS: Final = {"str": "a string", "int": "a whole number", "bool": "true or false", "array": "a list",
                 "object": "an object", "float": "a number", "null": "null"}  # fmt: skip


_READ: Final = frozenset({
    "background", "best_of", "conversation", "input", "instructions", "max_completion_tokens", "max_output_tokens",
    "max_tokens", "messages", "model", "n", "previous_response_id", "prompt", "stream", "stream_options", "system",
    "tools",
})  # fmt: skip
"""The fields that a rule of the gateway rests on."""
PARTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
"""For a document's fields by name, each value as the bytes that it came in."""
ANYTHING: Final = msgspec.json.Decoder(dict[str, Any])
"""For whole documents. It refuses what `msgspec` skips unseen elsewhere: numbers beyond all bounds."""


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The fields of `decoder`'s type; raises InvalidInput (400) with code `invalid_json` or `invalid_request`."""
    try:
        # msgspec does not look into strings that it skips.
        if not body.isascii():
            body.decode("utf-8")
        return decoder.decode(body)
    except UnicodeDecodeError:
        raise InvalidInput("The request body is not valid UTF-8.", code="invalid_json") from None
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        if not isinstance(error, RecursionError) and _HALF.search(body):
            sentence = "The request body is not valid Unicode: an escape names half of a surrogate pair only."
            raise InvalidInput(sentence, code="invalid_json") from None
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).lower()
        raise InvalidInput(f"The request body is not valid JSON: {reason}.", code="invalid_json") from None


def _wrong_field(message: str) -> InvalidInput:
    missing = re.search(r"missing required field `(\w+)`", message)
    if missing:
        return InvalidInput(f"The field `{missing[1]}` is missing.", param=missing[1])
    place = _AT.search(message)
    param = place[1] if place else None
    text = re.sub(r"`([a-z |]+)`", _kinds, _AT.sub("", message))
    if text.startswith("Expected "):
        text = "must be " + text.removeprefix("Expected ").replace(", got ", ", not ")
    else:
        text = f"cannot be read: {text[:1].lower()}{text[1:]}"
    return InvalidInput(f"The field `{param}` {text}." if param else f"The request body {text}.", param=param)


def _kinds(found: re.Match[str]) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in found[1].split(" | "))


def with_model(body: bytes, model: str, *, include_usage: bool = False) -> bytes:
    """`body` (a valid JSON object) naming `model`, asking for usage on the stream if wanted.

    The object is taken apart and put together anew around its values' own bytes: no name is left twice or in escapes,
    which a provider might read differently. That is cheaper than looking for such names (1.5 µs for 1 kB). Raises
    InvalidInput for a name that differs from one of ours in case only: servers written in Go take it for ours.
    """
    document = PARTS.decode(body)
    names = "".join(document)
    if not (names.isascii() and names.islower()):
        _check_case(document)
    document["model"] = _quoted(model)
    if include_usage:
        options = document.get("stream_options", b"")
        parts = PARTS.decode(options) if bytes(options)[:1] == b"{" else {}
        parts["include_usage"] = msgspec.Raw(b"true")
        document["stream_options"] = msgspec.Raw(msgspec.json.encode(parts))
    return msgspec.json.encode(document)


@lru_cache(4096)
def _quoted(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(text))


def _check_case(names: Iterable[str]) -> None:
    for name in names:
        ours = name.casefold()
        if ours in _READ and name != ours:
            raise InvalidInput(
                f"The field `{name}` differs from `{ours}` in case only, and providers disagree on what that is: "
                "leave it out.",
                param=name,
            )
