"""What a request may cost at most, from what a deployment's price says about round numbers of tokens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from scutum_server.upstream.catalog import Cost, Tokens

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
        self._known: dict[Price, tuple[float, Rates, Rates]] = {}

    def rates(self, price: Price, input_tokens: int) -> Rates:
        now = time.monotonic()
        known = self._known.get(price)
        if known is None or known[0] < now:
            if len(self._known) > 10_000:
                self._known.clear()
            known = self._known[price] = (now + _KEPT_S, dearest(price, _SMALL), dearest(price, _LARGE))
        return known[1] if input_tokens <= _SMALL else known[2]


def dearest(price: Price, scale: int) -> Rates:
    """The dearest way to be charged `scale` tokens: plain, cached, written to a cache; answers, or reasoning."""
    fixed = price(Tokens(0, 0)).nano_usd
    plain = price(Tokens(scale, 0)).nano_usd
    long = Tokens(scale, 0, cache_write=scale, cache_write_long=scale)
    others = (Tokens(scale, 0, cached=scale), Tokens(scale, 0, cache_write=scale), long)
    taken = max(plain, *(price(tokens).nano_usd for tokens in others)) - fixed
    given = max(price(Tokens(scale, scale)).nano_usd, price(Tokens(scale, scale, reasoning=scale)).nano_usd) - plain
    used = price(Tokens(0, 0, searches=_USES)).nano_usd - fixed
    return Rates(fixed, -(-taken // scale), -(-given // scale), -(-used // _USES))
