"""Rate limits: whom they hold for and how much they let pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, count, when

if TYPE_CHECKING:
    from scutum_cli.client.types import RateLimit


def target(limit: RateLimit) -> str:
    """Whom it is about, in words: `team search, model fast`."""
    parts = [f"{name} {value}" for name in ("team", "key", "user", "model") if (value := limit[name]) is not None]
    return ", ".join(parts) or "everything"


def _rate(value: int | None) -> str:
    return NOTHING if value is None else count(value)


_FIGURES: list[Column[RateLimit]] = [
    Column("rpm", "REQ/MIN", lambda limit, _: _rate(limit["rpm"]), right=True, sparse=True),
    Column("tpm", "TOKENS/MIN", lambda limit, _: _rate(limit["tpm"]), right=True, sparse=True),
    Column("rpd", "REQ/DAY", lambda limit, _: _rate(limit["rpd"]), right=True, sparse=True),
    Column("tpd", "TOKENS/DAY", lambda limit, _: _rate(limit["tpd"]), right=True, sparse=True),
    Column("concurrency", "AT ONCE", lambda limit, _: _rate(limit["concurrency"]), right=True, sparse=True),
    Column("burst", "REQ/SEC", lambda limit, _: _rate(limit["burst"]), right=True, sparse=True),
]

COLUMNS: list[Column[RateLimit]] = [
    Column("for", "FOR", lambda limit, _: target(limit), value=target),
    *_FIGURES,
    Column("id", "ID"),
    Column("scope", "SCOPE", extra=True),
    Column("team", "TEAM", extra=True),
    Column("key", "KEY", extra=True),
    Column("user", "USER", extra=True),
    Column("model", "MODEL", extra=True),
    Column("on_failure", "WITHOUT REDIS", extra=True),
]

DETAILS: list[Column[RateLimit]] = [
    Column("scope", "FOR", lambda limit, _: target(limit)),
    Column("id", "ID"),
    *_FIGURES,
    Column("on_failure", "WITHOUT REDIS"),
    Column("created_at", "CREATED", lambda limit, face: when(limit["created_at"], face)),
]
