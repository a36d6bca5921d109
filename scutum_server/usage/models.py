"""One request's record, on its way from the proxy's journal over the usage stream into `spend_logs`."""

from __future__ import annotations

import msgspec

STREAM = "scutum:usage"
"""The Redis stream. Each entry has one field `b`: newline-separated JSON records, as the journal holds them."""

GROUP = "spend"
"""The consumer group that copies the stream into Postgres."""


TELEMETRY = ("trace", "tries")
"""The last fields of a record: they make its span and are not stored."""


class Try(msgspec.Struct, array_like=True):
    """One call of a provider; microseconds since the request began. `outcome` is None when it answered."""

    model: str
    upstream_model: str
    provider: str
    start_us: int
    duration_us: int
    outcome: str | None = None


class Whose(msgspec.Struct, omit_defaults=True):
    """The part of a record that many have in common; see `UsageRecord`."""

    key_id: str
    org_id: str | None = None
    team_id: str | None = None
    route: str | None = None
    requested_model: str | None = None
    deployment_id: str | None = None
    model: str | None = None
    upstream_model: str | None = None
    provider: str | None = None
    simulated: bool = False
    worker: str | None = None


class Reading(msgspec.Struct, omit_defaults=True):
    """The other part, which each request has anew."""

    request_id: str
    status: int
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    tokens_reasoning: int = 0
    cost_nano_usd: int = 0
    latency_us: int = 0
    ttft_us: int | None = None
    overhead_us: int | None = None
    usage_source: str | None = None
    price_source: str | None = None
    attempts: int = 1
    stream: bool = False
    user_id: str | None = None
    client_request_id: str | None = None
    error_kind: str | None = None
    cache: str = "bypass"
    session_id: str | None = None
    trace: str | None = None
    tries: list[Try] | None = None


class UsageRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What one request cost and did. Times are integer microseconds, money is integer nano-USD.

    `request_id` is our UUIDv7 in canonical text; the row's `ts` is the time inside it, so that a record that is
    delivered twice has the same primary key. The proxy writes it as a `Reading` and a `Whose`. Field names are one to
    one the columns of `spend_logs`, but for `TELEMETRY` at the end.
    """

    request_id: str
    status: int
    client_request_id: str | None = None
    org_id: str | None = None
    team_id: str | None = None
    key_id: str | None = None
    user_id: str | None = None
    route: str | None = None
    requested_model: str | None = None
    deployment_id: str | None = None
    model: str | None = None
    upstream_model: str | None = None
    provider: str | None = None
    simulated: bool = False
    stream: bool = False
    error_kind: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    tokens_reasoning: int = 0
    usage_source: str | None = None
    cost_nano_usd: int = 0
    price_source: str | None = None
    latency_us: int = 0
    ttft_us: int | None = None
    overhead_us: int | None = None
    cache: str = "bypass"
    session_id: str | None = None
    attempts: int = 1
    worker: str | None = None
    """The proxy's worker that served it, by the name under which it leases."""
    trace: str | None = None
    """Of a sampled request: the trace's id and, after a dash, the client's span if it is the client's trace."""
    tries: list[Try] | None = None
    """Of a sampled request that called providers more than once."""
