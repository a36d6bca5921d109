"""The answers to requests that a limit or a budget holds back."""

from __future__ import annotations

import math
from typing import Final

from scutum_server.errors import ScutumError
from scutum_server.infra.windows import FOREVER
from scutum_server.leases.lease import Lease, Refusal

_REQUESTS, _TOKENS = (
    b"x-ratelimit-limit-%b: %%d\r\nx-ratelimit-remaining-%b: %%d\r\nx-ratelimit-reset-%b: %%.3fs\r\n"
    % (kind, kind, kind)
    for kind in (b"requests", b"tokens")
)
_WORDS: Final = {"requests": "request", "tokens": "token", "slots": "concurrent request"}


class LimitReached(ScutumError):
    """429; `head` are the headers that go with it."""

    code = "rate_limit_exceeded"
    status = 429
    retryable = True
    head = b""


def limit_reached(refusal: Refusal, shown: bytes) -> LimitReached:
    """`shown` are the x-ratelimit headers of the request."""
    lease = refusal.lease
    if lease.meter.unit == "money":
        error = _budget(refusal)
        wait_ms = 1000.0 if refusal.reserved else refusal.wait_ms
    else:
        error = LimitReached(f"{_sentence(lease)} Try again in {_wait(refusal.wait_ms)} s.")
        wait_ms = refusal.wait_ms
    error.head = b"retry-after: %d\r\n%b" % (_wait(wait_ms), shown)
    return error


def _sentence(lease: Lease) -> str:
    meter = lease.meter
    window = f" a {meter.period}" if meter.period else ""
    plural = "" if meter.capacity == 1 else "s"
    return f"The limit {meter.whose}, {meter.capacity} {_WORDS[meter.unit]}{plural}{window}, is reached."


def _budget(refusal: Refusal) -> LimitReached:
    meter = refusal.lease.meter
    if refusal.reserved:
        return LimitReached(
            f"What is left of the budget {meter.whose} is set aside for requests that are running. Try again in 1 s.",
            code="budget_reserved",
        )
    return LimitReached(
        f"What is left of the budget {meter.whose} for this {meter.period} cannot pay for this request. "
        "Wait for the next one, or have it raised.",
        code="budget_exceeded",
    )


def _wait(wait_ms: float) -> int:
    return max(1, math.ceil(wait_ms / 1000))


def headers(requests: Lease | None, tokens: Lease | None, now: float) -> bytes:
    """OpenAI's headers for the narrowest quota of each kind; what remains is as of the last lease."""
    shown = b""
    if requests is not None and requests.end < FOREVER:
        shown = _REQUESTS % (requests.meter.capacity, requests.left + requests.unused, (requests.end - now) / 1000)
    if tokens is not None and tokens.end < FOREVER:
        shown += _TOKENS % (tokens.meter.capacity, tokens.left + tokens.unused, (tokens.end - now) / 1000)
    return shown
