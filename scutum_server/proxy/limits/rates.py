"""What a request may cost at most, from what a deployment's price says about round numbers of tokens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from scutum_server.upstream.catalog import Apart, Cost, Terms, Tokens

_KEPT_S: Final = 60.0
_SMALL: Final = 100_000
"""Below every catalogue's first tier of long inputs."""
_LARGE: Final = 10_000_000
_USES: Final = 1_000

Price = Callable[[Tokens], Cost]


class Rates(Struct, frozen=True):
    """Nano-USD: for the request, rounded up per token, and for each use of a tool of the provider's own."""

    fixed: int
    input: int
    output: int
    use: int


class RateCard:
    """Rates by price function; made anew every minute, since prices may change with the time of day."""

    def __init__(self) -> None:
        self._known: dict[tuple[Price, Terms | None], tuple[float, Rates, Rates]] = {}

    def rates(self, price: Price, input_tokens: int, terms: Terms | None = None) -> Rates:
        """`terms` are those that the client asks for; a provider may serve on the usual ones all the same."""
        now = time.monotonic()
        at = (price, terms)
        known = self._known.get(at)
        if known is None or known[0] < now:
            if len(self._known) > 10_000:
                self._known.clear()
            known = self._known[at] = (now + _KEPT_S, dearest(price, _SMALL, terms), dearest(price, _LARGE, terms))
        return known[1] if input_tokens <= _SMALL else known[2]


def dearest(price: Price, scale: int, terms: Terms | None = None) -> Rates:
    """The dearest way to be charged `scale` tokens: plain, cached, written to a cache; answers, or reasoning; sound."""
    ways = [_dearest(price, scale, each) for each in {None, terms}]
    return Rates(*(max(column) for column in zip(*ways, strict=True)))


def _dearest(price: Price, scale: int, terms: Terms | None) -> tuple[int, int, int, int]:
    def cost(tokens: Tokens, **apart: int) -> int:
        return price(msgspec.structs.replace(tokens, apart=Apart(terms=terms, **apart))).nano_usd

    taken, both = Tokens(scale, 0), Tokens(scale, scale)
    fixed, plain = cost(Tokens(0, 0)), cost(taken)
    cached, written = Tokens(scale, 0, cached=scale), Tokens(scale, 0, cache_write=scale)
    long = Tokens(scale, 0, cache_write=scale, cache_write_long=scale)
    ways_in = (plain, cost(cached), cost(written), cost(long), cost(taken, audio_in=scale), cost(taken, image_in=scale))
    thought = Tokens(scale, scale, reasoning=scale)
    ways_out = (cost(both), cost(thought), cost(both, audio_out=scale), cost(both, image_out=scale))
    used = max(cost(Tokens(0, 0, searches=_USES)), cost(Tokens(0, 0), file_searches=_USES)) - fixed
    return fixed, -(-(max(ways_in) - fixed) // scale), -(-(max(ways_out) - plain) // scale), -(-used // _USES)
