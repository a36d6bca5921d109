"""Telling a provider how many tokens it may generate, where the client's own maximum is higher or missing."""

from __future__ import annotations

from typing import Any, Final

import msgspec

FIELDS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def with_output_cap(body: bytes, cap: int, *, field: str) -> bytes:
    """`body` (a valid JSON object) with at most `cap` output tokens a choice; `field` is added if it has none.

    Bytes are spliced only where nothing in them can spell one of the fields, see `body.with_model`.
    """
    if b'"max_' not in body and b"\\u" not in body:
        start = body.index(b"{") + 1
        return b'%b"%b":%d,%b' % (body[:start], field.encode(), cap, body[start:])
    document: dict[str, Any] = msgspec.json.decode(body)
    given = [name for name in FIELDS if document.get(name) is not None]
    for name in given or [field]:
        document[name] = min(cap, document[name]) if given else cap
    return msgspec.json.encode(document)
