"""JSON schemas for answers: each vendor enforces a part of the language, and refuses schemas that go beyond it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scutum_server.wire.fields import Document

_UNENFORCED: Final = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems",
    "uniqueItems", "minProperties", "maxProperties",
)  # fmt: skip
_NAMED: Final = ("properties", "$defs", "definitions")
_LISTED: Final = ("anyOf", "allOf", "oneOf", "prefixItems")


def for_anthropic(schema: Any) -> Document | None:
    """`schema` as Anthropic's servers enforce it: closed, bounds told in words; None if its sense would change."""
    if not isinstance(schema, dict):
        return None
    made: Document = {}
    told: list[str] = []
    for name, value in schema.items():
        if name in _UNENFORCED or (name == "minItems" and value not in (0, 1)):
            told.append(f"{name}: {msgspec.json.encode(value).decode()}")
        elif name in _NAMED and isinstance(value, dict):
            parts = {each: for_anthropic(part) for each, part in value.items()}
            if None in parts.values():
                return None
            made[name] = parts
        elif name in _LISTED and isinstance(value, list):
            members = [for_anthropic(part) for part in value]
            if None in members:
                return None
            made[name] = members
        elif name == "items":
            items = for_anthropic(value)
            if items is None:
                return None
            made[name] = items
        else:
            made[name] = value
    if told:
        made["description"] = " ".join(filter(None, [schema.get("description"), f"({', '.join(told)})"]))
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") not in (None, False):
            return None
        made["additionalProperties"] = False
    return made


def is_strict(schema: Any) -> bool:
    """Whether OpenAI's servers enforce `schema`: every object is closed and asks for all the fields that it knows."""
    if not isinstance(schema, dict):
        return False
    if schema.get("type") == "object" or "properties" in schema:
        fields = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != set(fields):
            return False
    parts = [part for name in _NAMED for part in (schema.get(name) or {}).values()]
    parts += [part for name in _LISTED for part in schema.get(name) or ()]
    parts += [schema["items"]] if "items" in schema else []
    return all(is_strict(part) for part in parts)
