"""Which models providers are known to offer, out of the `genai-prices` package: no network, nothing typed by hand."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, TieredPrices

PROVIDERS: Final = {
    "openai": "openai", "azure": "azure", "x-ai": "xai", "deepseek": "deepseek", "mistral": "mistral", "groq": "groq",
    "together": "together", "anthropic": "anthropic", "google": "google", "aws": "bedrock",
}  # fmt: skip
"""The package's name for a provider, and ours."""


class Offer(Struct, frozen=True, kw_only=True):
    """Prices are US dollars per million tokens as decimal text, for short requests where they depend on the length."""

    provider: str
    model: str
    name: str | None
    context: int | None
    input_usd: str | None
    cached_usd: str | None
    output_usd: str | None


def source() -> str:
    """The package and its version."""
    return "genai-prices:" + importlib.metadata.version("genai-prices")


def offers(provider: str | None = None) -> list[Offer]:
    """By provider and model; loads the package's data (31 MB, 0.2 s) at the first call."""
    from genai_prices.data_snapshot import get_snapshot

    now = dt.datetime.now(dt.UTC)
    found = [
        _offer(PROVIDERS[each.id], model, now)
        for each in get_snapshot().providers
        if each.id in PROVIDERS and provider in {None, PROVIDERS[each.id]}
        for model in each.models
    ]
    return sorted(found, key=lambda offer: (offer.provider, offer.model))


def _offer(provider: str, model: ModelInfo, now: dt.datetime) -> Offer:
    prices = model.get_prices(now) if isinstance(model.prices, list) else model.prices
    return Offer(
        provider=provider,
        model=model.id,
        name=model.name,
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
