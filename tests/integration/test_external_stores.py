"""One URL each for a Postgres and a Redis that somebody else runs."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from tests.fixtures.servers import Postgres, Valkey, running_postgres

from scutum_server.errors import SettingsError
from scutum_server.infra import migrate
from scutum_server.infra.redis import make_redis
from scutum_server.settings import DatabaseSettings, migrate_settings, proxy_settings, worker_settings

ADMIN_PASSWORD = "p@ss:w/ord of the dba"


@pytest.fixture(scope="module")
def foreign() -> Iterator[Postgres]:
    """A Postgres that has none of our roles yet, and a plain database whose owner may create roles."""
    with running_postgres(ours=False) as server:
        with psycopg.connect(**server.superuser().conninfo(), autocommit=True) as conn:
            conn.execute(
                sql.SQL("CREATE ROLE dba LOGIN CREATEROLE CREATEDB PASSWORD {}").format(sql.Literal(ADMIN_PASSWORD))
            )
            conn.execute("CREATE DATABASE gateway OWNER dba")
        for name in ("gateway", "template1"):
            with psycopg.connect(**server.superuser(name).conninfo(), autocommit=True) as conn:
                conn.execute("CREATE EXTENSION vector")
        yield server


def environment(port: int, **extra: str) -> dict[str, str]:
    return {
        "DATABASE_URL": f"postgresql://dba:{quote(ADMIN_PASSWORD, safe='')}@127.0.0.1:{port}/gateway?sslmode=prefer",
        "POSTGRES_USER": "scutum_app", "POSTGRES_PASSWORD": "a" * 24, "POSTGRES_OWNER_PASSWORD": "o" * 24,
        "VALKEY_PASSWORD": "v" * 24, **extra,
    }  # fmt: skip


def prepare(env: dict[str, str]) -> None:
    settings = migrate_settings(env)
    migrate.prepare_cluster(settings)
    migrate.upgrade(settings.owner)


def test_a_role_that_may_create_roles_suffices_and_the_services_get_their_own(foreign: Postgres) -> None:
    env = environment(foreign.port)
    prepare(env)
    prepare(env)
    app = DatabaseSettings("127.0.0.1", foreign.port, "scutum_app", "gateway", "a" * 24)
    with psycopg.connect(**app.conninfo()) as conn:
        assert conn.execute("SELECT count(*) FROM teams").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("DELETE FROM audit_logs")


def test_the_schema_is_migrated_past_a_pooler(foreign: Postgres) -> None:
    env = environment(foreign.port)
    prepare(env | {"DATABASE_URL": "postgresql://dba:none@127.0.0.1:1/gateway", "DATABASE_DIRECT_URL": env["DATABASE_URL"]})


def test_a_second_install_does_not_lock_the_first_one_out(foreign: Postgres) -> None:
    prepare(environment(foreign.port))
    with pytest.raises(migrate.MigrationError, match="another password"):
        prepare(environment(foreign.port, POSTGRES_PASSWORD="b" * 24))
    app = DatabaseSettings("127.0.0.1", foreign.port, "scutum_app", "gateway", "a" * 24)
    psycopg.connect(**app.conninfo()).close()


def test_a_database_that_is_missing_is_made(foreign: Postgres) -> None:
    env = environment(foreign.port)
    env["DATABASE_URL"] = env["DATABASE_URL"].replace("/gateway", "/fresh_one")
    prepare(env)
    app = DatabaseSettings("127.0.0.1", foreign.port, "scutum_app", "fresh_one", "a" * 24)
    psycopg.connect(**app.conninfo()).close()


@pytest.mark.parametrize(
    ("change", "words"),
    [(("dba:", "nobody:"), "does not let nobody in"), (("sslmode=prefer", "sslmode=require"), "SSL")],
)
def test_a_server_that_lets_nobody_in_is_said_in_a_sentence(
    foreign: Postgres, change: tuple[str, str], words: str
) -> None:
    env = environment(foreign.port)
    env["DATABASE_URL"] = env["DATABASE_URL"].replace(*change)
    with pytest.raises(migrate.MigrationError, match=words) as caught:
        prepare(env)
    assert ADMIN_PASSWORD not in caught.value.detail


def test_a_role_that_may_not_create_roles_is_told_what_is_missing() -> None:
    with running_postgres(ours=False) as server:
        with psycopg.connect(**server.superuser().conninfo(), autocommit=True) as conn:
            conn.execute(sql.SQL("CREATE ROLE plain LOGIN PASSWORD {}").format(sql.Literal(ADMIN_PASSWORD)))
        env = environment(server.port)
        env["DATABASE_URL"] = env["DATABASE_URL"].replace("dba:", "plain:").replace("/gateway", "/postgres")
        with pytest.raises(migrate.MigrationError, match="may not create roles, and scutum_app"):
            prepare(env)


def test_a_missing_extension_is_named(foreign: Postgres) -> None:
    prepare(environment(foreign.port))
    with psycopg.connect(**foreign.superuser("gateway").conninfo(), autocommit=True) as conn:
        conn.execute("DROP EXTENSION vector CASCADE")
    try:
        with pytest.raises(migrate.MigrationError, match="extension vector"):
            prepare(environment(foreign.port))
    finally:
        with psycopg.connect(**foreign.superuser("gateway").conninfo(), autocommit=True) as conn:
            conn.execute("CREATE EXTENSION vector")


def test_redis_by_url(valkey: Valkey) -> None:
    env = environment(1, REDIS_URL=f"redis://default:{quote(valkey.password)}@127.0.0.1:{valkey.port}/3")
    settings = worker_settings(env).redis

    async def ping() -> str:
        client = make_redis(settings, name="test")
        try:
            await client.ping()
            return str((await client.client_info())["db"])
        finally:
            await client.aclose()

    assert asyncio.run(ping()) == "3"


def test_tls_for_both_is_taken_from_the_url() -> None:
    env = environment(
        5432,
        DATABASE_URL="postgres://u:p@db.example.com/gw?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        REDIS_URL="rediss://:word@cache.example.com?ssl_ca_certs=/etc/ca.pem",
        SCUTUM_API_KEY=secrets.token_hex(16), SCUTUM_SPILL_DIR="/tmp/none",
        SCUTUM_ENCRYPTION_KEY=base64.b64encode(os.urandom(32)).decode(),
    )  # fmt: skip
    settings = proxy_settings(env)
    conninfo = settings.database.conninfo()
    assert (conninfo["host"], conninfo["port"], conninfo["sslmode"]) == ("db.example.com", 5432, "verify-full")
    assert conninfo["sslrootcert"] == "/etc/ca.pem"
    redis = make_redis(settings.redis, name="x").connection_pool
    assert redis.connection_class.__name__ == "SSLConnection"
    assert redis.connection_kwargs["ssl_ca_certs"] == "/etc/ca.pem"
    assert "word" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "mysql://u:sesame@h/db"), ("DATABASE_URL", "postgresql://u:sesame@h"),
        ("DATABASE_URL", "postgresql://u:sesame@h:port/db"), ("DATABASE_URL", "postgresql://u:sesame@h/db?sslmode=on"),
        ("DATABASE_URL", "postgresql://u:sesame@h/db?host=other"), ("DATABASE_URL", "postgresql:///db"),
        ("REDIS_URL", "http://:sesame@h"), ("REDIS_URL", "redis://:sesame@h/name"), ("REDIS_URL", "redis://:ses/ame@h"),
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_by_name_and_not_shown(name: str, url: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        worker_settings(environment(5432, **{name: url}))
    assert "sesame" not in str(caught.value)
