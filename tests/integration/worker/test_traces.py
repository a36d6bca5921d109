"""A real worker and a real collector: what arrives there, and that spend never waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from scutum_server.settings import DatabaseSettings, RedisSettings
from scutum_server.worker.tracing import BATCH, QUEUE
from tests.fixtures.collector import Collector
from tests.fixtures.servers import wait_until
from tests.fixtures.worker import Worker, running_worker

SECRET = "key-of-the-collector"


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def worker(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path, collector: Collector
) -> Iterator[Worker]:
    with psycopg.connect(**database.conninfo()) as conn:  # type: ignore[arg-type]
        conn.execute(
            "INSERT INTO providers (id, name, kind, base_url) VALUES ('p', 'eu', 'openai', 'http://10.0.0.3:8000/v1')"
        )
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{SECRET}",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with running_worker(database, redis_settings, tmp_path, **environment) as running:
        yield running
        assert SECRET not in running.log.read_text()


def arrives(collector: Collector, *ids: str) -> None:
    wait_until(lambda: all(collector.of(each) for each in ids), what="the spans at the collector")


def stores(worker: Worker, count: int) -> None:
    wait_until(lambda: worker.stored() == count, what="the records in the spend log")


def test_a_request_is_one_span_with_all_that_is_known(worker: Worker, collector: Collector) -> None:
    (request_id,) = worker.put_traced(
        provider="eu", upstream_model="m-2026", stream=True, tokens_in=7, tokens_out=3, tokens_cached=2,
        usage_source="reported", cost_nano_usd=2_000_000, latency_us=9_000, ttft_us=4_000, team_id="t", key_id="k",
    )  # fmt: skip
    arrives(collector, request_id)
    (seen,) = collector.of(request_id)
    assert seen.span.name == "chat m"
    assert seen.span.trace_id.hex() == request_id.replace("-", "")
    assert seen.resource == {"service.name": "scutum", "deployment.environment.name": "test"}
    assert seen.scope == "scutum"
    assert collector.headers[0]["authorization"] == f"Bearer {SECRET}"
    told = seen.attributes
    assert told["gen_ai.provider.name"] == "openai"
    assert (told["server.address"], told["server.port"]) == ("10.0.0.3", 8000)
    assert (told["gen_ai.request.model"], told["gen_ai.response.model"]) == ("m", "m-2026")
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (7, 3)
    assert told["gen_ai.response.time_to_first_chunk"] == 0.004
    assert (told["scutum.team_id"], told["scutum.key_id"], told["scutum.cost_usd"]) == ("t", "k", 0.002)
    stores(worker, 1)


def test_records_without_a_trace_stay_here(worker: Worker, collector: Collector) -> None:
    worker.put_traced(trace=None)
    (traced,) = worker.put_traced()
    arrives(collector, traced)
    assert len(collector.spans) == 1
    stores(worker, 2)


def test_spend_does_not_wait_for_a_collector_that_hangs_and_memory_is_bounded(
    worker: Worker, collector: Collector
) -> None:
    collector.gate.clear()
    worker.put_traced(1)
    wait_until(lambda: collector.asked == 1, what="the collector to hang")
    more = QUEUE + 2 * BATCH
    worker.put_traced(more)
    stores(worker, more + 1)
    wait_until(lambda: worker.traces["dropped"] == 2 * BATCH, what="the count of dropped spans")
    assert worker.traces["waiting"] == QUEUE
    collector.gate.set()
    wait_until(lambda: worker.traces["exported"] == QUEUE + 1, what="the queue to reach the collector")
    assert len(collector.spans) == QUEUE + 1


def test_a_collector_that_is_killed_gets_the_rest_when_it_is_back(worker: Worker, collector: Collector) -> None:
    (first,) = worker.put_traced()
    arrives(collector, first)
    collector.stop()
    (second,) = worker.put_traced()
    stores(worker, 2)
    wait_until(lambda: worker.traces["failing"] == "connection refused", what="the failure to show")
    collector.start()
    arrives(collector, second)
    wait_until(lambda: worker.traces["failing"] is None, what="the failure to be over")
    assert worker.traces["dropped"] == 0


def test_what_is_left_goes_out_before_the_worker_stops(worker: Worker, collector: Collector) -> None:
    ids = worker.put_traced(5)
    stores(worker, 5)
    assert worker.stop() == 0
    assert all(collector.of(each) for each in ids)


def test_without_an_endpoint_nothing_of_it_is_loaded_or_told(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    with running_worker(database, redis_settings, tmp_path) as worker:
        worker.put_traced()
        stores(worker, 1)
        assert worker.traces == {}
