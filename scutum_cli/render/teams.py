"""Teams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scutum_cli.render.columns import Column
from scutum_cli.render.text import age, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Team

COLUMNS: list[Column[Team]] = [
    Column("name", "NAME"),
    Column("org", "ORG"),
    Column("unit", "UNIT", sparse=True),
    Column("created_at", "CREATED", lambda team, face: age(team["created_at"], face)),
    Column("id", "ID"),
]

DETAILS: list[Column[Team]] = [
    Column("name", "NAME"),
    Column("id", "ID"),
    Column("org", "ORG"),
    Column("unit", "UNIT"),
    Column("created_at", "CREATED", lambda team, face: when(team["created_at"], face)),
]
