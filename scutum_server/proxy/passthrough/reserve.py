"""What a request that passes through sets aside of its budgets.

Text is bounded as everywhere: a token has a byte at least. What is made of it is not: nobody knows before how many
tokens a picture takes, or for how long a recording speaks. The budget's `output_tokens` stands for that, at the price
of the dearest kind; whatever comes above is charged all the same. At least one unit is asked for: a budget that is
spent refuses.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from scutum_server.proxy.limits.bounds import FREE, Most
from scutum_server.upstream.native import BATCHES, FILES
from scutum_server.wire.passed import SpeechRequest

if TYPE_CHECKING:
    from scutum_server.proxy.call import Call
    from scutum_server.proxy.config.snapshot import Deployment


def reserve(call: Call, deployment: Deployment, output_tokens: int) -> Most:
    """Of files nothing, since nobody charges them; of a batch the one unit, since it is charged when it is over."""
    wire, parsed = call.endpoint.wire, call.parsed
    if wire == FILES or (wire == BATCHES and not call.body):
        return FREE
    if wire == BATCHES:
        return Most(1, 1, 1, 0, 0)
    units: dict[str, int | Decimal] = {"input_tokens": len(call.body)}
    if isinstance(parsed, SpeechRequest):
        units["input_characters"] = len(parsed.input)
    taken = most = max(1, deployment.tariff(units).nano_usd)
    if wire.startswith(("images/", "audio/")):
        made = output_tokens * max(1, getattr(parsed, "n", None) or 1)
        kind = "image" if wire.startswith("images/") else "audio"
        for guess in (units | {"output_tokens": made}, units | {"output_tokens": made, f"output_{kind}_tokens": made}):
            most = max(most, deployment.tariff(guess).nano_usd)
    return Most(most, taken, taken, 0, 0)
