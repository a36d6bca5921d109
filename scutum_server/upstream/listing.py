"""Which models providers are known to offer, and what these can do: no network, nothing typed by hand.

Prices and context sizes are the `genai-prices` package's. What models can do is in capabilities.json, made from the
data inside the `litellm` package by tests/tools/generate_capabilities.py.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from scutum_server.upstream.catalog import find

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, TieredPrices

PROVIDERS: Final = {
    "openai": "openai", "azure": "azure", "x-ai": "xai", "deepseek": "deepseek", "mistral": "mistral", "groq": "groq",
    "together": "together", "anthropic": "anthropic", "google": "gemini", "aws": "bedrock",
}  # fmt: skip
"""The package's name for a provider, and ours. Vertex AI's models are listed with Gemini's: they are one list there."""
_KINDS: Final = ("chat", "embedding", "rerank", "image", "speech", "transcription", "moderation", "video")
"""What a model may be; of several, the first."""


class Ability(Struct, frozen=True):
    """`kind` says what a model makes; `can` are `tools`, `vision`, `schema`, `reasoning`, `audio`."""

    kind: str | None = None
    can: tuple[str, ...] = ()


UNKNOWN: Final = Ability()


class _Data(Struct):
    source: str
    vendors: list[str]
    models: dict[str, dict[str, str]]


class Offer(Struct, frozen=True, kw_only=True):
    """Prices are US dollars per million tokens as decimal text, for short requests where they depend on the length.

    `kind` and `can` are those of Ability.
    """

    provider: str
    model: str
    name: str | None
    kind: str | None
    can: tuple[str, ...]
    context: int | None
    input_usd: str | None
    cached_usd: str | None
    output_usd: str | None


def source() -> str:
    """The package and its version."""
    return "genai-prices:" + importlib.metadata.version("genai-prices")


def vendors() -> list[str]:
    """What the `litellm` package calls the vendors that it can reach."""
    return _data().vendors


@cache
def _data() -> _Data:
    return msgspec.json.decode(Path(__file__).with_name("capabilities.json").read_bytes(), type=_Data)


@cache
def _ability(vendor: str, model: str) -> Ability:
    words = _data().models.get(vendor, {}).get(model, "").split()
    kind = next((kind for kind in _KINDS if kind in words), None)
    return Ability(kind, tuple(word for word in words if word not in _KINDS))


def ability(seller: str, base_url: str | None, upstream_model: str) -> Ability | None:
    """What a model can do at a provider (`seller` as catalog.seller gives it); None when the catalogue has it not."""
    from genai_prices.data_snapshot import get_snapshot

    found = find(seller, base_url, upstream_model)
    if found is None:
        return None
    owners = [each.id for each in get_snapshot().providers if any(model is found for model in each.models)]
    return next((known for owner in owners if (known := _ability(owner, found.id)) != UNKNOWN), UNKNOWN)


def offers(provider: str | None = None) -> list[Offer]:
    """By provider and model; loads the package's data (31 MB, 0.2 s) at the first call."""
    from genai_prices.data_snapshot import get_snapshot

    now = dt.datetime.now(dt.UTC)
    provider = {"vertex": "gemini", "google": "gemini"}.get(provider or "", provider)
    found = [
        _offer(each.id, PROVIDERS[each.id], model, now)
        for each in get_snapshot().providers
        if each.id in PROVIDERS and provider in {None, PROVIDERS[each.id]}
        for model in each.models
    ]
    return sorted(found, key=lambda offer: (offer.provider, offer.model))


def _offer(vendor: str, provider: str, model: ModelInfo, now: dt.datetime) -> Offer:
    known = _ability(vendor, model.id)
    prices = model.get_prices(now) if isinstance(model.prices, list) else model.prices
    return Offer(
        provider=provider,
        model=model.id,
        name=model.name,
        kind=known.kind,
        can=known.can,
        context=model.context_window,
        input_usd=_usd(prices.input_mtok),
        cached_usd=_usd(prices.cache_read_mtok),
        output_usd=_usd(prices.output_mtok),
    )


def _usd(value: Decimal | TieredPrices | None) -> str | None:
    if value is None:
        return None
    amount = value if isinstance(value, Decimal) else value.base
    return f"{amount.normalize():f}"
