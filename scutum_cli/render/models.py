"""Models: the names that clients may call."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, Face, age, count, listed, money, per_million, when

if TYPE_CHECKING:
    from scutum_cli.client.types import CatalogModel, Model


def _price(model: Model, face: Face) -> str:
    del face
    price = model["price"]
    if price is None:
        return model["price_source"]
    return f"{per_million(price['input_nano'])} in, {per_million(price['output_nano'])} out"


def _usd(text: str | None) -> str:
    return NOTHING if text is None else money(Decimal(text))


def _breaker(model: Model, face: Face) -> str:
    del face
    breaker = model["breaker"]
    return "unknown" if breaker is None else breaker["state"]


def _breaker_told(model: Model, face: Face) -> str:
    breaker = model["breaker"]
    if breaker is None or breaker["retry_at"] is None:
        return _breaker(model, face)
    return f"{breaker['state']} after {breaker['reason']}, tried again from {when(breaker['retry_at'], face)}"


def _called_there(model: Model, face: Face) -> str:
    del face
    return "the same" if model["upstream_model"] == model["name"] else model["upstream_model"]


COLUMNS: list[Column[Model]] = [
    Column("name", "NAME"),
    Column("provider", "PROVIDER"),
    Column("upstream_model", "CALLED THERE", _called_there),
    Column("kind", "KIND"),
    Column("price", "PRICE / M TOKENS", _price),
    Column("breaker", "BREAKER", _breaker),
    Column("price_source", "PRICE FROM", extra=True),
    Column("rpm", "RPM", right=True, extra=True),
    Column("tpm", "TPM", right=True, extra=True),
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
    Column("rpm", "REQUESTS A MINUTE"),
    Column("tpm", "TOKENS A MINUTE"),
    Column("breaker", "BREAKER", _breaker_told),
    Column("created_at", "CREATED", lambda model, face: when(model["created_at"], face)),
]

CATALOG: list[Column[CatalogModel]] = [
    Column("provider", "PROVIDER"),
    Column("model", "MODEL"),
    Column("kind", "KIND"),
    Column("can", "CAN", lambda model, _: listed(model["can"])),
    Column("context", "CONTEXT", lambda model, _: count(model["context"]) if model["context"] else NOTHING, right=True),
    Column("input_usd", "IN / M TOKENS", lambda model, _: _usd(model["input_usd"]), right=True),
    Column("output_usd", "OUT / M TOKENS", lambda model, _: _usd(model["output_usd"]), right=True),
    Column("cached_usd", "CACHED / M", lambda model, _: _usd(model["cached_usd"]), right=True, extra=True),
    Column("name", "NAME", extra=True),
]
