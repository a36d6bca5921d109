"""A trace from the client through the proxy to the provider, and its span at a collector."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from tests.fixtures.collector import Collector
from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.servers import Postgres, Valkey, wait_until
from tests.fixtures.upstream import DONE, LAST, STREAM_HEAD, USAGE, Upstream, answer, chunk, event
from tests.fixtures.worker import running_worker
from tests.integration.proxy.scripted import ask, provide

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def traced(
    postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[Proxy]:
    """A proxy and a worker that export every trace."""
    name, directory = postgres.clone(), tmp_path_factory.mktemp("traces")
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    with (
        running_proxy(postgres.app(name), valkey.settings(db=7), directory, environment=variables) as proxy,
        running_worker(postgres.app(name), valkey.settings(db=7), directory, **variables),
    ):
        yield proxy
    postgres.drop(name)


def at_collector(collector: Collector, headers: dict[str, str]):
    wait_until(lambda: bool(collector.of(headers["x-request-id"])), what="the span")
    (seen,) = collector.of(headers["x-request-id"])
    return seen


async def test_a_request_begins_a_trace_that_the_provider_goes_on_with(
    traced: Proxy, collector: Collector, upstream: Upstream
) -> None:
    model = await provide(traced, upstream.base_url)
    status, headers, _ = await ask(traced, model)
    assert status == 200
    version, trace_id, span_id, flags = upstream.requests[0].headers["traceparent"].split("-")
    assert (version, flags) == ("00", "01")
    seen = await asyncio.to_thread(at_collector, collector, headers)
    assert (seen.span.trace_id.hex(), seen.span.span_id.hex()) == (trace_id, span_id)
    assert trace_id == headers["x-request-id"].replace("-", "")
    assert seen.span.parent_span_id == b""
    assert seen.attributes["gen_ai.response.model"] == "upstream-model"
    assert (seen.attributes["gen_ai.usage.input_tokens"], seen.attributes["gen_ai.usage.output_tokens"]) == (7, 3)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_clients_trace_goes_on(
    traced: Proxy, collector: Collector, upstream: Upstream, stream: bool
) -> None:
    model = await provide(traced, upstream.base_url)
    if stream:
        events = event("hi") + event(usage=USAGE) + DONE
        upstream.says(STREAM_HEAD, chunk(events), LAST)
    body = {"model": model, "messages": [{"role": "user", "content": "my secret words"}], "stream": stream}
    status, headers, _ = await asyncio.to_thread(
        lambda: traced.request(
            "POST", "/v1/chat/completions", body, key=traced.master_key,
            headers={"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "rojo=1"},
        )
    )  # fmt: skip
    assert status == 200
    sent = upstream.requests[0].headers
    assert sent["tracestate"] == "rojo=1"
    seen = await asyncio.to_thread(at_collector, collector, headers)
    assert (seen.span.trace_id.hex(), seen.span.parent_span_id.hex()) == (TRACE, SPAN)
    assert sent["traceparent"] == f"00-{TRACE}-{seen.span.span_id.hex()}-01"
    assert seen.attributes.get("gen_ai.request.stream", False) is stream
    assert "secret words" not in str(seen.span)


async def test_what_the_client_does_not_sample_leaves_no_span(
    traced: Proxy, collector: Collector, upstream: Upstream
) -> None:
    model = await provide(traced, upstream.base_url)
    _, headers, _ = await asyncio.to_thread(
        lambda: traced.request(
            "POST", "/v1/chat/completions", {"model": model, "messages": []}, key=traced.master_key,
            headers={"traceparent": f"00-{TRACE}-{SPAN}-00"},
        )
    )  # fmt: skip
    _, later, _ = await ask(traced, model)
    await asyncio.to_thread(at_collector, collector, later)
    assert collector.of(headers["x-request-id"]) == []
    assert upstream.requests[0].headers["traceparent"].startswith(f"00-{TRACE}-")


async def test_a_failure_is_a_span_with_its_reason(traced: Proxy, collector: Collector, upstream: Upstream) -> None:
    model = await provide(traced, upstream.base_url)
    upstream.says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\nno")
    status, headers, got = await ask(traced, model)
    assert status == 502
    seen = await asyncio.to_thread(at_collector, collector, headers)
    assert seen.span.status.code == seen.span.status.STATUS_CODE_ERROR
    assert seen.attributes["error.type"] == json.loads(got)["error"]["code"]
    assert seen.attributes["http.response.status_code"] == 502


async def test_a_fallback_shows_each_call(traced: Proxy, collector: Collector, upstream: Upstream) -> None:
    good = await provide(traced, upstream.base_url)
    async with Upstream() as broken:
        broken.says(answer(b"{}", status=503))
        bad = await provide(traced, broken.base_url)
        traced.rows.alias(f"both-{good}", bad, good)
        await asyncio.to_thread(traced.wait_for, f"both-{good}")
        status, headers, _ = await ask(traced, f"both-{good}")
    assert status == 200
    seen = await asyncio.to_thread(at_collector, collector, headers)
    assert seen.span.name == f"chat both-{good}"
    below = [each for each in collector.spans if each.span.parent_span_id == seen.span.span_id]
    outcomes = [each.attributes.get("error.type") for each in below]
    assert outcomes == ["503"] * (len(below) - 1) + [None]
    assert [each.attributes["scutum.deployment"] for each in below] == [bad] * (len(below) - 1) + [good]
    assert seen.attributes["scutum.attempts"] == len(below) > 1
    for one in below:
        assert seen.span.start_time_unix_nano <= one.span.start_time_unix_nano <= one.span.end_time_unix_nano
        assert one.span.end_time_unix_nano <= seen.span.end_time_unix_nano


async def test_without_a_collector_no_provider_hears_of_traces(proxy: Proxy, upstream: Upstream) -> None:
    model = await provide(proxy, upstream.base_url)
    await asyncio.to_thread(
        lambda: proxy.request(
            "POST", "/v1/chat/completions", {"model": model, "messages": []}, key=proxy.master_key,
            headers={"traceparent": f"00-{TRACE}-{SPAN}-01"},
        )
    )  # fmt: skip
    assert "traceparent" not in upstream.requests[0].headers
