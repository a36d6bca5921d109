"""What a call costs, in whole nano-USD: from the operator's price, or from the `genai-prices` package.

genai-prices takes 31 MB and 0.2 s to load: it is loaded with the first deployment that needs it, when a pricer is made,
and never by a request.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import ipaddress
import time
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
UNKNOWN = "unknown"
_PER_MILLION = Decimal(1000)
"""USD per million tokens to nano-USD per token."""
_RESOLVE_SECONDS = 60.0
_LARGE_WINDOW = 1_000_000

NanoPrice = Annotated[int, Meta(ge=0, le=10**15)]


class Tokens(Struct, frozen=True):
    """Tokens as providers report them: `cached` and `cache_write` are parts of `input`, `reasoning` of `output`.

    `cache_write_long` are those of `cache_write` that are kept for an hour. `searches` are no tokens: how often the
    provider searched the web by itself.
    """

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0
    cache_write: int = 0
    cache_write_long: int = 0
    searches: int = 0


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


class _Tiered(Struct, frozen=True):
    """Nano-USD per token; beyond `start` input tokens a tier's price holds for all tokens of the request."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        price = self.base
        for start, tier in self.tiers:
            if input_tokens > start:
                price = tier
        return price


class _Rates(Struct, frozen=True):
    input: _Tiered
    output: _Tiered
    cached: _Tiered
    cache_write: _Tiered
    reasoning: _Tiered
    cache_write_long: _Tiered
    request: Decimal = Decimal(0)
    search: Decimal = Decimal(0)

    def nano_usd(self, tokens: Tokens) -> int:
        """Rounded once, half to even. Parts that a provider reports as more than their whole count as the whole."""
        total_in, total_out = max(0, tokens.input), max(0, tokens.output)
        cached = min(max(0, tokens.cached), total_in)
        written = min(max(0, tokens.cache_write), total_in - cached)
        reasoning = min(max(0, tokens.reasoning), total_out)
        exact = self.request + self.input.at(total_in) * (total_in - cached - written)
        exact += self.output.at(total_in) * (total_out - reasoning)
        if cached:
            exact += self.cached.at(total_in) * cached
        if written:
            long = min(max(0, tokens.cache_write_long), written)
            exact += self.cache_write.at(total_in) * (written - long) + self.cache_write_long.at(total_in) * long
        if reasoning:
            exact += self.reasoning.at(total_in) * reasoning
        if tokens.searches > 0:
            exact += self.search * tokens.searches
        return int(exact.to_integral_value(ROUND_HALF_EVEN))


def pricer(*, provider_kind: str, base_url: str | None, upstream_model: str, override: Price | None) -> Pricer:
    """A function of tokens for one deployment, made with the snapshot; about a microsecond a call, and it never fails.

    A model that is not in the catalogue costs 0 with source "unknown"; so does every model behind a base URL that the
    catalogue does not know, since a name alone does not tell whose price holds.
    """
    if provider_kind == "sim":
        simulated = Cost(0, "simulated")
        return lambda _: simulated
    if override is not None:
        cached = override.input_nano if override.cached_nano is None else override.cached_nano
        taken, given, again = (_Tiered(Decimal(each)) for each in (override.input_nano, override.output_nano, cached))
        fixed = _Rates(taken, given, again, taken, given, taken)
        return lambda tokens: Cost(fixed.nano_usd(tokens), "operator")
    url = base_url or _URLS.get(provider_kind, "")
    model = None if _is_private(url) else _find(url, upstream_model)
    if model is None:
        unknown = Cost(0, UNKNOWN)
        return lambda _: unknown
    return _catalogued(model)


@cache
def window(*, provider_kind: str, base_url: str | None, upstream_model: str) -> int | None:
    """The most tokens that a model reads at once, as far as the catalogue knows; asks it as `pricer` does."""
    url = base_url or _URLS.get(provider_kind, "")
    model = None if provider_kind == "sim" or _is_private(url) else _find(url, upstream_model)
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


def _find(base_url: str, upstream_model: str) -> ModelInfo | None:
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    try:
        provider = snapshot.find_provider(None, None, base_url)
        found = provider.find_model(upstream_model, all_providers=snapshot.providers)
    except LookupError:
        return None
    return found


@cache
def _source() -> str:
    return "genai-prices:" + importlib.metadata.version("genai-prices")


def _catalogued(model: ModelInfo) -> Pricer:
    source = _source()
    if not isinstance(model.prices, list):
        fixed = _rates(model.prices)
        return lambda tokens: Cost(fixed.nano_usd(tokens), source)
    # Prices that change with the date or the time of day are looked up again every minute.
    now = dt.datetime.now(dt.UTC)
    held, until = _rates(model.get_prices(now)), time.monotonic() + _RESOLVE_SECONDS

    def changing(tokens: Tokens) -> Cost:
        nonlocal held, until
        if time.monotonic() >= until:
            held, until = _rates(model.get_prices(dt.datetime.now(dt.UTC))), time.monotonic() + _RESOLVE_SECONDS
        return Cost(held.nano_usd(tokens), source)

    return changing


def _rates(prices: ModelPrice) -> _Rates:
    zero = Decimal(0)
    taken = _nano(prices.input_mtok) or _Tiered(zero)
    given = _nano(prices.output_mtok) or _Tiered(zero)
    written = _nano(prices.cache_write_mtok) or taken
    return _Rates(
        input=taken,
        output=given,
        cached=_nano(prices.cache_read_mtok) or taken,
        cache_write=written,
        reasoning=_nano(prices.output_reasoning_mtok) or given,
        cache_write_long=_nano(prices.cache_write_1h_mtok) or written,
        request=_each(prices.requests_kcount),
        search=_each(prices.web_searches_kcount),
    )


def _each(per_thousand: object) -> Decimal:
    """USD per thousand to nano-USD for one."""
    return per_thousand * 1_000_000 if isinstance(per_thousand, Decimal) else Decimal(0)


def _nano(value: Decimal | TieredPrices | None) -> _Tiered | None:
    if value is None:
        return None
    if isinstance(value, Decimal):
        return _Tiered(value * _PER_MILLION)
    return _Tiered(value.base * _PER_MILLION, tuple((tier.start, tier.price * _PER_MILLION) for tier in value.tiers))
