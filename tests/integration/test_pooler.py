"""A pooler in front of PostgreSQL: what needs a session of its own goes past it, and the rest bears it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from scutum_server.admin.app import create_app
from scutum_server.admin.runtime import make_runtime
from scutum_server.errors import SettingsError
from scutum_server.settings import DatabaseSettings, RedisSettings, worker_settings
from tests.fixtures.gateway import running_proxy
from tests.fixtures.pgbouncer import running_pgbouncer
from tests.fixtures.servers import wait_until
from tests.fixtures.worker import running_worker
from tests.integration.admin.conftest import API, MASTER_KEY, admin_settings


def url(database: DatabaseSettings) -> str:
    return f"postgresql://{database.user}:{quote(database.password)}@{database.host}:{database.port}/{database.dbname}"


@pytest.fixture
def nowhere(database: DatabaseSettings) -> Iterator[DatabaseSettings]:
    """A port that takes no connections as long as the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield replace(database, port=held.getsockname()[1])


def test_configuration_and_spend_go_past_the_pooler(
    database: DatabaseSettings, nowhere: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    """Which is away: whatever went through it would fail."""
    urls = {"DATABASE_URL": url(nowhere), "DATABASE_DIRECT_URL": url(database)}
    with (
        running_proxy(database, redis_settings, tmp_path, environment=urls) as proxy,
        running_worker(database, redis_settings, tmp_path, **urls) as worker,
    ):
        sim = proxy.rows.provider("sim", "sim")
        proxy.rows.deployment("sim", sim)
        proxy.wait_for("sim")
        assert proxy.chat("sim")[0] == 200
        wait_until(lambda: worker.stored() == 1, what="the record in the spend log")


async def provision(database: DatabaseSettings, redis_settings: RedisSettings) -> list[int]:
    """The status codes of forty changes at once, made through an admin API on this database."""
    runtime = make_runtime(admin_settings(database, redis_settings))
    app = create_app(runtime)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://admin") as http,
    ):
        await asyncio.wait_for(runtime.ready.wait(), 20)
        token = (await http.post(API + "/auth/login", json={"master_key": MASTER_KEY})).json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        answers = await asyncio.gather(
            *(http.post(API + "/keys", json={"name": f"k{number}"}) for number in range(40)),
            *(http.get(API + "/keys") for _ in range(40)),
        )
        return [answer.status_code for answer in answers]


async def test_the_admin_api_works_through_pgbouncer(database: DatabaseSettings, redis_settings: RedisSettings) -> None:
    with running_pgbouncer(database) as pooled:
        assert await provision(pooled, redis_settings) == [201] * 40 + [200] * 40


def test_a_whole_gateway_behind_pgbouncer(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    with running_pgbouncer(database) as pooled:
        urls = {"DATABASE_URL": url(pooled), "DATABASE_DIRECT_URL": url(database)}
        with (
            running_proxy(database, redis_settings, tmp_path, environment=urls) as proxy,
            running_worker(database, redis_settings, tmp_path, **urls) as worker,
        ):
            proxy.rows.deployment("sim", proxy.rows.provider("sim", "sim"))
            proxy.wait_for("sim")
            for _ in range(20):
                assert proxy.chat("sim")[0] == 200
            wait_until(lambda: worker.stored() == 20, what="the records in the spend log")


def environment(**urls: str) -> dict[str, str]:
    return {"POSTGRES_PASSWORD": "a" * 24, "VALKEY_PASSWORD": "v" * 24, **urls}


def test_without_a_pooler_there_is_one_database() -> None:
    own = worker_settings(environment())
    assert own.direct == own.database and not own.database.pooled
    external = worker_settings(environment(DATABASE_URL="postgresql://u:p@db/gw"))
    assert external.direct == external.database and not external.database.pooled


def test_a_pooler_is_told_from_the_server_behind_it() -> None:
    both = worker_settings(
        environment(DATABASE_URL="postgresql://u:p@pool:6432/gw", DATABASE_DIRECT_URL="postgresql://u:p@db/gw")
    )
    assert (both.database.host, both.database.pooled) == ("pool", True)
    assert (both.direct.host, both.direct.pooled) == ("db", False)


def test_a_way_past_no_pooler_is_refused() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL is not"):
        worker_settings(environment(DATABASE_DIRECT_URL="postgresql://u:sesame@db/gw"))
    with pytest.raises(SettingsError, match="DATABASE_DIRECT_URL must begin"):
        worker_settings(environment(DATABASE_URL="postgresql://u:p@h/d", DATABASE_DIRECT_URL="mysql://u:sesame@db/gw"))
