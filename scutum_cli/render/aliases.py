"""Aliases: names that stand for the first of their models that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scutum_cli.render.columns import Column
from scutum_cli.render.text import listed

if TYPE_CHECKING:
    from scutum_cli.client.types import Alias

COLUMNS: list[Column[Alias]] = [
    Column("name", "NAME"),
    Column("resolves_to", "RESOLVES TO", lambda alias, _: alias["resolves_to"] or "nothing: no target exists"),
    Column("targets", "TARGETS", lambda alias, _: listed(alias["targets"])),
]
