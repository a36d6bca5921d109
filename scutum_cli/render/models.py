"""Models: the names that clients may call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scutum_cli.render.columns import Column
from scutum_cli.render.text import Face, age, per_million, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Model


def _price(model: Model, face: Face) -> str:
    del face
    price = model["price"]
    if price is None:
        return "catalogue"
    return f"{per_million(price['input_nano'])} in, {per_million(price['output_nano'])} out"


def _called_there(model: Model, face: Face) -> str:
    del face
    return "the same" if model["upstream_model"] == model["name"] else model["upstream_model"]


COLUMNS: list[Column[Model]] = [
    Column("name", "NAME"),
    Column("provider", "PROVIDER"),
    Column("upstream_model", "CALLED THERE", _called_there),
    Column("kind", "KIND"),
    Column("price", "PRICE / M TOKENS", _price),
    Column("created_at", "CREATED", lambda model, face: age(model["created_at"], face), extra=True),
    Column("id", "ID", extra=True),
]

DETAILS: list[Column[Model]] = [
    Column("name", "NAME"),
    Column("id", "ID"),
    Column("provider", "PROVIDER"),
    Column("upstream_model", "CALLED THERE"),
    Column("kind", "KIND"),
    Column("price", "PRICE / M TOKENS", _price),
    Column("created_at", "CREATED", lambda model, face: when(model["created_at"], face)),
]
