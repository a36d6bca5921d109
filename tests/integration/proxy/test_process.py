"""The proxy as a process: starting without its stores, serving without them, stopping without a cut answer."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from tests.fixtures.gateway import MASTER_KEY, Proxy, Rows, proxy_environment, running_proxy
from tests.fixtures.servers import Postgres, Valkey, free_port, wait_until
from tests.fixtures.upstream import COMPLETION, Request, Upstream, answer
from tests.integration.proxy.scripted import ask, provide, send_raw

from scutum_server.settings import DatabaseSettings, RedisSettings


def reachable(postgres: Postgres, database: DatabaseSettings, allowed: bool) -> None:
    """Lets the database take connections, or cuts all and takes no more."""
    with psycopg.connect(**postgres.superuser().conninfo(), autocommit=True) as conn:
        conn.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                sql.Identifier(database.dbname), sql.Literal(allowed)
            )
        )
        if not allowed:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database.dbname,)
            )


def test_it_serves_from_its_snapshot_while_postgres_is_away(
    postgres: Postgres, database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    with running_proxy(database, redis_settings, tmp_path) as proxy:
        proxy.rows.deployment("sim", proxy.rows.provider("sim", "sim"))
        proxy.wait_for("sim")
        key = proxy.rows.key()
        wait_until(lambda: proxy.chat("sim", key=key)[0] == 200, what="the key to be known")
        reachable(postgres, database, allowed=False)
        wait_until(lambda: "last snapshot" in proxy.log.read_text(), what="the proxy to notice")
        assert proxy.chat("sim", key=key)[0] == 200
        assert proxy.ready()
        reachable(postgres, database, allowed=True)
        proxy.rows.revoke(key)
        wait_until(lambda: proxy.chat("sim", key=key)[0] == 401, what="the revocation after the outage")


def test_a_lost_history_of_changes_is_no_lost_change(
    postgres: Postgres, database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    with running_proxy(database, redis_settings, tmp_path) as proxy:
        proxy.rows.deployment("old", proxy.rows.provider("sim", "sim"))
        proxy.wait_for("old")
        reachable(postgres, database, allowed=False)
        wait_until(lambda: "last snapshot" in proxy.log.read_text(), what="the proxy to notice")
        reachable(postgres, database, allowed=True)
        with proxy.rows.transaction() as conn:
            conn.execute("UPDATE deployments SET name = 'new'")
            conn.execute("UPDATE config_version SET version = version + 5")
        proxy.wait_for("new")
        assert not proxy.knows("old")


def test_it_starts_before_postgres_does(
    postgres: Postgres, database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    reachable(postgres, database, allowed=False)
    with running_proxy(database, redis_settings, tmp_path, seed=False, wait=False) as proxy:

        def alive() -> bool:
            try:
                return proxy.request("GET", "/health/live")[0] == 200
            except OSError:
                return False

        wait_until(alive, what="the proxy to be alive")
        assert proxy.request("GET", "/health/ready")[0] == 503
        status, headers, body = proxy.chat("sim")
        assert (status, json.loads(body)["error"]["code"]) == (503, "not_ready")
        assert headers["retry-after"]
        reachable(postgres, database, allowed=True)
        wait_until(proxy.ready, what="the proxy to be ready")


def test_records_wait_while_valkey_is_away(
    database: DatabaseSettings, valkey: Valkey, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    with running_proxy(database, redis_settings, tmp_path) as proxy:
        proxy.rows.deployment("sim", proxy.rows.provider("sim", "sim"))
        proxy.wait_for("sim")
        valkey.kill()
        asked = [proxy.chat("sim")[1]["x-request-id"] for _ in range(5)]
        proxy.process.kill()
        proxy.process.wait(10)
    valkey.start()
    with running_proxy(database, redis_settings, tmp_path, seed=False) as successor:
        for request_id in asked:
            assert successor.record(request_id)["status"] == 200


async def test_a_stop_cuts_no_answer_and_refuses_none_on_its_way(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path, upstream: Upstream
) -> None:
    go = asyncio.Event()

    async def waits(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(answer(COMPLETION))

    upstream.handler = waits
    with running_proxy(database, redis_settings, tmp_path) as proxy:
        model = await provide(proxy, upstream.base_url)
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        reader, writer = await send_raw(proxy, model)
        while not upstream.requests:
            await asyncio.sleep(0.01)
        proxy.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_until, lambda: not accepts(proxy.port), what="the proxy to stop listening")
        idle_writer.write(b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        late = await idle_reader.read()
        assert late.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close" in late
        go.set()
        got = await reader.read()
        assert got.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in got
        assert got.endswith(json.dumps(COMPLETION).encode())
        assert await asyncio.to_thread(proxy.process.wait, 20) == 0
        assert len(proxy.records()) == 1
        for each in (writer, idle_writer):
            each.close()


async def test_a_drain_has_an_end(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path, upstream: Upstream
) -> None:
    upstream.hangs()
    with running_proxy(database, redis_settings, tmp_path, environment={"SCUTUM_DRAIN_SECONDS": "1"}) as proxy:
        model = await provide(proxy, upstream.base_url)
        asked = asyncio.create_task(ask(proxy, model))
        while not upstream.requests:
            await asyncio.sleep(0.01)
        proxy.process.send_signal(signal.SIGTERM)
        status, _, body = await asked
        assert (status, json.loads(body)["error"]["code"]) == (503, "gateway_stopping")
        assert await asyncio.to_thread(proxy.process.wait, 20) == 0
        assert [record["error_kind"] for record in proxy.records()] == ["gateway_stopping"]


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Workers:
    """Workers on one listening socket, as the supervisor runs them."""

    def __init__(self, environment: dict[str, str], listener: socket.socket, directory: Path) -> None:
        self.environment = environment | {"SCUTUM_PROXY_FD": str(listener.fileno())}
        self.listener = listener
        self.directory = directory
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Returns once the worker has its configuration."""
        log = self.directory / f"{len(self.started)}.log"
        command = [sys.executable, "-m", "scutum_server", "proxy"]
        with log.open("wb") as stderr:
            worker = subprocess.Popen(command, env=self.environment, pass_fds=[self.listener.fileno()], stderr=stderr)
        self.started.append(worker)
        wait_until(lambda: "configuration loaded" in log.read_text(), what="the worker to be ready")
        return worker


