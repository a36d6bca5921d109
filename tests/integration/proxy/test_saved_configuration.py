"""A proxy that starts while its database is down serves from what an earlier one saved."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.fixtures.gateway import Proxy, Rows, proxy_environment, running_proxy
from tests.fixtures.servers import Postgres, free_port, wait_until
from tests.integration.proxy.test_process import reachable

from scutum_server.leases.store import PREFIX
from scutum_server.proxy.config.disk import SnapshotFile, UnusableError
from scutum_server.settings import DatabaseSettings, RedisSettings

PROVIDER_SECRET = "sk-provider-secret-of-the-test"


@contextlib.contextmanager
def started_again(
    proxy: Proxy, database: DatabaseSettings, directory: Path, key: bytes, **environment: str
) -> Iterator[Proxy]:
    """Another worker with the same state directory, not waited for."""
    port, log = free_port(), directory / "second.log"
    env = proxy_environment(database, proxy.redis, key, proxy.spill, port) | environment
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "scutum_server", "proxy"], env=env, stderr=stderr)
    try:
        yield Proxy(port, process, proxy.rows, proxy.redis, log, proxy.spill)
    finally:
        process.kill()
        process.wait(10)


def saved(proxy: Proxy) -> Path:
    return proxy.spill / "state" / "configuration.snapshot"


def saved_version(proxy: Proxy, key: bytes) -> int:
    from scutum_server.proxy.config.store import SHAPE

    try:
        return max(version for version, _ in SnapshotFile(saved(proxy).parent, key, SHAPE).read())
    except UnusableError:
        return -1


@pytest.fixture
def encryption_key() -> bytes:
    return os.urandom(32)


@pytest.fixture
def first(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path, encryption_key: bytes
) -> Iterator[Proxy]:
    """A proxy whose configuration is on disk: one model, a provider with a secret."""
    rows = Rows(database, encryption_key)
    rows.seed()
    rows.deployment("sim", rows.provider("sim", "sim"))
    rows.provider("real", "openai", "http://127.0.0.1:9/v1", api_key=PROVIDER_SECRET)
    port, log, spill = free_port(), tmp_path / "first.log", tmp_path / "spill"
    env = proxy_environment(database, redis_settings, encryption_key, spill, port)
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "scutum_server", "proxy"], env=env, stderr=stderr)
    proxy = Proxy(port, process, rows, redis_settings, log, spill)
    try:
        wait_until(proxy.ready, what="the first proxy to be ready")
        yield proxy
    finally:
        process.kill()
        process.wait(10)


def keep(proxy: Proxy, encryption_key: bytes) -> None:
    """Waits until all that the database holds is on disk."""
    wanted = proxy.rows.version()
    wait_until(lambda: saved_version(proxy, encryption_key) >= wanted, what="the configuration to be saved")


def test_a_worker_starts_and_serves_while_postgres_is_dead(
    postgres: Postgres, database: DatabaseSettings, first: Proxy, tmp_path: Path, encryption_key: bytes
) -> None:
    key, gone = first.rows.key(), first.rows.key()
    keep(first, encryption_key)
    first.rows.revoke(gone)
    late = first.rows.key()
    keep(first, encryption_key)
    assert first.request("GET", "/health/ready")[2] == b'{"status":"ready","stale":false}'
    first.process.kill()
    postgres.kill()
    try:
        with started_again(first, database, tmp_path, encryption_key) as second:
            wait_until(second.ready, what="the second proxy to be ready without Postgres")
            for known in (key, late):
                assert second.chat("sim", key=known)[0] == 200
            assert second.chat("sim", key=gone)[0] == 401
            status, _, body = second.request("GET", "/health/ready")
            state = json.loads(body)
            assert (status, state["status"]) == (200, "ready")
            wait_until(
                lambda: json.loads(second.request("GET", "/health/ready")[2])["stale"], what="the proxy to say it"
            )
            assert json.loads(second.request("GET", "/health/ready")[2])["age_seconds"] >= 3
            postgres.start()
            wait_until(lambda: not json.loads(second.request("GET", "/health/ready")[2])["stale"], what="the way back")
            second.rows.revoke(key)
            wait_until(lambda: second.chat("sim", key=key)[0] == 401, what="the revocation after the outage")
    finally:
        if postgres.process is None or postgres.process.poll() is not None:
            postgres.start()


def test_a_worker_that_starts_without_postgres_keeps_to_the_limits(
    postgres: Postgres, database: DatabaseSettings, first: Proxy, tmp_path: Path, encryption_key: bytes
) -> None:
    with redis.Redis(port=first.redis.port, password=first.redis.password) as client:
        client.set(f"{PREFIX}epoch", "test@1000")
    key, free = first.rows.key("limited"), first.rows.key()
    with first.rows.transaction() as conn:
        (key_id,) = conn.execute("SELECT id FROM api_keys WHERE name = 'limited'").fetchone()  # type: ignore[misc]
    first.rows.limit("key", key_id=key_id, rpd=3)
    keep(first, encryption_key)
    wait_until(lambda: "x-ratelimit-limit-requests" in first.chat("sim", key=key)[1], what="the limit to be known")
    first.process.kill()
    first.process.wait(10)
    reachable(postgres, database, allowed=False)
    with started_again(first, database, tmp_path, encryption_key) as second:
        wait_until(second.ready, what="the second proxy to be ready without Postgres")
        answers = [second.chat("sim", key=key)[0] for _ in range(5)]
        # What the first one had admitted counts; that it was killed does not give it back.
        assert (answers.count(200), answers.count(429)) in {(2, 3), (1, 4)}, answers
        assert second.chat("sim", key=free)[0] == 200
    reachable(postgres, database, allowed=True)


def test_a_restored_backup_wins_over_the_file_even_if_its_version_is_the_same(
    postgres: Postgres, database: DatabaseSettings, first: Proxy, tmp_path: Path, encryption_key: bytes
) -> None:
    keep(first, encryption_key)
    first.process.kill()
    first.process.wait(10)
    with first.rows.transaction() as conn:
        conn.execute("UPDATE deployments SET name = 'restored'")
    reachable(postgres, database, allowed=False)
    with started_again(first, database, tmp_path, encryption_key) as second:
        wait_until(second.ready, what="the second proxy to be ready without Postgres")
        assert second.knows("sim") and not second.knows("restored")
        reachable(postgres, database, allowed=True)
        second.wait_for("restored")
        assert not second.knows("sim")


def test_the_file_holds_no_secret_and_is_for_its_owner_alone(first: Proxy, encryption_key: bytes) -> None:
    key = first.rows.key()
    keep(first, encryption_key)
    content = saved(first).read_bytes()
    assert saved(first).stat().st_mode & 0o777 == 0o600
    assert saved(first).parent.stat().st_mode & 0o777 == 0o700
    assert b"http://127.0.0.1:9/v1" in content
    for secret in (key, PROVIDER_SECRET, first.master_key):
        assert secret.encode() not in content


@pytest.mark.parametrize("damage", ["cut", "bit", "key", "gone"])
def test_a_file_that_cannot_be_believed_is_not_used(
    postgres: Postgres, database: DatabaseSettings, first: Proxy, tmp_path: Path, encryption_key: bytes, damage: str
) -> None:
    keep(first, encryption_key)
    first.process.kill()
    first.process.wait(10)
    path, other = saved(first), encryption_key
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-10])
    elif damage == "bit":
        path.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    elif damage == "key":
        other = os.urandom(32)
    else:
        path.unlink()
    reachable(postgres, database, allowed=False)
    with started_again(first, database, tmp_path, other) as second:
        said = "is not used" if damage != "gone" else "cannot be read"
        wait_until(lambda: said in second.log.read_text(), what="the proxy to look at the file")
        wait_until(lambda: second.request("GET", "/health/live")[0] == 200, what="the proxy to answer", seconds=20)
        assert json.loads(second.request("GET", "/health/ready")[2]) == {"status": "starting"}
        reachable(postgres, database, allowed=True)
        wait_until(second.ready, what="the proxy to be ready")
        if damage != "key":  # with another key the provider's secret is unreadable, which is said elsewhere
            assert second.chat("sim")[0] == 200


def test_a_configuration_may_become_too_old_to_serve(
    postgres: Postgres, database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    with running_proxy(database, redis_settings, tmp_path, environment={"SCUTUM_MAX_STALE_SECONDS": "1"}) as proxy:
        proxy.rows.deployment("sim", proxy.rows.provider("sim", "sim"))
        proxy.wait_for("sim")
        reachable(postgres, database, allowed=False)
        wait_until(lambda: proxy.chat("sim")[0] == 503, what="the proxy to refuse")
        status, headers, body = proxy.chat("sim")
        assert (status, json.loads(body)["error"]["code"]) == (503, "configuration_stale")
        assert headers["retry-after"]
        wait_until(lambda: proxy.request("GET", "/health/ready")[0] == 503, what="the proxy to be unready")
        reachable(postgres, database, allowed=True)
        wait_until(lambda: proxy.chat("sim")[0] == 200, what="the proxy to serve again")
