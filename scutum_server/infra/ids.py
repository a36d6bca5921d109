"""Identifiers: short typed ones for objects, UUIDv7 for requests. Both sort by time."""

from __future__ import annotations

import datetime as dt
import os
import time
from uuid import UUID

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """`prefix_` and 16 characters: 48 bits of Unix milliseconds, then 32 random bits, in Crockford base32."""
    value = (time.time_ns() // 1_000_000) << 32 | int.from_bytes(os.urandom(4))
    return f"{prefix}_" + "".join(CROCKFORD[(value >> shift) & 31] for shift in range(75, -1, -5))


def uuid7() -> UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds, 74 random bits."""
    random = int.from_bytes(os.urandom(10))
    millis = time.time_ns() // 1_000_000
    return UUID(int=millis << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | (random & (2**62 - 1)))


def uuid7_time(value: UUID) -> dt.datetime:
    """The creation time inside a UUIDv7, in UTC with millisecond precision."""
    return dt.datetime.fromtimestamp((value.int >> 80) / 1000, dt.UTC)
