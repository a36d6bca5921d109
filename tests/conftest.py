"""Shared fixtures: a real Postgres (a fresh database a test, cloned from a template) and a real Valkey."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scutum_server.settings import DatabaseSettings, RedisSettings
from tests.fixtures.servers import Postgres, Valkey, running_postgres, running_valkey


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> Iterator[DatabaseSettings]:
    """The service's own role in a fresh, migrated database."""
    name = postgres.clone()
    yield postgres.app(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture
def redis_settings(valkey: Valkey) -> RedisSettings:
    """An empty Valkey; started again if a test before this one killed it."""
    import redis

    if valkey.process is None or valkey.process.poll() is not None:
        valkey.start()
    with redis.Redis(port=valkey.port, password=valkey.password) as client:
        client.flushall()
    return valkey.settings()
