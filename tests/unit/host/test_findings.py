"""What `scutum status` finds wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from scutum_cli.host import findings, procfs, state
from scutum_cli.host.config import HostConfig
from scutum_cli.host.health import Answer
from scutum_cli.host.layout import Layout
from scutum_cli.host.services import NAMES
from scutum_cli.host.state import ServiceState
from tests.fixtures.servers import wait_until

Usage = namedtuple("Usage", "total used free")
READY = Answer(200, {"status": "ready"})
SCHEMA = {"current": "0001", "expected": "0001"}


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**11, 0, 10**11))
    made = Layout(tmp_path)
    made.spill.mkdir(parents=True)
    made.services.mkdir(parents=True)
    return made


def row(name: str, **more: Any) -> ServiceState:
    plain = {"state": "running", "pids": (10,), "wanted": 1, "since": 1.0, "memory_bytes": 1, "restarts": 0}
    return ServiceState(**{"name": name, **plain, "last_reason": None, "last_at": None, **more})


def admin(word: str = "ok", **checks: str) -> Answer:
    return Answer(
        200, {"status": word, "schema": SCHEMA, "checks": {"database": "ok", "redis": "ok", "worker": "ok"} | checks}
    )


def look(layout: Layout, said: Answer | None = None, **rows: Any) -> list[findings.Finding]:
    services = [row(name, **rows.get(name, {})) for name in NAMES]
    return findings.all_of(layout, services, READY, said or admin())


def test_a_healthy_stack_has_no_finding(layout: Layout) -> None:
    assert look(layout) == []


@pytest.mark.parametrize(
    ("checks", "words", "step"),
    [
        ({"worker": "no heartbeat"}, "worker: no heartbeat", "scutum restart worker"),
        ({"redis": "unavailable", "worker": "unknown"}, "redis: unavailable", "scutum logs --since 10m valkey"),
        ({"worker": "waiting for database"}, "waiting for database", "scutum logs --since 10m worker"),
        ({"spend_rejects": "3 in 24 h"}, "refused", "scutum logs --since 24h worker"),
        ({"jobs": "archives.run failed once"}, "background jobs failed", "scutum logs --since 24h worker"),
        ({"partitions": "audit_logs_202612 is missing"}, "no place for", "scutum logs --since 24h worker"),
        ({"archives": "audit_logs 2026-08 failed"}, "could not be archived", "scutum logs --since 24h worker"),
        ({"traces": "it answers 503"}, "collector (traces: it answers 503)", "scutum logs --since 24h worker"),
        ({}, "says that it is degraded", "scutum logs --since 10m admin"),
    ],
)
def test_what_the_admin_says_counts_not_only_its_status_code(
    layout: Layout, checks: dict[str, str], words: str, step: str
) -> None:
    [found] = look(layout, admin("degraded", **checks))
    assert words in found.text
    assert found.hint.startswith(step)
    assert f"--home {layout.home}" in found.hint, "the hint is about this root"


def test_a_database_that_is_away_has_no_wrong_schema(layout: Layout) -> None:
    body = {
        "status": "degraded",
        "schema": {"current": None, "expected": "0005"},
        "checks": {"database": "unavailable"},
    }
    [found] = look(layout, Answer(503, body))
    assert "database: unavailable" in found.text
    [found] = look(layout, Answer(503, {**body, "checks": {"database": "ok"}, "schema": SCHEMA | {"current": "0000"}}))[
        1:
    ]
    assert found.text == "the database's schema is 0000, not 0001"


def test_one_proxy_that_is_not_ready(layout: Layout) -> None:
    (layout.services / "proxy.json").write_text(json.dumps({"ready": [10]}))
    [found] = look(layout, proxy={"pids": (10, 11), "wanted": 2})
    assert found.text == "1 of 2 proxies is not ready (pid 11)"


def test_a_full_disk_and_a_backlog(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**11, 0, 4 * 10**9))
    assert "almost full: 4000 MB (4 %) free" in look(layout)[0].text
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, 190 * 10**6))
    assert "almost full: 190 MB (19 %) free" in look(layout)[0].text
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**11, 10**11, 0))
    with (layout.spill / "proxy-1.jsonl").open("wb") as file:
        file.truncate(73_000_000)
    disk, spill = look(layout)
    assert "the disk is full: 0 MB (0 %) free" in disk.text and disk.hint
    assert "73 MB of usage in data/spill" in spill.text and "logs --since 10m worker" in spill.hint


def test_after_a_power_cut_the_reason_is_the_supervisor(layout: Layout) -> None:
    old = {"last": {"at": 1.0, "pid": 1, "reason": "exit code 1: an old story"}, "pids": {"4194303": 1.0}}
    for name in NAMES:
        (layout.services / f"{name}.json").write_text(json.dumps(old))
    services = state.all_services(layout, HostConfig())
    found = findings.all_of(layout, services, Answer(0, {}), Answer(0, {}))
    assert found[0].text.startswith("postgres is down: its supervisor is gone")
    assert not any("old story" in finding.text for finding in found)
    assert found[0].hint.startswith("scutum up")


def test_a_frozen_process_is_seen(layout: Layout) -> None:
    env = {**os.environ, "SCUTUM_HOME": str(layout.home), "SCUTUM_SERVICE": "worker"}
    marks = {"SCUTUM_HOME": str(layout.home), "SCUTUM_SERVICE": procfs.SUPERVISOR}
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(wait, env=env) as worker, subprocess.Popen(wait, env={**os.environ, **marks}) as supervisor:
        try:
            os.kill(worker.pid, signal.SIGSTOP)

            def seen() -> ServiceState:
                return next(one for one in state.all_services(layout, HostConfig()) if one.name == "worker")

            wait_until(lambda: seen().state == state.FROZEN, what="the freeze to show")
            [found] = [one for one in findings.all_of(layout, [seen(), row("proxy")], READY, admin())]
            assert found.text == "worker is frozen: stopped by a signal"
            assert found.hint.startswith(f"kill -CONT {worker.pid}")
        finally:
            worker.kill()
            supervisor.kill()
