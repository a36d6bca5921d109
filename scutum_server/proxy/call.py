"""One request's record: what the pipeline's steps know of it and pass on to each other."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import getrandbits
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Final

from scutum_server.proxy.charging import plus, tokens_of
from scutum_server.proxy.config.snapshot import NOBODY
from scutum_server.proxy.http.exchange import Exchange
from scutum_server.proxy.telemetry.tracing import tries_of
from scutum_server.upstream.catalog import Cost, Tokens
from scutum_server.usage.models import Reading, Try

if TYPE_CHECKING:
    from scutum_server.proxy.config.snapshot import Deployment, Snapshot, Team
    from scutum_server.proxy.endpoints import Endpoint
    from scutum_server.proxy.gateway import Gateway
    from scutum_server.proxy.limits.admission import Hold
    from scutum_server.wire.chat import ChatRequest, Usage
    from scutum_server.wire.completions import CompletionsRequest
    from scutum_server.wire.embeddings import EmbeddingsRequest
    from scutum_server.wire.messages import CountRequest, MessagesRequest
    from scutum_server.wire.passed import PassedRequest
    from scutum_server.wire.responses import ResponsesRequest

    Parsed = (
        ChatRequest | CompletionsRequest | EmbeddingsRequest | MessagesRequest | CountRequest | ResponsesRequest
        | PassedRequest
    )  # fmt: skip

_CLIENT_ID: Final = re.compile(rb"[!-~]{1,128}")


def new_request_id() -> str:
    """A UUIDv7 in canonical text. It is no secret: asking the kernel for its bits would be 4 % of a request."""
    stamp, bits = time_ns() // 1_000_000, getrandbits(74)
    digits = f"{stamp << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | (bits & 0x3FFFFFFFFFFFFFFF):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def usd(nano: int) -> str:
    """Integer nano-USD as a decimal string of dollars, without trailing zeros."""
    whole, part = divmod(nano, 1_000_000_000)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".") if part else str(whole)


class Call:
    """Times are seconds of `perf_counter()`; 0.0 says that it has not happened."""

    __slots__ = (
        "accounted", "attempts", "body", "client_request_id", "cost", "deployment", "dropped", "endpoint",
        "error_kind", "exchange", "extra_head", "first_byte", "gateway", "hold", "id", "key", "on_start", "parsed",
        "path", "priced", "provider_done", "provider_sent", "requested_model", "snapshot", "spent", "started", "stream",
        "team", "tokens", "trace", "trace_fields", "tries", "usage_source", "waited",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, endpoint: Endpoint, gateway: Gateway, snapshot: Snapshot) -> None:
        self.started = perf_counter()
        self.id = new_request_id()
        self.exchange = exchange
        self.endpoint = endpoint
        self.gateway = gateway
        self.snapshot = snapshot
        self.key = NOBODY
        self.team: Team | None = None
        self.client_request_id: str | None = None
        self.body = b""
        self.parsed: Parsed | None = None
        # Anthropic's clients look for the request's id under their own provider's name for it.
        self.extra_head = b"request-id: %b\r\n" % self.id.encode() if endpoint.shape == "anthropic" else b""
        self.requested_model = ""
        self.deployment: Deployment | None = None
        self.attempts = 0
        self.path: list[bytes] = []
        self.dropped = b""
        self.spent: tuple[Tokens, Cost] | None = None
        self.waited = 0.0
        self.on_start: Callable[[], None] | None = None
        self.stream = False
        self.provider_sent = 0.0
        self.first_byte = 0.0
        self.provider_done = 0.0
        self.tokens = Tokens(0, 0)
        self.usage_source: str | None = None
        self.cost = 0
        self.priced: Cost | None = None
        """Set where tokens alone do not tell the cost."""
        self.error_kind: str | None = None
        self.accounted = False
        self.hold: Hold | None = None
        self.trace: str | None = None
        self.trace_fields = b""
        self.tries: list[Try] = []

    def take_client_id(self, value: bytes) -> None:
        """The client's own id for the request, if it is short and printable; any other is left out."""
        if _CLIENT_ID.fullmatch(value):
            self.client_request_id = value.decode("ascii")

    @property
    def provider_seconds(self) -> float:
        """The time that providers had the request, and pauses between attempts."""
        if not self.provider_sent:
            return self.waited
        return (self.provider_done or perf_counter()) - self.provider_sent + self.waited

    def overhead(self) -> float:
        """Seconds so far that were not spent waiting for the provider."""
        return perf_counter() - self.started - self.provider_seconds

    def head(self, content_type: bytes) -> bytes:
        """The answer's headers; those of streams cannot carry the cost."""
        deployment = self.deployment
        cost = b"" if self.stream and self.error_kind is None else b"x-scutum-cost: %b\r\n" % usd(self.cost).encode()
        named = b"" if deployment is None else deployment.head + self._attempts_header(deployment)
        hold = self.hold
        further = hold.plan.head(hold.at) + self.dropped if hold is not None and hold.at else self.dropped
        fields = (content_type, self.id.encode(), named, cost, self.extra_head, further, self.overhead() * 1000)
        return (
            b"content-type: %b\r\nx-request-id: %b\r\n%bx-scutum-cache: bypass\r\n%b%b%bx-scutum-overhead-ms: %.2f\r\n"
            % fields
        )

    def _attempts_header(self, deployment: Deployment) -> bytes:
        """The path that the request took: each call with what came of it, in order."""
        if self.error_kind is not None:
            path = self.path
        elif self.path:
            path = [*self.path, deployment.label + b":200"]
        else:
            return deployment.first_try if self.attempts else b""
        return b"x-scutum-attempts: %b\r\n" % b", ".join(path) if path else b""

    def charge(self, usage: Usage | None, estimate: Tokens | None) -> None:
        """Sets tokens and cost: what the provider reported, else the estimate."""
        if usage is not None and usage.prompt_tokens is not None:
            self.tokens = tokens_of(usage)
            self.usage_source = "reported"
        elif estimate is not None:
            self.tokens = estimate
            self.usage_source = "estimated"

    def try_again(self) -> None:
        """Keeps what the attempt that failed has cost, if the provider said so, and makes room for another."""
        if self.deployment is not None and self.usage_source == "reported":
            tokens, cost = self.spent or (Tokens(0, 0), Cost(0, ""))
            price = self.deployment.price(self.tokens)
            self.spent = (plus(tokens, self.tokens), Cost(cost.nano_usd + price.nano_usd, price.source))
            self.cost = price.nano_usd
        if self.hold is not None:
            self.gateway.admission.settle(self)
        self.waited = self.provider_seconds
        self.provider_sent = self.provider_done = self.first_byte = 0.0
        self.tokens, self.cost, self.usage_source, self.priced = Tokens(0, 0), 0, None, None

    def account(self, status: int) -> None:
        """Appends the request's usage record, once; must come before the answer's last byte."""
        if self.accounted or self.key is NOBODY or not self.endpoint.recorded:
            return
        self.accounted = True
        now = perf_counter()
        deployment, price_source = self.deployment, None
        if self.priced is not None:
            self.cost, price_source = self.priced.nano_usd, self.priced.source
        elif deployment is not None and self.usage_source is not None:
            cost = deployment.price(self.tokens)
            self.cost, price_source = cost.nano_usd, cost.source
        if self.hold is not None:
            self.gateway.admission.settle(self)
        if self.spent is not None:
            tokens, cost = self.spent
            self.tokens, self.cost = plus(self.tokens, tokens), self.cost + cost.nano_usd
            self.usage_source, price_source = self.usage_source or "reported", price_source or cost.source
        user = self.parsed.user if self.parsed is not None else None
        records = self.gateway.records
        records.keep(
            records.subject(
                self.snapshot, self.key, self.team, self.endpoint.route, _storable(self.requested_model), deployment
            ),
            Reading(
                self.id,
                status,
                tokens_in=self.tokens.input,
                tokens_out=self.tokens.output,
                tokens_cached=self.tokens.cached,
                tokens_reasoning=self.tokens.reasoning,
                cost_nano_usd=self.cost,
                latency_us=int((now - self.started) * 1e6),
                ttft_us=int((self.first_byte - self.started) * 1e6) if self.first_byte else None,
                overhead_us=int((now - self.started - self.provider_seconds) * 1e6),
                usage_source=self.usage_source,
                price_source=price_source,
                attempts=self.attempts,
                stream=self.stream,
                user_id=_storable(user) or self.key.owner,
                client_request_id=self.client_request_id,
                error_kind=self.error_kind,
                trace=self.trace,
                tries=tries_of(self) if self.attempts > 1 else None,
            ),
        )


def _storable(value: str | None) -> str | None:
    """Bounded, and without NUL, which Postgres' text cannot hold."""
    return value[:256].replace("\0", "") if value else None
