"""The real control plane over a real database, spoken to through its ASGI interface."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg.rows import dict_row

from scutum_server.access.passwords import Passwords
from scutum_server.admin.app import create_app
from scutum_server.admin.runtime import Runtime, make_runtime
from scutum_server.settings import AdminSettings, DatabaseSettings, RedisSettings

MASTER_KEY = "sk-scutum-master-" + "m" * 32
API = "/api/v1"


def admin_settings(database: DatabaseSettings, redis: RedisSettings, **more: Any) -> AdminSettings:
    return AdminSettings(
        database=database,
        redis=redis,
        master_key=MASTER_KEY,
        encryption_key=b"k" * 32,
        jwt_secret="j" * 43,
        internal_service_key="i" * 43,
        host="127.0.0.1",
        port=1,
        proxy_url="http://127.0.0.1:1",
        litellm_python=Path(sys.prefix) / "litellm" / "bin" / "python",
        **more,
    )


def quick_passwords() -> Passwords:
    """The real ones, with less work: a test is no attacker."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


@dataclass
class Admin:
    """A client of a running control plane, logged in, and a second way to look at the database."""

    runtime: Runtime
    app: object
    http: httpx.AsyncClient
    database: DatabaseSettings
    answers: list[str] = field(default_factory=list)

    async def call(self, method: str, path: str, **kwargs) -> httpx.Response:
        answer = await self.http.request(method, API + path, **kwargs)
        self.answers.append(answer.text)
        return answer

    async def get(self, path: str, **params) -> dict:
        answer = await self.call("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def make(self, path: str, status: int = 201, **body) -> dict:
        answer = await self.call("POST", path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def fails(self, method: str, path: str, status: int, code: str, **kwargs) -> dict:
        """Expects a problem and returns it."""
        answer = await self.call(method, path, **kwargs)
        assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert body["request_id"] == answer.headers["x-request-id"]
        assert body["status"] == status and body["detail"].endswith(".")
        return body

    def sql(self, query: str, *params) -> list[dict]:
        with psycopg.connect(**self.database.conninfo(), row_factory=dict_row, autocommit=True) as conn:
            cursor = conn.execute(query, params)
            return cursor.fetchall() if cursor.description else []

    def audit(self, action: str) -> list[dict]:
        return self.sql("SELECT * FROM audit_logs WHERE action = %s ORDER BY timestamp", action)

    async def session(self, role: str, org: str | None = None, *, name: str = "someone") -> dict[str, str]:
        """The headers of somebody with this role, in one org (id or name) or in the whole install."""
        made = await self.make("/service-accounts", name=f"{name}-{secrets.token_hex(4)}", role=role, org=org)
        login = await self.http.post(f"{API}/auth/login", json={"service_token": made["token"]})
        return {"authorization": f"Bearer {login.json()['access_token']}"}

    def config(self, kind: str, object_id: str) -> int:
        rows = self.sql("SELECT 1 AS x FROM config_changes WHERE kind = %s AND object_id = %s", kind, object_id)
        return len(rows)


@pytest.fixture
async def admin(database: DatabaseSettings, redis_settings: RedisSettings) -> AsyncIterator[Admin]:
    async with running(admin_settings(database, redis_settings)) as client:
        yield client


@asynccontextmanager
async def running(settings: AdminSettings) -> AsyncIterator[Admin]:
    """A control plane of its own process's making, as far as its state goes."""
    runtime = make_runtime(settings)
    runtime.passwords = quick_passwords()
    app = create_app(runtime)
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(runtime.ready.wait(), 20)
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://admin") as http:
            client = Admin(runtime, app, http, settings.database)
            token = (await http.post(API + "/auth/login", json={"master_key": MASTER_KEY})).json()["access_token"]
            http.headers["authorization"] = f"Bearer {token}"
            yield client


@pytest.fixture
def unique() -> str:
    return secrets.token_hex(4)
