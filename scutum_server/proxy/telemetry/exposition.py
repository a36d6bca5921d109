"""Counts in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from scutum_server.proxy.telemetry.metrics import (
    COST,
    DURATION,
    DURATION_US,
    FIRST,
    OVERHEAD,
    OVERHEAD_US,
    TOKENS_CACHED,
    TOKENS_IN,
    TOKENS_OUT,
    Counts,
)

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_LABELS: Final = ("route", "model", "provider")
_PLAIN: Final = {
    "authentication_failures": "Requests with an invalid key.",
    "journal_records": "Usage records written to the journal.",
    "journal_records_dropped": "Usage records that no disk and no stream took.",
}
_GAUGES: Final = {
    "workers": "Proxy processes on this host.",
    "requests_in_flight": "Requests that are being answered.",
    "journal_backlog_bytes": "Usage records on disk that the stream does not hold for certain yet.",
}
_AGES: Final = {"configuration_age_seconds": "Seconds since the database confirmed the configuration, at the worst."}
_TOKENS: Final = (("input", TOKENS_IN), ("output", TOKENS_OUT), ("cached", TOKENS_CACHED))
_HISTOGRAMS: Final = (
    ("request_duration_seconds", "From a request's head to its answer's last byte.", DURATION, DURATION_US),
    ("time_to_first_token_seconds", "From a request's head to the provider's first byte.", FIRST, DURATION_US),
    ("overhead_seconds", "The part of a request's time that was not the provider's.", OVERHEAD, OVERHEAD_US),
)


def render(counts: Counts) -> bytes:
    """The whole answer of /metrics."""
    return "".join(line + "\n" for line in _lines(counts)).encode()


def _lines(counts: Counts) -> Iterator[str]:
    work = sorted(counts.work.items())
    yield from _family("requests_total", "counter", "Requests answered, health checks apart.")
    for (*names, status), number in sorted(counts.requests.items()):
        yield f"scutum_requests_total{_labels((*zip(_LABELS, names, strict=True), ('status', str(status))))} {number}"
    yield from _family("tokens_total", "counter", "Tokens; cached ones are a part of the input.")
    for key, row in work:
        for kind, at in _TOKENS:
            yield f"scutum_tokens_total{_labels((*zip(_LABELS, key, strict=True), ('kind', kind)))} {row[at]}"
    yield from _family("cost_usd_total", "counter", "Cost in US dollars.")
    for key, row in work:
        yield f"scutum_cost_usd_total{_labels(zip(_LABELS, key, strict=True))} {_decimal(row[COST], 9)}"
    for name, text, at, bounds in _HISTOGRAMS:
        yield from _family(name, "histogram", text)
        for key, row in work:
            yield from _histogram(f"scutum_{name}", key, row[at : at + 2 + len(bounds)], bounds)
    yield from _family("upstream_attempts_total", "counter", "Calls to providers; a request may need several.")
    for (model, provider), number in sorted(counts.attempts.items()):
        yield f"scutum_upstream_attempts_total{_labels((('model', model), ('provider', provider)))} {number}"
    yield from _family("upstream_errors_total", "counter", "Calls to providers that failed.")
    for (provider, kind), number in sorted(counts.upstream_errors.items()):
        yield f"scutum_upstream_errors_total{_labels((('provider', provider), ('kind', kind)))} {number}"
    for name, text in _PLAIN.items():
        yield from _family(f"{name}_total", "counter", text)
        yield f"scutum_{name}_total {counts.plain.get(name, 0)}"
    for name, text in _GAUGES.items():
        yield from _family(name, "gauge", text)
        yield f"scutum_{name} {counts.gauges.get(name, 0):g}"
    for name, text in _AGES.items():
        yield from _family(name, "gauge", text)
        yield f"scutum_{name} {counts.ages.get(name, 0):g}"


def _family(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP scutum_{name} {text}"
    yield f"# TYPE scutum_{name} {kind}"


def _histogram(name: str, key: tuple[str, ...], numbers: list[int], bounds: tuple[int, ...]) -> Iterator[str]:
    total, *buckets = numbers
    known = tuple(zip(_LABELS, key, strict=True))
    edges = [*(_decimal(bound, 6) for bound in bounds), "+Inf"]
    running = list(accumulate(buckets))
    for edge, number in zip(edges, running, strict=True):
        yield f"{name}_bucket{_labels((*known, ('le', edge)))} {number}"
    yield f"{name}_sum{_labels(known)} {_decimal(total, 6)}"
    yield f"{name}_count{_labels(known)} {running[-1]}"


def _labels(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _decimal(number: int, places: int) -> str:
    """An integer of 10^-places units, exactly."""
    whole, part = divmod(number, 10**places)
    return f"{whole}.{part:0{places}d}".rstrip("0").rstrip(".") if part else str(whole)
