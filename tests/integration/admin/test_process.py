"""`scutum-server admin` as the supervisor runs it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys

import httpx

from scutum_server.settings import DatabaseSettings, RedisSettings
from tests.fixtures.servers import Postgres, free_port, wait_until
from tests.integration.admin.conftest import API, MASTER_KEY


def environment(database: DatabaseSettings, redis: RedisSettings, port: int) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "PYTHONPATH"}},
        "SCUTUM_API_KEY": MASTER_KEY,
        "JWT_SECRET_KEY": "j" * 43,
        "INTERNAL_SERVICE_KEY": "i" * 43,
        "SCUTUM_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
        "POSTGRES_PORT": str(database.port),
        "POSTGRES_USER": database.user,
        "POSTGRES_DB": database.dbname,
        "POSTGRES_PASSWORD": database.password,
        "VALKEY_PORT": str(redis.port),
        "VALKEY_PASSWORD": redis.password,
        "SCUTUM_ADMIN_PORT": str(port),
    }


def answers(url: str, status: int) -> bool:
    try:
        return httpx.get(url).status_code == status
    except httpx.TransportError:
        return False


def test_it_serves_health_without_postgres_and_stops_cleanly(postgres: Postgres, redis_settings: RedisSettings) -> None:
    """Postgres "comes up" as a database that did not exist before."""
    name, port = f"late_{os.getpid()}", free_port()
    command = [sys.executable, "-m", "scutum_server", "admin"]
    env = environment(postgres.app(name), redis_settings, port)
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: answers(f"{url}/health", 503), what="health without a database")
            second = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)
            assert second.returncode == 2 and "Address already in use" in second.stderr
            assert "Traceback" not in second.stderr
            made = postgres.clone()
            try:
                import psycopg

                with psycopg.connect(**postgres.superuser().conninfo(), autocommit=True) as conn:
                    conn.execute(f'ALTER DATABASE "{made}" RENAME TO "{name}"')
                wait_until(lambda: answers(f"{url}/health", 200), what="readiness", seconds=30)
                session = httpx.post(f"{url}{API}/auth/login", json={"master_key": MASTER_KEY})
                assert session.status_code == 200
                process.send_signal(signal.SIGTERM)
                assert process.wait(15) == 0
            finally:
                postgres.drop(name)
        finally:
            process.kill()
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert {line["process"] for line in lines} == {"admin"}
    assert "ready" in [line["msg"] for line in lines]
    text = json.dumps(lines)
    for secret in (MASTER_KEY, "j" * 43, postgres.app_password, session.json()["access_token"]):
        assert secret not in text
