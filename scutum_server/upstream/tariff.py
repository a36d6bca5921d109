"""What a call costs that is not measured in text alone: images, audio, characters, seconds.

The units are those of `genai-prices`, whose own arithmetic is used. It takes about 0.1 ms a call, which is why chat has
a way of its own in `catalog`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from scutum_server.upstream.catalog import UNKNOWN, Apart, Cost, Price, Pricer, Terms, Tokens, find, price_source
from scutum_server.upstream.rates import rates_of

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

Units = Mapping[str, int | Decimal]
"""Such as {"input_tokens": 7, "input_image_tokens": 3}, {"audio_seconds": Decimal("1.5")}, {"input_characters": 9}."""


class Tariff(Protocol):
    def __call__(self, units: Units, terms: Terms | None = None) -> Cost: ...


_PLAIN: Final = Apart()
_TOKENS: Final = frozenset(
    f"{name}_tokens"
    for name in (
        "input", "output", "cache_read", "output_reasoning", "input_text", "output_text",
        "input_audio", "input_image", "output_audio", "output_image",
    )
)  # fmt: skip
"""What `catalog` counts as well; of text nothing costs otherwise than what is left."""
_NANO: Final = Decimal(1_000_000_000)
_NOTHING: Final = Cost(0, UNKNOWN)


def tariff(
    provider_kind: str, base_url: str | None, upstream_model: str, *, override: Price | None, price: Pricer
) -> Tariff:
    """A function of units for one deployment; like `catalog.pricer`, whose result for it is `price`, it never fails.

    `terms` are what another price holds for, if the catalogue has one, such as a batch's. The operator's own price is
    per token: it holds for whatever reports tokens, and says nothing about the rest. A unit that the catalogue has no
    price for makes the cost unknown, unless others of the same call have one.
    """
    if provider_kind == "sim":
        return lambda _units, _terms=None: price(Tokens(0, 0))
    if override is not None:
        return lambda units, _terms=None: price(tokens_of(units)) if "input_tokens" in units else _NOTHING

    def charge(units: Units, terms: Terms | None = None) -> Cost:
        model = _known(provider_kind, base_url, upstream_model)
        return _NOTHING if model is None else _priced(model, units, terms)

    return charge


def tokens_of(units: Units) -> Tokens:
    """The tokens among `units`, as the spend log has them."""

    def count(name: str) -> int:
        return int(units.get(f"{name}_tokens", 0))

    sorts = Apart(count("input_audio"), count("input_image"), count("output_audio"), count("output_image"))
    apart = None if sorts == _PLAIN else sorts
    return Tokens(count("input"), count("output"), count("cache_read"), count("output_reasoning"), apart=apart)


@lru_cache(4096)
def _known(provider_kind: str, base_url: str | None, upstream_model: str) -> ModelInfo | None:
    return find(provider_kind, base_url, upstream_model)


def _priced(model: ModelInfo, units: Units, terms: Terms | None) -> Cost:
    """Terms that the catalogue does not know of a model have its plain price."""
    from genai_prices import Usage

    known = terms is not None and any(terms in variant.when.items() for variant in model.price_variants or ())
    prices = model.get_prices(dt.datetime.now(dt.UTC), dict([terms]) if terms is not None and known else None)
    if _TOKENS.issuperset(units):
        # The package wants to be told which of the cached tokens were pictures, which no provider tells.
        made = rates_of(prices).nano_usd(tokens_of(units))
        return Cost(made, price_source()) if made else _NOTHING
    try:
        total = prices.calc_price(Usage(**units))["total_price"]
    except (ValueError, TypeError):
        # Counts that contradict each other.
        return _NOTHING
    exact = int((total * _NANO).to_integral_value(ROUND_HALF_EVEN))
    return Cost(exact, price_source()) if exact else _NOTHING
