"""Reading documents that others wrote, for translators: the wrong type is an InvalidInput that names the place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from scutum_server.errors import InvalidInput

Document = dict[str, Any]


def obj(value: object, where: str) -> Document:
    if not isinstance(value, dict):
        raise InvalidInput(f"The field `{where}` must be an object.", param=where)
    return value


def items(value: object, where: str) -> Iterator[tuple[str, Document]]:
    """The objects of a list, each with the name of its place."""
    if not isinstance(value, list):
        raise InvalidInput(f"The field `{where}` must be a list.", param=where)
    for number, item in enumerate(value):
        place = f"{where}[{number}]"
        yield place, obj(item, place)


def text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"The field `{where}` must be a string.", param=where)
    return value


def json_object(value: object, where: str) -> Document:
    """The object that a string of JSON spells; empty for an empty string."""
    spelt = text(value or "", where)
    if not spelt.strip():
        return {}
    try:
        return obj(msgspec.json.decode(spelt), where)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidInput(f"The field `{where}` must hold a JSON object.", param=where) from None


def impossible(what: str, where: str | None, format_name: str) -> InvalidInput:
    """For what the provider's format cannot express and must not be lost silently."""
    return InvalidInput(
        f"{what} cannot be expressed in {format_name}, which this model's provider speaks: "
        "leave it out, or use a model whose provider takes it.",
        code="unsupported_by_provider",
        param=where,
    )


def is_set(value: object) -> bool:
    """False for what says nothing: null, false, zero, empty."""
    return not (value is None or value is False or value in (0, "", [], {}))


def left_over(document: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """Names of the fields that say something and were not translated, in order."""
    taken = set(known)
    return [name for name, value in document.items() if name not in taken and is_set(value)]


def data_url(url: str) -> tuple[str, str] | None:
    """(media type, base64) of a `data:` URL with base64 content, or None."""
    head, comma, data = url.partition(",")
    if not comma or not head.lower().startswith("data:") or not head.lower().endswith(";base64"):
        return None
    return head[5:-7].split(";")[0] or "application/octet-stream", unquote_to_bytes(data).decode("ascii", "replace")
