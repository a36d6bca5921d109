"""Prices as arithmetic: what a call's tokens cost at one model's rates, in whole nano-USD.

Rates are integers of 10^-18 USD, which are exact for every price of up to 12 decimals a million tokens, and take half
the time of Decimal.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

SCALE: Final = 10**9
"""Of a nano-USD, in what rates are counted in."""
_PER_MILLION: Final = 1000 * SCALE
"""From USD per million tokens."""
_PER_THOUSAND: Final = 1_000_000 * SCALE
"""From USD per thousand pieces."""

Terms = tuple[str, str]
"""What a provider asks other prices for, in the words of its API: ("service_tier", "priority"), ("speed", "fast")."""


class Apart(Struct, frozen=True):
    """What rarely happens and costs otherwise than plain tokens: tokens that are parts of the counts in `Tokens`, how
    often the provider searched files by itself, and the terms of the call.
    """

    audio_in: int = 0
    image_in: int = 0
    audio_out: int = 0
    image_out: int = 0
    file_searches: int = 0
    terms: Terms | None = None


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
    apart: Apart | None = None


class _Tiered(Struct, frozen=True):
    """For a token; beyond `start` input tokens a tier's price holds for all tokens of the request."""

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, input_tokens: int) -> int:
        price = self.base
        for start, tier in self.tiers:
            if input_tokens > start:
                price = tier
        return price


class Special(Struct, frozen=True):
    """The rates of what `Apart` counts."""

    audio_in: _Tiered
    audio_cached: _Tiered
    image_in: _Tiered
    image_cached: _Tiered
    audio_out: _Tiered
    image_out: _Tiered
    file_search: int


class Rates(Struct, frozen=True):
    """`special` is None where all other tokens of a direction cost the same."""

    input: _Tiered
    output: _Tiered
    cached: _Tiered
    cache_write: _Tiered
    reasoning: _Tiered
    cache_write_long: _Tiered
    request: int = 0
    search: int = 0
    special: Special | None = None

    def nano_usd(self, tokens: Tokens) -> int:
        """Rounded once, half to even. Parts that a provider reports as more than their whole count as the whole."""
        total_in, total_out = max(0, tokens.input), max(0, tokens.output)
        exact = self.request + self.input.at(total_in) * total_in + self.output.at(total_in) * total_out
        if tokens.cached or tokens.cache_write or tokens.reasoning or tokens.searches or tokens.apart is not None:
            exact += self._parts(tokens, total_in, total_out)
        whole, rest = divmod(exact, SCALE)
        return whole + (2 * rest > SCALE or (2 * rest == SCALE and whole % 2 == 1))

    def _parts(self, tokens: Tokens, total_in: int, total_out: int) -> int:
        """What all that is no plain token costs beyond what it costs as one."""
        cached = min(max(0, tokens.cached), total_in)
        written = min(max(0, tokens.cache_write), total_in - cached)
        reasoning = min(max(0, tokens.reasoning), total_out)
        exact = -self.input.at(total_in) * (cached + written) - self.output.at(total_in) * reasoning
        if cached:
            exact += self.cached.at(total_in) * cached
        if written:
            long = min(max(0, tokens.cache_write_long), written)
            exact += self.cache_write.at(total_in) * (written - long) + self.cache_write_long.at(total_in) * long
        if reasoning:
            exact += self.reasoning.at(total_in) * reasoning
        if tokens.searches > 0:
            exact += self.search * tokens.searches
        if tokens.apart is not None and self.special is not None:
            exact += self._beyond(tokens.apart, self.special, (total_in, cached, written), total_out - reasoning)
        return exact

    def _beyond(self, apart: Apart, special: Special, taken: tuple[int, int, int], spoken: int) -> int:
        """What the parts that are priced apart cost more, or less, than they do as plain tokens."""
        total, cached, written = taken
        exact = special.file_search * max(0, apart.file_searches)
        audio = min(max(0, apart.audio_in), total - written)
        image = min(max(0, apart.image_in), total - written - audio)
        # Nobody reports which of the tokens came from the cache: text comes first, since prompts begin with it.
        again = max(0, cached - (total - written - audio - image))
        audio_again = min(again, audio)
        image_again = min(again - audio_again, image)
        plain, reread = self.input.at(total), self.cached.at(total)
        exact += (special.audio_in.at(total) - plain) * (audio - audio_again)
        exact += (special.image_in.at(total) - plain) * (image - image_again)
        exact += (special.audio_cached.at(total) - reread) * audio_again
        exact += (special.image_cached.at(total) - reread) * image_again
        sound = min(max(0, apart.audio_out), spoken)
        drawn = min(max(0, apart.image_out), spoken - sound)
        said = self.output.at(total)
        exact += (special.audio_out.at(total) - said) * sound
        return exact + (special.image_out.at(total) - said) * drawn


def uniform(input_nano: int, output_nano: int, cached_nano: int) -> Rates:
    """An operator's own price, in nano-USD per token."""
    taken, given, again = (_Tiered(each * SCALE) for each in (input_nano, output_nano, cached_nano))
    return Rates(taken, given, again, taken, given, taken)


def rates_of(prices: ModelPrice) -> Rates:
    """A model's rates as genai-prices has them; what it has no price for costs as the plain tokens of its direction."""
    taken = _nano(prices.input_mtok) or _Tiered(0)
    given = _nano(prices.output_mtok) or _Tiered(0)
    cached = _nano(prices.cache_read_mtok) or taken
    written = _nano(prices.cache_write_mtok) or taken
    audio_in, image_in = _nano(prices.input_audio_mtok), _nano(prices.input_image_mtok)
    return Rates(
        input=taken,
        output=given,
        cached=cached,
        cache_write=written,
        reasoning=_nano(prices.output_reasoning_mtok) or given,
        cache_write_long=_nano(prices.cache_write_1h_mtok) or written,
        request=_piece(prices.requests_kcount),
        search=_piece(prices.web_searches_kcount),
        special=Special(
            audio_in=audio_in or taken,
            # Without a price for it, what is read again costs as when it was read first.
            audio_cached=_nano(prices.cache_audio_read_mtok) or audio_in or cached,
            image_in=image_in or taken,
            image_cached=_nano(prices.cache_image_read_mtok) or image_in or cached,
            audio_out=_nano(prices.output_audio_mtok) or given,
            image_out=_nano(prices.output_image_mtok) or given,
            file_search=_piece(prices.storage_searches_kcount),
        ),
    )


def _piece(value: Decimal | TieredPrices | None) -> int:
    return _scaled(value, _PER_THOUSAND) if isinstance(value, Decimal) else 0


def _scaled(price: Decimal, scale: int) -> int:
    return int((price * scale).to_integral_value())


def _nano(value: Decimal | TieredPrices | None) -> _Tiered | None:
    if value is None:
        return None
    if isinstance(value, Decimal):
        return _Tiered(_scaled(value, _PER_MILLION))
    tiers = tuple((tier.start, _scaled(tier.price, _PER_MILLION)) for tier in value.tiers)
    return _Tiered(_scaled(value.base, _PER_MILLION), tiers)
