"""kill -9 of everything on the way of a usage record, while records flow: none is lost and none counts twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import redis

from scutum_server.usage.models import GROUP, STREAM
from tests.fixtures.servers import Postgres, Valkey, running_postgres, running_valkey, wait_until

ROOT = Path(__file__).parents[2]


@dataclass
class Stack:
    """Stores of its own, a real worker, and processes that write journals."""

    postgres: Postgres
    valkey: Valkey
    database: str
    directory: Path
    worker: subprocess.Popen[bytes] | None = None
    writers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(self.postgres.port), "POSTGRES_DB": self.database,
            "POSTGRES_USER": "scutum_app", "POSTGRES_PASSWORD": self.postgres.app_password,
            "VALKEY_HOST": "127.0.0.1", "VALKEY_PORT": str(self.valkey.port), "VALKEY_PASSWORD": self.valkey.password,
            "SCUTUM_WORKER_STATUS_FILE": str(self.status),
        }  # fmt: skip

    def _spawn(self, log: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.directory / log).open("ab") as stderr:
            return subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=self.environment(), stderr=stderr)

    def start_worker(self) -> None:
        self.worker = self._spawn("worker.log", "scutum_server", "worker")

    def start_writer(self, rate: int) -> None:
        name = f"ids.{len(self.writers)}"
        writer = self._spawn(
            "writers.log", "tests.fixtures.journal_writer", str(self.directory / "spill"), str(self.directory / name),
            str(rate),
        )  # fmt: skip
        self.writers.append(writer)
        wait_until(lambda: (self.directory / name).exists(), what="the writer to start")

    @property
    def status(self) -> Path:
        return self.directory / "worker.json"

    def appended(self) -> set[str]:
        return {line for path in self.directory.glob("ids.*") for line in path.read_text().split()}

    def rows(self, query: str) -> list[tuple]:
        with psycopg.connect(**self.postgres.app(self.database).conninfo()) as conn:
            return conn.execute(query).fetchall()

    def stored(self) -> int:
        return self.rows("SELECT count(*) FROM spend_logs")[0][0]

    def keeps_storing(self) -> None:
        """Waits until a record that was appended from now on has come through."""
        before = {str(row[0]) for row in self.rows("SELECT request_id FROM spend_logs")} | self.appended()
        query = "SELECT request_id FROM spend_logs"
        wait_until(
            lambda: any(str(row[0]) not in before for row in self.rows(query)), seconds=30, what="records to flow again"
        )

    def stop(self) -> None:
        for process in [*self.writers, self.worker]:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(10)


@contextmanager
def _stack(directory: Path) -> Iterator[Stack]:
    with running_postgres() as postgres, running_valkey() as valkey, ExitStack() as cleanup:
        stack = Stack(postgres, valkey, postgres.clone(), directory)
        cleanup.callback(stack.stop)
        yield stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with _stack(tmp_path) as stack:
        yield stack


def starts(postgres: Postgres) -> bool:
    try:
        with psycopg.connect(**postgres.superuser().conninfo()):
            return True
    except psycopg.OperationalError:
        return False


def test_nothing_is_lost_and_nothing_counts_twice(stack: Stack) -> None:
    stack.start_worker()
    stack.start_writer(rate=400)
    stack.start_writer(rate=400)
    stack.keeps_storing()
    for _ in range(2):
        assert stack.worker is not None
        stack.worker.kill()
        stack.worker.wait(10)
        stack.start_worker()
        stack.keeps_storing()

        stack.valkey.kill()
        time.sleep(0.5)  # traffic goes on meanwhile
        stack.valkey.start()
        stack.keeps_storing()

        wait_until(lambda: b'"waiting":null' in stack.status.read_bytes(), what="the worker to be well")
        stack.postgres.kill()
        # A worker that dies with records in hand must not have given them up.
        wait_until(lambda: b'"waiting":"database"' in stack.status.read_bytes(), what="the worker to have a batch")
        stack.worker.kill()
        stack.worker.wait(10)
        stack.start_worker()
        stack.postgres.start()
        wait_until(lambda: starts(stack.postgres), seconds=30, what="Postgres to recover")
        stack.keeps_storing()

        # A proxy that dies, with its successor.
        stack.writers[-1].kill()
        stack.writers[-1].wait(10)
        stack.start_writer(rate=400)
    for writer in stack.writers:
        if writer.poll() is None:
            writer.send_signal(signal.SIGTERM)
            assert writer.wait(15) == 0
    appended = stack.appended()
    killed = sum(writer.returncode != 0 for writer in stack.writers)
    wait_until(lambda: stack.stored() >= len(appended), seconds=30, what="the last records")

    with redis.Redis(port=stack.valkey.port, password=stack.valkey.password) as client:
        wait_until(lambda: client.xlen(STREAM) == 0, what="the stream to be empty")
        assert client.xpending(STREAM, GROUP)["pending"] == 0
    assert list((stack.directory / "spill").iterdir()) == []

    ids = [str(row[0]) for row in stack.rows("SELECT request_id FROM spend_logs")]
    assert len(ids) == len(set(ids))
    assert appended - set(ids) == set()
    # A writer may be killed between the append and its note of it.
    assert len(set(ids) - appended) <= killed
    assert stack.rows(ROLLED_UP) == stack.rows(LOGGED)
    assert stack.rows("SELECT count(*) FROM spend_rejects") == [(0,)]


LOGGED = """
SELECT team_id, provider, count(*), count(*) FILTER (WHERE status >= 400), sum(tokens_in), sum(tokens_out),
    sum(tokens_cached), sum(cost_nano_usd)
FROM (SELECT team_id, coalesce(provider, '') AS provider, status, tokens_in, tokens_out, tokens_cached, cost_nano_usd
    FROM spend_logs) AS each
GROUP BY 1, 2 ORDER BY 1, 2
"""
ROLLED_UP = """
SELECT team_id, provider, sum(requests), sum(errors), sum(tokens_in), sum(tokens_out), sum(tokens_cached),
    sum(cost_nano_usd)
FROM spend_rollups GROUP BY 1, 2 ORDER BY 1, 2
"""


def test_sigterm_stores_what_is_in_hand_and_ends_well(stack: Stack) -> None:
    stack.start_worker()
    stack.start_writer(rate=1000)
    stack.keeps_storing()
    assert stack.worker is not None
    stack.worker.send_signal(signal.SIGTERM)
    assert stack.worker.wait(5) == 0
    log = (stack.directory / "worker.log").read_text()
    assert "Traceback" not in log
    with redis.Redis(port=stack.valkey.port, password=stack.valkey.password) as client:
        assert client.xpending(STREAM, GROUP)["pending"] == 0


def test_the_worker_starts_before_its_stores_and_ends_without_them(stack: Stack) -> None:
    stack.valkey.kill()
    stack.postgres.kill()
    stack.start_worker()
    status = stack.status
    wait_until(lambda: status.exists() and b'"waiting":"redis"' in status.read_bytes(), what="a sign of life")
    stack.valkey.start()
    stack.postgres.start()
    wait_until(lambda: starts(stack.postgres), seconds=30, what="Postgres to recover")
    stack.start_writer(rate=100)
    stack.keeps_storing()
    wait_until(lambda: b'"waiting":null' in status.read_bytes(), what="the status to be well")
    stack.postgres.kill()
    wait_until(lambda: b'"waiting":"database"' in status.read_bytes(), what="the status to name the database")
    assert stack.worker is not None
    stack.worker.send_signal(signal.SIGTERM)
    assert stack.worker.wait(5) == 0
