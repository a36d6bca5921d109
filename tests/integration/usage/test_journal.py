"""The journal of real processes against a real Valkey, both killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from scutum_server.settings import RedisSettings
from scutum_server.usage.models import STREAM
from tests.fixtures.servers import Valkey, wait_until

ROOT = Path(__file__).parents[3]


class Writers:
    def __init__(self, directory: Path, settings: RedisSettings) -> None:
        self.directory = directory
        self.settings = settings
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, rate: int = 500, count: int = 2**60) -> subprocess.Popen[bytes]:
        ids = self.directory / f"ids.{len(self.processes)}"
        environment = {
            "PATH": os.environ["PATH"], "VALKEY_PORT": str(self.settings.port), "VALKEY_PASSWORD": self.settings.password
        }  # fmt: skip
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.fixtures.journal_writer", self.directory / "spill", ids, str(rate), str(count)],
                cwd=ROOT, env=environment, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        wait_until(lambda: ids.exists() and ids.stat().st_size > 0, what="the first record")
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0

    def appended(self) -> set[str]:
        return {line for path in self.directory.glob("ids.*") for line in path.read_text().split()}

    def left(self) -> list[Path]:
        return list((self.directory / "spill").iterdir())


@pytest.fixture
def writers(tmp_path: Path, redis_settings: RedisSettings) -> Iterator[Writers]:
    writers = Writers(tmp_path, redis_settings)
    yield writers
    for process in writers.processes:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def streamed(settings: RedisSettings) -> list[str]:
    with redis.Redis(port=settings.port, password=settings.password) as client:
        entries = client.xrange(STREAM)
    return [json.loads(line)["request_id"] for _, fields in entries for line in fields[b"b"].splitlines()]


def test_a_killed_process_loses_no_finished_record(writers: Writers, redis_settings: RedisSettings) -> None:
    for _ in range(3):
        process = writers.start(rate=2000)
        wait_until(lambda: len(streamed(redis_settings)) > 0, what="records in the stream")
        process.kill()
        process.wait(10)
    last = writers.start(rate=1)
    wait_until(lambda: writers.appended() <= set(streamed(redis_settings)), what="all records in the stream")
    writers.stop(last)
    assert writers.left() == []


def test_a_killed_valkey_loses_no_record(writers: Writers, redis_settings: RedisSettings, valkey: Valkey) -> None:
    process = writers.start(rate=1000)
    for _ in range(3):
        seen = len(set(streamed(redis_settings)))
        wait_until(lambda seen=seen: len(set(streamed(redis_settings))) > seen + 200, what="records in the stream")
        valkey.kill()
        before = len(writers.appended())
        wait_until(lambda before=before: len(writers.appended()) > before + 200, what="requests without Valkey")
        valkey.start()
    writers.stop(process)
    assert writers.appended() == set(streamed(redis_settings))
    assert writers.left() == []


def test_what_came_while_valkey_was_away_outlives_the_process(
    writers: Writers, redis_settings: RedisSettings, valkey: Valkey
) -> None:
    valkey.kill()
    process = writers.start(rate=2000, count=1000)
    wait_until(lambda: len(writers.appended()) == 1000, what="requests without Valkey")
    process.kill()
    process.wait(10)
    valkey.start()
    successor = writers.start(count=1)
    wait_until(lambda: writers.appended() == set(streamed(redis_settings)), what="all records in the stream")
    writers.stop(successor)
    assert writers.left() == []
