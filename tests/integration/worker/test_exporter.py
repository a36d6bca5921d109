"""The exporter against a collector that is busy, refuses, cannot be reached or cannot be trusted."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from scutum_server import trace_settings
from scutum_server.infra.ids import uuid7, uuid7_time
from scutum_server.usage.models import UsageRecord
from scutum_server.worker import tracing
from scutum_server.worker.tracing import Exporter
from tests.fixtures.collector import Collector
from tests.fixtures.servers import wait_until

Start = Callable[..., Exporter]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setattr(tracing, "GATHER_S", 0.02)
    monkeypatch.setattr(tracing, "PAUSE_S", (0.02, 0.05))
    started = []

    def make(endpoint: str, certificate: Path | None = None) -> Exporter:
        settings = trace_settings.target(endpoint, "", certificate and str(certificate), "scutum", "")
        started.append(Exporter(settings, dict))
        started[-1].start()
        return started[-1]

    yield make
    for each in started:
        each.stop(5)


def offer(exporter: Exporter, count: int = 1) -> None:
    ids = [uuid7() for _ in range(count)]
    exporter.offer([(uuid7_time(i), UsageRecord(request_id=str(i), status=200, trace=i.hex)) for i in ids])


def test_a_busy_collector_gets_everything_later_and_once(
    start: Start, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    collector.answers = [(429, {"Retry-After": "0"}), (503, {}), (504, {"Retry-After": "Fri, 31 Dec 2027"})]
    exporter = start(collector.endpoint)
    offer(exporter, 3)
    wait_until(lambda: exporter.state.exported == 3, what="the spans to be taken")
    assert (collector.asked, len(collector.spans)) == (4, 3)
    assert (exporter.state.dropped, exporter.state.failing) == (0, None)
    assert [record.getMessage() for record in caplog.records] == [
        "Traces do not reach the collector: it answers 429",
        "Traces reach the collector again",
    ]


def test_what_a_collector_refuses_is_counted_and_shown(start: Start, collector: Collector) -> None:
    collector.answers = [(401, {})]
    exporter = start(collector.endpoint)
    offer(exporter, 2)
    wait_until(lambda: exporter.state.dropped == 2, what="the count")
    assert exporter.state.failing == "it answers 401"
    collector.rejects = 1
    offer(exporter, 2)
    wait_until(lambda: exporter.state.dropped == 3, what="the partial success to be counted")
    assert (exporter.state.exported, exporter.state.failing) == (1, None)


def test_a_redirect_takes_the_key_nowhere(start: Start, collector: Collector) -> None:
    collector.answers = [(307, {"Location": "http://127.0.0.1:1/"})]
    exporter = start(collector.endpoint)
    offer(exporter)
    wait_until(lambda: exporter.state.dropped == 1, what="the refusal")
    assert exporter.state.failing == "it answers 307"


def test_a_connection_that_the_collector_closed_meanwhile_is_no_failure(
    start: Start, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = start(collector.endpoint)
    offer(exporter)
    wait_until(lambda: exporter.state.exported == 1, what="the first span")
    collector.stop()
    collector.start()
    offer(exporter)
    wait_until(lambda: exporter.state.exported == 2, what="the second span")
    assert caplog.records == []


def test_a_collector_that_is_not_there_holds_up_no_stop(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        exporter = start(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        offer(exporter, tracing.BATCH + 1)
        wait_until(lambda: exporter.state.failing == "connection refused", what="the failure")
        exporter.stop(5)
    assert exporter.state.waiting == 0
    assert exporter.state.dropped == tracing.BATCH + 1


def test_a_certificate_is_checked(start: Start, tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    collector = Collector(tls=context)
    collector.start()
    try:
        distrusting, blind = start(collector.endpoint), start(collector.endpoint, tmp_path / "gone.pem")
        trusting = start(collector.endpoint, bundle)
        for exporter in (distrusting, blind, trusting):
            offer(exporter)
        wait_until(lambda: trusting.state.exported == 1, what="the span")
        wait_until(lambda: "certificate is not trusted" in str(distrusting.state.failing), what="the distrust")
        wait_until(lambda: blind.state.failing == "no such file or directory", what="the missing file to be named")
    finally:
        collector.stop()


def test_a_span_that_cannot_be_made_costs_only_its_batch(
    start: Start, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = start(collector.endpoint)
    broken = uuid7()
    exporter.offer([(uuid7_time(broken), UsageRecord(request_id="short", status=200, trace=broken.hex, latency_us=-(2**62)))])
    wait_until(lambda: exporter.state.dropped == 1, what="the loss to be counted")
    offer(exporter)
    wait_until(lambda: exporter.state.exported == 1, what="the next span")
