"""Reading a request's body and naming another model in it, with as little parsing as is safe."""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec

from scutum_server.errors import InvalidInput

T = TypeVar("T")

_MODEL: Final = re.compile(rb'"model"[ \t\r\n]*:[ \t\r\n]*"(?:[^"\\]|\\.)*"')
_AT: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_HALF: Final = re.compile(
    rb"(?<!\\)(?:\\\\)*(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F])"
)
"""An escape for one half of a surrogate pair without the other."""
_KINDS: Final = {"str": "a string", "int": "a whole number", "bool": "true or false", "array": "a list",
                 "object": "an object", "float": "a number", "null": "null"}  # fmt: skip


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
    """`body` (a valid JSON object with a `model`) naming `model`, asking for usage on the stream if wanted.

    Bytes are spliced only where the name stands in plain sight: one `"model"` and no escape that could spell another.
    Otherwise the body is decoded and encoded anew, which leaves no duplicate key for the provider to read differently;
    that raises InvalidInput for numbers beyond all bounds.
    """
    if body.count(b'"model"') == 1 and b"\\u" not in body and not (include_usage and b'"stream_options"' in body):
        found = _MODEL.search(body)
        if found:
            start, end = found.span()
            named = b'"model":' + msgspec.json.encode(model)
            if include_usage:
                named += b',"stream_options":{"include_usage":true}'
            return body[:start] + named + body[end:]
    document = decode(body, ANYTHING)
    document["model"] = model
    if include_usage:
        options = document.get("stream_options")
        document["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    return msgspec.json.encode(document)
