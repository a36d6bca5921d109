"""Circuit breakers as the fleet shares them."""

from __future__ import annotations

import msgspec

CHANNEL = "scutum:breaker"
"""Where openings and closings are told."""
STATES = "scutum:breakers"
"""A hash: deployment id to Opening, as long as it is not closed."""
PROBE = "scutum:breaker:probe:"
"""Prefix of the key that the one prober of a deployment holds."""


class Opening(msgspec.Struct, frozen=True):
    """`until` is when the cooldown ends, in seconds since 1970; then the first request that comes is the probe."""

    until: float
    cooldown_s: float
    reason: str


class News(msgspec.Struct, frozen=True):
    """`opening` of None says that the breaker closed; `by` is the process that says so."""

    id: str
    by: str
    opening: Opening | None = None
