"""What a call costs, in whole nano-USD: from the operator's price, or from the `genai-prices` package.

genai-prices takes 31 MB and 0.2 s to load: it is loaded with the first deployment that needs it, when a pricer is made,
and never by a request.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib.metadata
import ipaddress
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from scutum_server.upstream.rates import Apart, Rates, Terms, Tokens, rates_of, uniform

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

__all__ = ("UNKNOWN", "Apart", "Cost", "NanoPrice", "Price", "Pricer", "Terms", "Tokens", "find", "price",
           "price_source", "pricer", "seller", "window")  # fmt: skip

_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
_VENDORS = {
    "gemini": "google", "vertex_ai": "google", "vertex_ai_beta": "google", "bedrock": "aws", "together_ai": "together",
    "fireworks_ai": "fireworks", "xai": "x-ai",
}  # fmt: skip
"""The LiteLLM library's word for a provider, where the price list has another."""
UNKNOWN = "unknown"
_RESOLVE_SECONDS = 60.0
_LARGE_WINDOW = 1_000_000

NanoPrice = Annotated[int, Meta(ge=0, le=10**15)]


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's own price, in nano-USD per token; cached tokens cost as others when `cached_nano` is not set."""

    input_nano: NanoPrice
    output_nano: NanoPrice
    cached_nano: NanoPrice | None = None


class Cost(Struct, frozen=True):
    """`source` is "operator", "simulated", "unknown" or "genai-prices:<version>"."""

    nano_usd: int
    source: str


Pricer = Callable[[Tokens], Cost]


def pricer(*, provider_kind: str, base_url: str | None, upstream_model: str, override: Price | None) -> Pricer:
    """A function of tokens for one deployment, made with the snapshot; about a microsecond a call, and it never fails.

    `provider_kind` is as `seller` gives it. A model that is not in the catalogue costs 0 with source "unknown"; so does
    every model behind a base URL that the catalogue does not know, since a name alone does not tell whose price holds.
    """
    if provider_kind == "sim":
        simulated = Cost(0, "simulated")
        return lambda _: simulated
    if override is not None:
        cached = override.input_nano if override.cached_nano is None else override.cached_nano
        fixed = uniform(override.input_nano, override.output_nano, cached)
        return lambda tokens: Cost(fixed.nano_usd(tokens), "operator")
    model = find(provider_kind, base_url, upstream_model)
    if model is None:
        unknown = Cost(0, UNKNOWN)
        return lambda _: unknown
    return _catalogued(model)


@cache
def window(*, provider_kind: str, base_url: str | None, upstream_model: str) -> int | None:
    """The most tokens that a model reads at once, as far as the catalogue knows; asks it as `pricer` does."""
    model = None if provider_kind == "sim" else find(provider_kind, base_url, upstream_model)
    if model is None or model.context_window is None:
        return None
    known = model.context_window
    prices = [each.prices for each in model.prices] if isinstance(model.prices, list) else [model.prices]
    # A price for inputs beyond the window tells of a larger one, which some customers have.
    return max(known, _LARGE_WINDOW) if any(_reaches(each, known) for each in prices) else known


def _reaches(prices: ModelPrice, tokens: int) -> bool:
    taken = prices.input_mtok
    return any(tier.start >= tokens for tier in getattr(taken, "tiers", ()))


def price(
    usage: Tokens, *, provider_kind: str, base_url: str | None, upstream_model: str, override: Price | None
) -> Cost:
    """One cost, for callers that are not on a request's way; see `pricer`."""
    make = pricer(provider_kind=provider_kind, base_url=base_url, upstream_model=upstream_model, override=override)
    return make(usage)


def _is_private(base_url: str) -> bool:
    """True for servers of the operator's own, whose prices nobody publishes, so that they do not load the catalogue."""
    host = ""
    try:
        host = urlsplit(base_url).hostname or ""
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host


def find(provider_kind: str, base_url: str | None, upstream_model: str) -> ModelInfo | None:
    """The model in the catalogue; None for one that it does not have, and for every one of a private server."""
    kind, _, vendor = provider_kind.partition(":")
    if kind == "litellm" and not base_url:
        return _find(upstream_model, provider_id=_VENDORS.get(vendor, vendor))
    url = base_url or _URLS.get(kind, "")
    return None if _is_private(url) else _find(upstream_model, url=url)


def seller(provider_kind: str, settings: Mapping[str, Any]) -> str:
    """The provider's kind as prices are looked up by it: the LiteLLM lane's says whose it is, `litellm:gemini`."""
    return f"{provider_kind}:{settings.get('vendor', '')}" if provider_kind == "litellm" else provider_kind


def _find(upstream_model: str, *, url: str | None = None, provider_id: str | None = None) -> ModelInfo | None:
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    try:
        provider = snapshot.find_provider(None, provider_id, url)
        found = provider.find_model(upstream_model, all_providers=snapshot.providers)
    except LookupError:
        return None
    if found is not None and found.price_variants and not any(found is each for each in provider.models):
        # Another provider's model sold on: the catalogue knows its plain price there, and not that of its tiers.
        return dataclasses.replace(found, price_variants=None)
    return found


@cache
def price_source() -> str:
    """What the spend log says of a price that was taken from the package."""
    return "genai-prices:" + importlib.metadata.version("genai-prices")


def _catalogued(model: ModelInfo) -> Pricer:
    source = price_source()
    # Terms come in a provider's own words: those that the catalogue does not know have the plain price.
    known = {terms for variant in model.price_variants or () for terms in variant.when.items()}
    held: dict[Terms | None, Rates] = {}
    until = 0.0

    def priced(tokens: Tokens) -> Cost:
        nonlocal until
        # Prices change with the date and with the time of day: they are looked up again every minute.
        if time.monotonic() >= until:
            held.clear()
            until = time.monotonic() + _RESOLVE_SECONDS
        terms = tokens.apart.terms if tokens.apart is not None and tokens.apart.terms in known else None
        rates = held.get(terms)
        if rates is None:
            context = None if terms is None else dict([terms])
            rates = held[terms] = rates_of(model.get_prices(dt.datetime.now(dt.UTC), context))
        return Cost(rates.nano_usd(tokens), source)

    return priced
