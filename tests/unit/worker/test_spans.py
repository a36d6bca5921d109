"""What a span tells of a request."""

from __future__ import annotations

import datetime as dt

import pytest

from scutum_server.infra.ids import uuid7
from scutum_server.usage.models import Try, UsageRecord
from scutum_server.worker.otlp import CLIENT, INTERNAL, Span
from scutum_server.worker.spans import Place, place, spans_of

TS = dt.datetime(2026, 11, 21, 6, 30, 0, 123_000, tzinfo=dt.UTC)
PLACES = {"eu": place("openai", "https://api.openai.com/v1")}


def made(**fields: object) -> list[Span]:
    request_id = str(uuid7())
    defaults = {"request_id": request_id, "status": 200, "trace": request_id.replace("-", "")}
    return spans_of(TS, UsageRecord(**(defaults | fields)), PLACES)  # type: ignore[arg-type]


def span(**fields: object) -> Span:
    (found,) = made(**fields)
    return found


def attributes(**fields: object) -> dict[str, object]:
    return dict(span(**fields).attributes)


@pytest.mark.parametrize(
    ("route", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/v1/messages", "chat"),
        ("/v1/responses", "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/messages/count_tokens", "count_tokens"),
        ("/v1/moderations", "moderations"),
    ],
)
def test_the_operation_is_that_of_the_route(route: str, operation: str) -> None:
    made = span(route=route, requested_model="fast", model="gpt")
    assert made.name == f"{operation} fast"
    assert dict(made.attributes)["gen_ai.operation.name"] == operation


def test_a_model_that_does_not_exist_names_no_span() -> None:
    assert span(route="/v1/chat/completions", requested_model="made up", status=404).name == "chat"


def test_times_are_those_of_the_request() -> None:
    one = span(latency_us=1_500)
    assert one.start == int(TS.timestamp() * 1000) * 1_000_000
    assert one.end - one.start == 1_500_000


def test_a_failure_is_an_error_with_its_type() -> None:
    failed = span(status=502, error_kind="upstream_unreachable")
    assert failed.error
    assert dict(failed.attributes)["error.type"] == "upstream_unreachable"
    assert attributes(status=429)["error.type"] == "429"
    cut = span(status=200, error_kind="upstream_stream_error")
    assert cut.error
    well = span()
    assert not well.error
    assert "error.type" not in dict(well.attributes)


def test_tokens_are_told_where_there_was_an_answer() -> None:
    told = attributes(usage_source="reported", tokens_in=0, tokens_out=3, upstream_model="gpt-5", cost_nano_usd=1_500)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (0, 3)
    assert told["gen_ai.response.model"] == "gpt-5"
    assert told["scutum.cost_usd"] == 1.5e-6
    silent = attributes(status=502, error_kind="upstream_timeout", upstream_model="gpt-5")
    assert not {name for name in silent if name.startswith(("gen_ai.usage", "gen_ai.response"))}


def test_the_provider_is_known_by_its_address() -> None:
    told = attributes(provider="eu")
    assert told["gen_ai.provider.name"] == "openai"
    assert (told["server.address"], told["server.port"]) == ("api.openai.com", 443)
    unknown = attributes(provider="made a moment ago")
    assert unknown["gen_ai.provider.name"] == "made a moment ago"
    assert "server.address" not in unknown


@pytest.mark.parametrize(
    ("kind", "url", "expected"),
    [
        ("openai", None, Place("openai", "api.openai.com", 443)),
        ("anthropic", None, Place("anthropic", "api.anthropic.com", 443)),
        ("openai", "http://10.0.0.3:8000/v1", Place("openai", "10.0.0.3", 8000)),
        ("openai", "https://acme.openai.azure.com/openai/v1", Place("azure.ai.openai", "acme.openai.azure.com", 443)),
        ("openai", "https://evilapi.x.ai.example/v1", Place("openai", "evilapi.x.ai.example", 443)),
        ("openai", "https://api.x.ai:99999/v1", Place("openai")),
        ("sim", None, Place("sim")),
    ],
)
def test_a_vendor_is_known_by_its_domain(kind: str, url: str | None, expected: Place) -> None:
    assert place(kind, url) == expected


def test_a_simulated_call_stays_in_the_process() -> None:
    assert (span(simulated=True).kind, span().kind) == (INTERNAL, CLIENT)


def test_the_clients_span_is_the_parent() -> None:
    ours = span()
    assert ours.parent == b""
    theirs = span(trace=f"{'ab' * 16}-{'cd' * 8}")
    assert (theirs.trace_id, theirs.parent) == (bytes.fromhex("ab" * 16), bytes.fromhex("cd" * 8))


@pytest.mark.parametrize("trace", [None, "", "abc", "AB" * 16, f"{'ab' * 16}-", f"{'ab' * 16}-{'cd' * 9}"])
def test_a_record_without_a_trace_makes_no_span(trace: str | None) -> None:
    assert made(trace=trace) == []


def test_who_used_it_is_no_ones_business() -> None:
    """`user_id` may be an e-mail address."""
    assert "ada@example.com" not in map(str, attributes(user_id="ada@example.com").values())


def test_several_calls_are_spans_below_the_requests() -> None:
    tries = [Try("fast-eu", "gpt-5", "eu", 100, 900, "503"), Try("fast-us", "gpt-5", "us", 1_200, 800)]
    request, first, second = made(route="/v1/chat/completions", tries=tries, attempts=2, latency_us=2_100)
    assert {first.parent, second.parent} == {request.span_id}
    assert {first.trace_id, second.trace_id} == {request.trace_id}
    assert len({request.span_id, first.span_id, second.span_id}) == 3
    assert (first.start - request.start, first.end - request.start) == (100_000, 1_000_000)
    assert (first.name, first.error, second.error) == ("chat gpt-5", True, False)
    told = dict(first.attributes)
    assert (told["error.type"], told["server.address"], told["scutum.attempt"]) == ("503", "api.openai.com", 1)
    assert "error.type" not in dict(second.attributes)
