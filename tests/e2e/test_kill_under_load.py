"""kill -9 of each process in turn while clients talk: every finished request is in the spend log, once."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from dataclasses import dataclass, field

import psycopg
import pytest

from tests.fixtures.install import Installed
from tests.fixtures.servers import wait_until

pytestmark = [pytest.mark.xdist_group("install"), pytest.mark.timeout(300)]


@dataclass
class Load:
    """Clients that send one request after the other and note the id of each one that finished."""

    port: int
    key: str
    finished: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clients: int) -> None:
        self.threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def _client(self, number: int) -> None:
        body = json.dumps({"model": "sim", "stream": number % 2 == 1, "messages": [{"role": "user", "content": "hi"}]})
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        while not self.stop.wait(0.01):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.request("POST", "/v1/chat/completions", body, headers)
                response = connection.getresponse()
                text = response.read()
                if response.status == 200 and (number % 2 == 0 or b"[DONE]" in text):
                    self.finished.append(response.headers["x-request-id"])
                else:
                    self.refused.append(f"{response.status} {text[:200]!r}")
            except (OSError, http.client.HTTPException) as error:
                self.refused.append(repr(error))
            finally:
                connection.close()

    def join(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(60)


def counted(installed: Installed, key_id: str) -> tuple[list[str], int]:
    """The request ids in the spend log of one key, and the number of requests in the rollups."""
    port = next(
        line.split()[1] for line in installed.ok("config", "show").splitlines() if line.startswith("postgres.port")
    )
    with psycopg.connect(
        host="127.0.0.1", port=int(port), user="scutum_app", dbname="scutum", password=installed.secret("POSTGRES_PASSWORD")
    ) as conn:
        rows = conn.execute(
            "SELECT request_id::text FROM spend_logs WHERE key_id = %s AND status = 200", (key_id,)
        ).fetchall()
        total = conn.execute(
            "SELECT coalesce(sum(requests - errors), 0)::bigint FROM spend_rollups WHERE key_id = %s", (key_id,)
        ).fetchone()
    assert total is not None
    return [row[0] for row in rows], total[0]


def test_no_finished_request_is_lost_or_counted_twice(installed: Installed) -> None:
    issued = json.loads(installed.ok("keys", "create", "under-load", "-o", "json"))
    load = Load(installed.proxy_port, issued["key"])
    load.start(4)
    try:
        for service in ("worker", "valkey", "postgres", "admin", "proxy"):
            seen = len(load.finished)
            wait_until(lambda seen=seen: len(load.finished) > seen + 20, seconds=60, what="traffic")
            pid = installed.ps()[service]["pids"][0]
            os.kill(pid, signal.SIGKILL)

            def replaced(service: str = service, pid: int = pid) -> bool:
                row = installed.ps()[service]
                return row["state"] == "running" and pid not in row["pids"]

            try:
                wait_until(replaced, seconds=40, what=f"{service} to be back")
            except AssertionError:
                raise AssertionError(f"killed {pid}: {installed.ps()[service]}") from None
        seen = len(load.finished)
        wait_until(lambda: len(load.finished) > seen + 20, seconds=60, what="traffic after the last kill")
    finally:
        load.join()
    # Only the killed proxy worker may cost its own connections; nothing else is felt by a client.
    assert len(load.refused) <= 2 * len(load.threads), load.refused[:5]

    expected = set(load.finished)
    assert len(expected) == len(load.finished) > 100

    def complete() -> bool:
        try:
            return expected <= set(counted(installed, issued["id"])[0])
        except psycopg.OperationalError:  # still recovering from its kill
            return False

    wait_until(complete, seconds=60, what="every record in the spend log")
    logged, rolled_up = counted(installed, issued["id"])
    assert len(logged) == len(set(logged))
    assert rolled_up == len(logged)
    # What the clients did not see finish but the proxy did: at most the ones that the kill cut off.
    assert len(set(logged) - expected) <= len(load.refused)
