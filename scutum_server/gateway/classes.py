"""What the aliases of a new install stand for, until an operator says otherwise: chosen by price and ability.

The price of a model is that of 3000 tokens in and 1000 out, the operator's own or the catalogue's; models whose price
nobody knows, such as those of a server of one's own, come after all others. The simulator is chosen when there is
nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from scutum_server.gateway.models import Model, PriceSource, Provider
from scutum_server.upstream.catalog import UNKNOWN, Cost, Price, Tokens, pricer, seller
from scutum_server.upstream.listing import Ability, ability

ALIASES: Final = ("fast", "smart", "powerful", "reasoning", "coding", "cost-effective")
MOST: Final = 3
"""So many targets: the first, and those that are asked when it fails."""
_TYPICAL: Final = Tokens(3000, 1000)
_SOURCES: Final[Mapping[str, PriceSource]] = {"operator": "operator", "simulated": "simulated", UNKNOWN: "unknown"}


class Candidate(Struct, frozen=True):
    """A model's name with its price in nano-USD, None when nobody knows it, and what it can do."""

    name: str
    price: int | None
    can: frozenset[str] = frozenset()
    simulated: bool = False


def targets(alias: str, candidates: Sequence[Candidate]) -> list[str]:
    """The names that `alias` should lead to, best first; empty when there is no model at all.

    `fast` and `cost-effective` are the cheapest, `powerful` the dearest, `smart` the middle and then the dearer ones;
    `coding` and `reasoning` go by `smart`'s order, with those first that can call tools, or reason.
    """
    real = [each for each in candidates if not each.simulated] or list(candidates[:1])
    rising = sorted(real, key=lambda each: (each.price is None, each.price or 0))
    known = [each for each in rising if each.price is not None]
    unknown = [each for each in rising if each.price is None]
    if alias in {"fast", "cost-effective"}:
        ranked = rising
    elif alias == "powerful":
        ranked = [*reversed(known), *unknown]
    else:
        middle = len(known) // 2
        ranked = [*known[middle:], *reversed(known[:middle]), *unknown]
        wanted = {"coding": "tools", "reasoning": "reasoning"}.get(alias)
        if wanted is not None:
            ranked.sort(key=lambda each: wanted not in each.can)
    return list(dict.fromkeys(each.name for each in ranked))[:MOST]


def known_ability(provider: Provider, upstream_model: str) -> Ability | None:
    """What the catalogue knows of a model at this provider; loads its data at the first call (31 MB, 0.2 s)."""
    if provider.simulated:
        return None
    return ability(seller(provider.kind, provider.settings), provider.base_url, upstream_model)


def candidate(model: Model, provider: Provider) -> Candidate | None:
    """None for a model that does not chat."""
    known = known_ability(provider, model.upstream_model) or Ability()
    if (model.kind or known.kind or "chat") != "chat":
        return None
    cost = _typical_cost(model, provider)
    return Candidate(
        model.name, None if cost.source == UNKNOWN else cost.nano_usd, frozenset(known.can), provider.simulated
    )


def price_source(model: Model, provider: Provider) -> PriceSource:
    """Who says what it costs; nobody does for "unknown", whose requests cost 0."""
    source = _typical_cost(model, provider).source
    return _SOURCES.get(source, "catalogue")


def _typical_cost(model: Model, provider: Provider) -> Cost:
    own = model.price
    price = None if own is None else Price(own.input_nano, own.output_nano, own.cached_nano)
    whose = seller(provider.kind, provider.settings)
    return pricer(provider_kind=whose, base_url=provider.base_url, upstream_model=model.upstream_model, override=price)(
        _TYPICAL
    )
