"""/metrics: read by Prometheus' own parser, merged over workers, for operators only."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.fixtures.gateway import Proxy, proxy_environment, running_proxy
from tests.fixtures.servers import free_port, wait_until

from scutum_server.settings import DatabaseSettings, RedisSettings

SERVICE_KEY = "internal-service-key-of-the-test"
KEY = {"INTERNAL_SERVICE_KEY": SERVICE_KEY}
CHAT = {"route": "/v1/chat/completions", "model": "sim", "provider": "sim"}


def scrape(proxy: Proxy, key: str = SERVICE_KEY) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """Values by sample name and labels."""
    status, headers, body = proxy.request("GET", "/metrics", key=key)
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for family in text_string_to_metric_families(body.decode()):
        assert family.documentation and family.type != "unknown", family.name
        for sample in family.samples:
            labels = frozenset(sample.labels.items())
            assert labels not in found.setdefault(sample.name, {}), sample
            found[sample.name][labels] = sample.value
    return found


def value(samples: dict[str, dict[frozenset[tuple[str, str]], float]], name: str, **labels: str) -> float:
    return samples.get(name, {}).get(frozenset(labels.items()), 0.0)


@pytest.fixture
def counted(database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path) -> Iterator[Proxy]:
    with running_proxy(database, redis_settings, tmp_path, environment=KEY) as proxy:
        proxy.rows.deployment("sim", proxy.rows.provider("sim", "sim"))
        proxy.rows.deployment('odd"name\\', proxy.rows.provider("gone", "openai", "http://127.0.0.1:9/v1"))
        proxy.wait_for("sim", 'odd"name\\')
        yield proxy


def test_requests_tokens_times_and_failures_are_counted(counted: Proxy) -> None:
    before = scrape(counted)
    for _ in range(3):
        assert counted.chat("sim")[0] == 200
    assert counted.chat("sim", stream=True)[0] == 200
    assert counted.chat('odd"name\\')[0] == 502
    assert counted.chat("never-heard-of")[0] == 404
    assert counted.chat("sim", key="sk-wrong")[0] == 401
    assert counted.request("GET", "/nowhere", key=counted.master_key)[0] == 404
    after = scrape(counted)
    chat = "/v1/chat/completions"
    assert value(after, "scutum_requests_total", **CHAT, status="200") == 4
    failed = {"route": chat, "model": 'odd"name\\', "provider": "gone", "status": "502"}
    assert value(after, "scutum_requests_total", **failed) == 1
    assert value(after, "scutum_requests_total", route=chat, model="", provider="", status="404") == 1
    assert value(after, "scutum_requests_total", route=chat, model="", provider="", status="401") == 1
    assert value(after, "scutum_requests_total", route="other", model="", provider="", status="404") == 1
    # The failed request was tried twice.
    assert value(after, "scutum_upstream_attempts_total", model="sim", provider="sim") == 4
    assert value(after, "scutum_upstream_attempts_total", model='odd"name\\', provider="gone") == 2
    assert value(after, "scutum_upstream_errors_total", provider="gone", kind="upstream_unreachable") == 2
    assert value(after, "scutum_authentication_failures_total") - value(
        before, "scutum_authentication_failures_total"
    ) == 1
    assert value(after, "scutum_tokens_total", **CHAT, kind="output") > 0
    assert value(after, "scutum_cost_usd_total", **CHAT) == 0
    for name in ("request_duration_seconds", "time_to_first_token_seconds", "overhead_seconds"):
        assert value(after, f"scutum_{name}_count", **CHAT) == 4
        buckets = [
            number
            for labels, number in after[f"scutum_{name}_bucket"].items()
            if dict(labels).items() >= CHAT.items()
        ]
        assert buckets == sorted(buckets) and buckets[-1] == 4
        assert value(after, f"scutum_{name}_bucket", **CHAT, le="+Inf") == 4
    assert 0 < value(after, "scutum_overhead_seconds_sum", **CHAT) < 4
    assert value(after, "scutum_workers") == 1
    assert value(after, "scutum_requests_in_flight") == 1
    assert "master" not in str(after) and "sk-" not in str(after)


def test_they_are_for_operators_only(counted: Proxy) -> None:
    assert scrape(counted, counted.master_key)
    for key in (None, counted.rows.key(), "sk-wrong"):
        status, _, body = counted.request("GET", "/metrics", key=key)
        assert status == 401
        assert b"scutum_requests" not in body


@contextlib.contextmanager
def sibling(proxy: Proxy, database: DatabaseSettings, key: bytes, directory: Path) -> Iterator[Proxy]:
    port, log = free_port(), directory / "sibling.log"
    env = proxy_environment(database, proxy.redis, key, proxy.spill, port) | KEY
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "scutum_server", "proxy"], env=env, stderr=stderr)
    made = Proxy(port, process, proxy.rows, proxy.redis, log, proxy.spill)
    try:
        wait_until(made.ready, what="the sibling to be ready")
        yield made
    finally:
        process.kill()
        process.wait(10)


def test_any_worker_tells_of_all_and_of_those_that_are_gone(
    counted: Proxy, database: DatabaseSettings, tmp_path: Path
) -> None:
    def total(proxy: Proxy) -> float:
        return value(scrape(proxy), "scutum_requests_total", **CHAT, status="200")

    with sibling(counted, database, b"k" * 32, tmp_path) as other:
        wait_until(lambda: other.knows("sim"), what="the sibling to know the model")
        for _ in range(2):
            assert other.chat("sim")[0] == counted.chat("sim")[0] == 200
        wait_until(lambda: total(counted) == total(other) == 4, what="each worker to tell of both")
        assert value(scrape(counted), "scutum_workers") == 2
        other.process.kill()
        other.process.wait(10)
        wait_until(lambda: value(scrape(counted), "scutum_workers") == 1, what="the killed worker to be gone")
        assert total(counted) == 4
        assert total(counted) == 4
        assert counted.chat("sim")[0] == 200
    assert counted.stop() == 0
    with sibling(counted, database, b"k" * 32, tmp_path) as successor:
        assert total(successor) == 5, "a restart takes nothing away"
        slots = list((counted.spill / "state" / "metrics").glob("*.slot"))
        assert len(slots) == 1
        assert {path.stat().st_mode & 0o777 for path in slots[0].parent.iterdir()} == {0o600}
