"""Telling a provider how many tokens it may generate, where the client's own maximum is higher or missing."""

from __future__ import annotations

from typing import Final

import msgspec

from scutum_server.wire.body import PARTS

FIELDS: Final = ("max_completion_tokens", "max_tokens")
"""Chat's two names for it: a server knows the one, the other or both."""
_INT: Final = msgspec.json.Decoder(int)
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
    document = PARTS.decode(body)
    names = [name for name in (*FIELDS, field) if bytes(document.get(name, b"null")) != b"null"]
    if field != FIELDS[0] or not names:
        names.append(field)
    for name in names:
        given = _whole(document.get(name))
        # Some servers take a maximum of zero or less for none at all.
        document[name] = _raw(min(cap, given) if given is not None and given > 0 else cap)
    thinking = document.get("thinking", b"")
    if bytes(thinking)[:1] == b"{":
        parts = PARTS.decode(thinking)
        thoughts = _whole(parts.get("budget_tokens"))
        if thoughts is not None and thoughts >= cap:
            parts["budget_tokens"] = _raw(max(LEAST_THINKING, cap // 2))
            document["thinking"] = _raw(parts)
    return msgspec.json.encode(document)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _whole(value: msgspec.Raw | None) -> int | None:
    """The whole number that a value is, or None."""
    try:
        return None if value is None else _INT.decode(value)
    except msgspec.MsgspecError:
        return None
