"""What a caller says about a request beside what it asks for: only try it, only if nobody was faster, only once."""

from __future__ import annotations

import re

from fastapi import Request
from msgspec import Struct

from scutum_server.errors import InvalidInput

MUTATIONS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_TAG = re.compile(r'\s*(?:W/)?"([\x21\x23-\x7e]*)"\s*')


class Wish(Struct, frozen=True, kw_only=True):
    """`expected` are the tags of If-Match, None without one; `idempotency_key` is None without one and for a trial."""

    mutation: bool
    dry_run: bool = False
    expected: frozenset[str] | None = None
    idempotency_key: str | None = None


def read(request: Request) -> Wish:
    """Raises InvalidInput for a header or `dry_run` that cannot be read."""
    if request.method not in MUTATIONS:
        return Wish(mutation=False)
    dry_run = _flag(request.query_params.get("dry_run"))
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput("Idempotency-Key is 1 to 255 visible ASCII characters.", param="Idempotency-Key")
    return Wish(
        mutation=True,
        dry_run=dry_run,
        expected=_tags(request.headers.get("if-match")),
        idempotency_key=None if dry_run else key,
    )


def _flag(text: str | None) -> bool:
    if text not in {None, "true", "false", "1", "0"}:
        raise InvalidInput("dry_run is true or false.", param="dry_run")
    return text in {"true", "1"}


def _tags(header: str | None) -> frozenset[str] | None:
    if header is None:
        return None
    if header.strip() == "*":
        return frozenset({"*"})
    found = [_TAG.fullmatch(part) for part in header.split(",")]
    tags = frozenset(match[1] for match in found if match is not None)
    if len(tags) == 0 or any(match is None for match in found) or "*" in tags:
        raise InvalidInput('If-Match lists ETags in quotation marks, such as "3k9x", or is *.', param="If-Match")
    return tags
