"""The proxy's part in traces: it goes on with the client's trace or begins one, and tells the provider.

The worker makes the spans, from usage records: a span of the SDK's costs as much here as two requests of nginx. A trace
that begins here has the request's id as its own, and the span the id's second half, so that neither costs randomness.
The last 56 bits of a UUIDv7 are random, as W3C's trace context asks of trace ids.
"""

from __future__ import annotations

import re
from time import perf_counter
from typing import TYPE_CHECKING, Final

from scutum_server.usage.models import Try

if TYPE_CHECKING:
    from scutum_server.proxy.call import Call
    from scutum_server.proxy.config.snapshot import Deployment

_PARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?"
)
_STATE: Final = re.compile(rb"[ -~]{1,512}")
_SAMPLED: Final = 0x01
_RANDOM_BITS: Final = 56
_RANDOM_DIGITS: Final = _RANDOM_BITS // 4
_MOST_TRIES: Final = 32


class Tracing:
    """`share` of the traces that begin here are sampled; of the others, those that the client's `traceparent` says.

    Those whose random part is greatest, so that other samplers of OpenTelemetry with the same share choose the same.
    """

    def __init__(self, share: float) -> None:
        self._from = 2**_RANDOM_BITS - round(share * 2**_RANDOM_BITS)

    def begin(self, call: Call) -> None:
        """Sets what the usage record and the request to the provider tell of the trace."""
        parents, states = [], []
        for name, value in call.exchange.scope["headers"]:
            if name == b"traceparent":
                parents.append(value)
            elif name == b"tracestate":
                states.append(value)
        own = call.id.replace("-", "")
        span = own[16:]
        parent = _PARENT.fullmatch(parents[0]) if len(parents) == 1 else None
        if parent is None or (parent[1] == b"00" and parent[5]):
            sampled = int(own[-_RANDOM_DIGITS:], 16) >= self._from
            if sampled:
                call.trace = own
            call.trace_fields = f"traceparent: 00-{own}-{span}-0{sampled:d}\r\n".encode()
            return
        trace_id, sampled = parent[2].decode(), bool(int(parent[4], 16) & _SAMPLED)
        if sampled:
            call.trace = f"{trace_id}-{parent[3].decode()}"
        call.trace_fields = f"traceparent: 00-{trace_id}-{span}-0{sampled:d}\r\n".encode()
        state = b",".join(states)
        if _STATE.fullmatch(state):
            call.trace_fields += b"tracestate: %b\r\n" % state


def tried(call: Call, deployment: Deployment, outcome: str | None) -> None:
    """Keeps what came of a call of the provider, for a request that is sampled."""
    if call.trace is None or len(call.tries) >= _MOST_TRIES:
        return
    begun, ended = call.provider_sent - call.started, (call.provider_done or perf_counter()) - call.started
    call.tries.append(
        Try(
            model=deployment.name,
            upstream_model=deployment.upstream_model,
            provider=deployment.provider.name,
            start_us=int(begun * 1e6),
            duration_us=int((ended - begun) * 1e6),
            outcome=outcome,
        )
    )


def tries_of(call: Call) -> list[Try] | None:
    """All calls of providers, with the one that is just ending."""
    if call.trace is None or call.deployment is None:
        return None
    begun = int((call.provider_sent - call.started) * 1e6)
    if call.provider_sent and (not call.tries or call.tries[-1].start_us != begun):
        tried(call, call.deployment, call.error_kind)
    return call.tries