def asks_until(stop: threading.Event, port: int, failures: list[str]) -> int:
    """Requests on a kept connection, one after the other; returns how many were answered."""
    answered = 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    body = json.dumps({"model": "sim", "messages": [{"role": "user", "content": "hello"}]})
    while not stop.is_set():
        try:
            connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {MASTER_KEY}"})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
            connection.close()
        else:
            answered += response.status == 200
            if response.status != 200:
                failures.append(str(response.status))
    connection.close()
    return answered


def test_workers_are_exchanged_under_load_without_a_failed_request(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    key, failures, stop = os.urandom(32), [], threading.Event()
    rows = Rows(database, key)
    rows.seed()
    rows.deployment("sim", rows.provider("sim", "sim"))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener, ThreadPoolExecutor(8) as pool:
        port = listener.getsockname()[1]
        workers = Workers(proxy_environment(database, redis_settings, key, tmp_path, port), listener, tmp_path)
        try:
            old = workers.start()
            load = [pool.submit(asks_until, stop, port, failures) for _ in range(8)]
            for _ in range(2):
                new = workers.start()
                old.terminate()
                assert old.wait(20) == 0
                old = new
            stop.set()
            answered = sum(each.result() for each in load)
            old.terminate()
            assert old.wait(20) == 0
            assert accepts(port), "the socket outlives its workers"
        finally:
            stop.set()
            for worker in workers.started:
                worker.kill()
                worker.wait(10)
    assert failures == []
    assert answered > 50
    proxy = Proxy(port, old, rows, redis_settings, tmp_path, tmp_path)
    assert len({record["request_id"] for record in proxy.records()}) == answered


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SCUTUM_API_KEY": "changeme"}, "SCUTUM_API_KEY"),
        ({"SCUTUM_SPILL_DIR": "/proc/nowhere"}, "spill directory"),
        ({"SCUTUM_PROXY_PORT": "taken"}, "in use"),
        ({"SCUTUM_PROXY_FD": "77"}, "descriptor 77"),
    ],
)
def test_a_start_that_cannot_work_says_so_in_a_sentence(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if change.get("SCUTUM_PROXY_PORT") == "taken":
            change = {"SCUTUM_PROXY_PORT": str(taken.getsockname()[1])}
        env = proxy_environment(database, redis_settings, os.urandom(32), tmp_path, free_port()) | change
        done = subprocess.run([sys.executable, "-m", "scutum_server", "proxy"], env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
