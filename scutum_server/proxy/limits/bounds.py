"""The most that a request can cost: what a strict budget sets aside for it.

A token of text has one byte at least, so that a request's bytes are a bound for its tokens. They are none for images,
audio, documents, and what a request only refers to: there the model's context window bounds the input. A tool that the
provider runs makes it read its context anew each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from scutum_server.proxy.limits.rates import RateCard
from scutum_server.upstream.native import COMPLETIONS, COUNT_TOKENS, EMBEDDINGS
from scutum_server.wire.reach import TEXTS, reach

if TYPE_CHECKING:
    from scutum_server.proxy.call import Call
    from scutum_server.proxy.config.snapshot import Deployment

LEAST_OUTPUT: Final = 16
"""A budget that buys fewer output tokens than this is spent."""
LEAST_WITH_THINKING: Final = 2_048
"""The same where the client sets tokens aside for thinking, 1 024 at least, and wants an answer after it."""
COMPLETIONS_OUTPUT: Final = 16
"""What text completions generate when the request does not say, by the format's own rule."""
TEMPLATE_TOKENS: Final = 200
"""What a provider may put around a conversation by itself, and around tools."""
TOOLS_TOKENS: Final = 1_000
UNKNOWN_WINDOW: Final = 1_000_000
"""For a model whose context window the catalogue does not know."""
WITHOUT_OUTPUT: Final = frozenset({EMBEDDINGS, COUNT_TOKENS, "moderations", "rerank"})
_AS_TEXT: Final = frozenset({EMBEDDINGS, COMPLETIONS})


class Most(Struct, frozen=True):
    """Nano-USD: the request with all its output, with the least output, without any, and a token for each choice.

    `output` is how many tokens a choice may have if there is the money.
    """

    most: int
    least: int
    input: int
    token: int
    output: int


FREE: Final = Most(0, 0, 0, 0, 0)


def most(call: Call, deployment: Deployment, card: RateCard, output: int) -> Most:
    """`output` is how many tokens a choice may have: the client's own maximum, or the budget's."""
    tokens, uses = _input(call, deployment)
    rates = card.rates(deployment.price, tokens, getattr(call.parsed, "terms", None))
    taken = rates.fixed + rates.input * tokens + rates.use * uses
    if call.endpoint.wire in WITHOUT_OUTPUT:
        return Most(taken, taken, taken, 0, 0)
    token = rates.output * choices(call)
    least = LEAST_WITH_THINKING if b'"budget_tokens"' in call.body else LEAST_OUTPUT
    return Most(taken + token * output, taken + token * min(least, output), taken, token, output)


def _input(call: Call, deployment: Deployment) -> tuple[int, int]:
    """The most input tokens, and how often the provider's own tools may run."""
    body = call.body
    tokens = len(body) + TEMPLATE_TOKENS
    found = TEXTS if call.endpoint.wire in _AS_TEXT else reach(body)
    if found is TEXTS:
        return tokens, 0
    if b'"tools"' in body or b'"functions"' in body:
        tokens += TOOLS_TOKENS
    window = deployment.window or max(UNKNOWN_WINDOW, tokens)
    if found.uses:
        return window * (found.uses + 1), found.uses
    return window if found.outside else tokens, 0


def asked_output(call: Call) -> int | None:
    """The client's own maximum of output tokens for each choice."""
    parsed = call.parsed
    newer: int = getattr(parsed, "max_completion_tokens", None) or 0
    older: int = getattr(parsed, "max_tokens", None) or 0
    asked = max(older, newer)
    if asked > 0:
        return asked
    return COMPLETIONS_OUTPUT if call.endpoint.wire == COMPLETIONS else None


def choices(call: Call) -> int:
    parsed = call.parsed
    asked: int = getattr(parsed, "n", None) or 1
    tried: int = getattr(parsed, "best_of", None) or 1
    return max(1, asked, tried) if asked != 1 or tried != 1 else 1
