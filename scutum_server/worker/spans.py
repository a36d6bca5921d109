"""From a usage record to its span, by OpenTelemetry's conventions for generative AI. Never any content."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from scutum_server.usage.models import Try, UsageRecord
from scutum_server.worker.otlp import CLIENT, INTERNAL, Span, Value

OPERATIONS: Final = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "chat",
    "/v1/responses": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
"""The conventions' names; other routes go by the last part of their path."""

VENDORS: Final = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "api.x.ai": "x_ai",
    "api.deepseek.com": "deepseek",
    "api.mistral.ai": "mistral_ai",
    "api.groq.com": "groq",
    "api.cohere.com": "cohere",
    "api.perplexity.ai": "perplexity",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
}
"""The conventions' names of vendors, by their hosts or the domains above them."""
_DEFAULT_URLS: Final = {"openai": "https://api.openai.com", "anthropic": "https://api.anthropic.com"}
_TRACE: Final = re.compile(r"([0-9a-f]{32})(?:-([0-9a-f]{16}))?")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Place(msgspec.Struct, frozen=True):
    """A provider as the conventions tell of it: the vendor's name, or that of the wire format; and its address."""

    vendor: str
    address: str | None = None
    port: int | None = None


def place(kind: str, base_url: str | None) -> Place:
    """Of a row of `providers`."""
    url = urlsplit(base_url or _DEFAULT_URLS.get(kind, ""))
    try:
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if not host:
        return Place(kind)
    vendor = next((name for domain, name in VENDORS.items() if f".{host}".endswith(f".{domain}")), kind)
    return Place(vendor, host, port or (443 if url.scheme == "https" else 80))


def spans_of(ts: dt.datetime, record: UsageRecord, places: Mapping[str, Place]) -> list[Span]:
    """The request's span, and below it one for each call of a provider if there were several.

    Nothing when the record names no trace, or not in our form.
    """
    request = _request_span(ts, record, places)
    if request is None:
        return []
    tries = enumerate(record.tries or (), 1)
    return [request, *(_try_span(request, number, one, places, record.route) for number, one in tries)]


def _request_span(ts: dt.datetime, record: UsageRecord, places: Mapping[str, Place]) -> Span | None:
    trace = _TRACE.fullmatch(record.trace or "")
    if trace is None:
        return None
    operation = _operation(record.route)
    start = (ts - _EPOCH) // dt.timedelta(microseconds=1) * 1000
    # A name that no deployment has is the client's invention, and would make a span name of its own.
    name = f"{operation} {record.requested_model}" if record.model else operation
    failed = record.error_kind is not None or record.status >= 400
    return Span(
        trace_id=bytes.fromhex(trace[1]),
        span_id=bytes.fromhex(record.request_id.replace("-", "")[16:]),
        parent=bytes.fromhex(trace[2] or ""),
        name=name,
        kind=INTERNAL if record.simulated else CLIENT,
        start=start,
        end=start + record.latency_us * 1000,
        attributes=_attributes(record, operation, places.get(record.provider or ""), failed=failed),
        error=failed,
    )


def _operation(route: str | None) -> str:
    return OPERATIONS.get(route or "") or (route or "request").rsplit("/", 1)[-1]


def _try_span(above: Span, number: int, one: Try, places: Mapping[str, Place], route: str | None) -> Span:
    operation, at = _operation(route), places.get(one.provider)
    values: dict[str, Value | None] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": at.vendor if at else one.provider,
        "gen_ai.request.model": one.upstream_model,
        "server.address": at.address if at else None,
        "server.port": at.port if at else None,
        "error.type": one.outcome,
        "scutum.provider": one.provider,
        "scutum.deployment": one.model,
        "scutum.attempt": number,
    }
    start = above.start + one.start_us * 1000
    return Span(
        trace_id=above.trace_id,
        # Another for each, made of the request's own: a span that is told twice keeps its id.
        span_id=(int.from_bytes(above.span_id) ^ number).to_bytes(8),
        parent=above.span_id,
        name=f"{operation} {one.upstream_model}",
        kind=above.kind,
        start=start,
        end=start + one.duration_us * 1000,
        attributes=[(name, value) for name, value in values.items() if value is not None],
        error=one.outcome is not None,
    )


def _attributes(record: UsageRecord, operation: str, at: Place | None, *, failed: bool) -> list[tuple[str, Value]]:
    answered = record.usage_source is not None
    ttft = record.ttft_us if record.stream else None
    values: dict[str, Value | None] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": at.vendor if at else record.provider,
        "gen_ai.request.model": record.requested_model,
        "gen_ai.response.model": record.upstream_model if answered else None,
        "gen_ai.request.stream": record.stream or None,
        "gen_ai.response.time_to_first_chunk": None if ttft is None else ttft / 1e6,
        "gen_ai.usage.input_tokens": record.tokens_in if answered else None,
        "gen_ai.usage.output_tokens": record.tokens_out if answered else None,
        "gen_ai.usage.cache_read.input_tokens": record.tokens_cached or None,
        "gen_ai.usage.reasoning.output_tokens": record.tokens_reasoning or None,
        "gen_ai.conversation.id": record.session_id,
        "server.address": at.address if at else None,
        "server.port": at.port if at else None,
        "error.type": (record.error_kind or str(record.status)) if failed else None,
        "http.response.status_code": record.status,
        "scutum.request_id": record.request_id,
        "scutum.client_request_id": record.client_request_id,
        "scutum.route": record.route,
        "scutum.org_id": record.org_id,
        "scutum.team_id": record.team_id,
        "scutum.key_id": record.key_id,
        "scutum.provider": record.provider,
        "scutum.deployment_id": record.deployment_id,
        "scutum.deployment": record.model,
        "scutum.simulated": record.simulated or None,
        "scutum.usage_source": record.usage_source,
        "scutum.cost_usd": record.cost_nano_usd / 1e9,
        "scutum.price_source": record.price_source,
        "scutum.cache": record.cache,
        "scutum.attempts": record.attempts,
        "scutum.overhead_ms": None if record.overhead_us is None else record.overhead_us / 1000,
    }
    return [(name, value) for name, value in values.items() if value is not None]
