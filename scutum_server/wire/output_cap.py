"""Telling a provider how many tokens it may generate, where the client's own maximum is higher or missing."""

from __future__ import annotations

from typing import Any, Final

import msgspec

FIELDS: Final = ("max_completion_tokens", "max_tokens")
"""Chat's two names for it: a server knows the one, the other or both."""
LEAST_THINKING: Final = 1_024
"""Anthropic's own minimum for `thinking.budget_tokens`."""


def with_output_cap(body: bytes, cap: int, *, field: str) -> bytes:
    """`body` (a valid JSON object) with at most `cap` output tokens a choice, under the name `field` at least.

    OpenAI refuses a request with both of its names: there `max_tokens` will do. Tokens for thinking must be fewer than
    all of them: they get a half. Bytes are spliced only where nothing in them can spell one of the fields, see
    `body.with_model`.
    """
    if b'"max_' not in body and b"\\u" not in body:
        start = body.index(b"{") + 1
        return b'%b"%b":%d,%b' % (body[:start], field.encode(), cap, body[start:])
    document: dict[str, Any] = msgspec.json.decode(body)
    names = [name for name in (*FIELDS, field) if document.get(name) is not None]
    if field != FIELDS[0] or not names:
        names.append(field)
    for name in names:
        given = document.get(name)
        # Some servers take a maximum of zero or less for none at all.
        document[name] = min(cap, given) if isinstance(given, int) and given > 0 else cap
    thinking = document.get("thinking")
    if isinstance(thinking, dict):
        thoughts = thinking.get("budget_tokens")
        if isinstance(thoughts, int) and thoughts >= cap:
            thinking["budget_tokens"] = max(LEAST_THINKING, cap // 2)
    return msgspec.json.encode(document)
