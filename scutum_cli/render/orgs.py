"""Organisations and their units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scutum_cli.render.columns import Column
from scutum_cli.render.text import age, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Org, Unit

COLUMNS: list[Column[Org]] = [
    Column("name", "NAME"),
    Column("time_zone", "TIME ZONE"),
    Column("created_at", "CREATED", lambda org, face: age(org["created_at"], face)),
    Column("id", "ID"),
    Column("updated_at", "CHANGED", lambda org, face: age(org["updated_at"], face), extra=True),
]
DETAILS: list[Column[Org]] = [
    Column("name", "NAME"),
    Column("id", "ID"),
    Column("time_zone", "TIME ZONE"),
    Column("created_at", "CREATED", lambda org, face: when(org["created_at"], face)),
    Column("updated_at", "CHANGED", lambda org, face: when(org["updated_at"], face)),
]
UNITS: list[Column[Unit]] = [
    Column("name", "NAME"),
    Column("org", "ORG"),
    Column("created_at", "CREATED", lambda unit, face: age(unit["created_at"], face)),
    Column("id", "ID"),
    Column("updated_at", "CHANGED", lambda unit, face: age(unit["updated_at"], face), extra=True),
]
UNIT_DETAILS: list[Column[Unit]] = [
    Column("name", "NAME"),
    Column("id", "ID"),
    Column("org", "ORG"),
    Column("created_at", "CREATED", lambda unit, face: when(unit["created_at"], face)),
    Column("updated_at", "CHANGED", lambda unit, face: when(unit["updated_at"], face)),
]
