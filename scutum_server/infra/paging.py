"""Keyset paging: a page of a list, and the opaque cursor that leads to the next one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from scutum_server.errors import InvalidInput

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """`next` is None on the last page."""

    items: list[T]
    next: str | None


def encode(kind: str, *position: str) -> str:
    """A cursor of the list `kind` after the row with these sort keys."""
    return base64.urlsafe_b64encode(msgspec.json.encode([kind, *position])).decode().rstrip("=")


def decode(kind: str, cursor: str | None, width: int = 1) -> list[str] | None:
    """The sort keys in a cursor of this list; raises InvalidInput for anything else."""
    if not cursor:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        values = msgspec.json.decode(raw, type=list[str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        values = []
    if len(values) != width + 1 or values[0] != kind or any("\0" in value for value in values):
        raise InvalidInput(
            "This cursor does not belong to this list.",
            code="invalid_cursor",
            hint="Start again without a cursor.",
            param="cursor",
        )
    return values[1:]


def cut(kind: str, rows: Sequence[T], limit: int, position: Callable[[T], tuple[str, ...]]) -> Page[T]:
    """The page out of `limit + 1` rows; the row too many only tells that there is a next page."""
    items = list(rows[:limit])
    return Page(items, encode(kind, *position(items[-1])) if len(rows) > limit else None)
