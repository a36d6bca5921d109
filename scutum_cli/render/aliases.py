"""Aliases: names that stand for models, and how they choose between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, Face, listed, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Alias


def _targets(alias: Alias, face: Face) -> str:
    del face
    weights = alias["weights"]
    if weights is None:
        return listed(alias["targets"])
    return listed([f"{target} ({weight})" for target, weight in zip(alias["targets"], weights, strict=True)])


def _time(milliseconds: int | None) -> str:
    return NOTHING if milliseconds is None else f"{milliseconds / 1000:g} s"


DETAILS: list[Column[Alias]] = [
    Column("name", "NAME"),
    Column("resolves_to", "RESOLVES TO", lambda alias, _: alias["resolves_to"] or "nothing: no target exists"),
    Column("targets", "TARGETS", _targets),
    Column("strategy", "STRATEGY"),
    Column("automatic", "CHOSEN", lambda alias, _: "by price and ability" if alias["automatic"] else "by hand"),
    Column("retries", "RETRIES"),
    Column("total_ms", "TIME-OUT", lambda alias, _: _time(alias["total_ms"])),
    Column("first_byte_ms", "TO FIRST BYTE", lambda alias, _: _time(alias["first_byte_ms"])),
    Column("updated_at", "CHANGED", lambda alias, face: when(alias["updated_at"], face)),
]
COLUMNS: list[Column[Alias]] = [
    Column("name", "NAME"),
    Column("resolves_to", "RESOLVES TO", lambda alias, _: alias["resolves_to"] or "nothing: no target exists"),
    Column("targets", "TARGETS", _targets),
    Column("strategy", "STRATEGY"),
    Column("automatic", "CHOSEN", lambda alias, _: "by price and ability" if alias["automatic"] else "by hand"),
    Column("retries", "RETRIES", right=True, extra=True),
    Column("total_ms", "TIME-OUT", lambda alias, _: _time(alias["total_ms"]), right=True, extra=True),
    Column("first_byte_ms", "TO FIRST BYTE", lambda alias, _: _time(alias["first_byte_ms"]), right=True, extra=True),
]
