"""The application around its routes: health, problems, sizes, ids, and starting before its database."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging

import httpx
import msgspec
import psycopg
import pytest
import redis

from scutum_server.admin.app import create_app
from scutum_server.admin.health import FRESH_S
from scutum_server.admin.runtime import make_runtime
from scutum_server.settings import DatabaseSettings, RedisSettings
from scutum_server.worker.heartbeat import Beat
from scutum_server.worker.tracing import TraceState
from tests.fixtures.servers import Postgres
from tests.integration.admin.conftest import API, MASTER_KEY, Admin, admin_settings


async def until(check, *, what: str, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.05)
    del what


def beat(settings: RedisSettings, waiting: str | None = None, traces: TraceState | None = None) -> None:
    now = Beat(at=dt.datetime.now(dt.UTC), pid=1, version="1", waiting=waiting, stored=0, rejected=0, traces=traces)
    with redis.Redis(port=settings.port, password=settings.password) as client:
        client.set("scutum:worker:heartbeat", msgspec.json.encode(now), ex=60)


async def health(http: httpx.AsyncClient) -> tuple[int, dict]:
    await asyncio.sleep(FRESH_S)
    answer = await http.get("/health", headers={"authorization": ""})
    return answer.status_code, answer.json()


async def test_health_tells_each_part(admin: Admin, redis_settings: RedisSettings) -> None:
    status, body = await health(admin.http)
    assert (status, body["status"]) == (200, "degraded")
    assert body["checks"] == {
        "database": "ok", "redis": "ok", "worker": "no heartbeat", "traces": "unknown", "spend_rejects": "ok",
        "jobs": "ok", "partitions": "ok", "archives": "ok", "audit": "ok",
    }  # fmt: skip
    assert body["schema"]["current"] == body["schema"]["expected"]
    beat(redis_settings)
    status, body = await health(admin.http)
    assert (status, body["status"], body["checks"]["worker"]) == (200, "ok", "ok")
    beat(redis_settings, "database")
    status, body = await health(admin.http)
    assert (status, body["status"], body["checks"]["worker"]) == (200, "degraded", "waiting for database")


async def test_health_tells_that_traces_do_not_arrive(admin: Admin, redis_settings: RedisSettings) -> None:
    beat(redis_settings, traces=TraceState(exported=3))
    assert (await health(admin.http))[1]["status"] == "ok"
    beat(redis_settings, traces=TraceState(failing="it answers 503"))
    status, body = await health(admin.http)
    assert (status, body["status"], body["checks"]["traces"]) == (200, "degraded", "it answers 503")


async def test_health_tells_of_usage_records_that_were_rejected(admin: Admin, redis_settings: RedisSettings) -> None:
    beat(redis_settings)
    insert = (
        "INSERT INTO spend_rejects (at, reason, record) VALUES (now() - %s * interval '1 hour', 'r', 'x') RETURNING 1"
    )
    admin.sql(insert, 25)
    assert (await health(admin.http))[1]["status"] == "ok"
    admin.sql(insert, 23)
    status, body = await health(admin.http)
    assert (status, body["status"], body["checks"]["spend_rejects"]) == (200, "degraded", "1 in 24 h")


async def test_a_dead_valkey_is_degraded_and_hinders_nothing(database: DatabaseSettings) -> None:
    runtime = make_runtime(admin_settings(database, RedisSettings("127.0.0.1", 1, 0, "p" * 20)))
    app = create_app(runtime)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://admin") as http,
    ):
        await asyncio.wait_for(runtime.ready.wait(), 20)
        status, body = await health(http)
        assert (status, body["status"], body["checks"]["redis"]) == (200, "degraded", "unavailable")
        assert (await http.post(f"{API}/auth/login", json={"master_key": MASTER_KEY})).status_code == 200


async def test_it_starts_before_its_schema_and_serves_once_that_is_there(
    postgres: Postgres, redis_settings: RedisSettings
) -> None:
    name = postgres.clone()
    with psycopg.connect(**postgres.superuser(name).conninfo(), autocommit=True) as conn:
        conn.execute("UPDATE alembic_version SET version_num = 'older'")
    runtime = make_runtime(admin_settings(postgres.app(name), redis_settings))
    app = create_app(runtime)
    try:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://admin") as http,
        ):
            login = lambda: http.post(f"{API}/auth/login", json={"master_key": MASTER_KEY})  # noqa: E731

            async def mismatch() -> bool:
                return (await login()).json().get("code") == "schema_mismatch"

            await until(mismatch, what="the schema to be found wrong")
            answer = await login()
            assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
            status, body = await health(http)
            assert (status, body["status"], body["checks"]["database"]) == (503, "degraded", "schema_mismatch")
            assert body["schema"] == {"current": "older", "expected": runtime.expected_schema}
            with psycopg.connect(**postgres.superuser(name).conninfo(), autocommit=True) as conn:
                assert conn.execute("SELECT count(*) FROM orgs").fetchone() == (0,), "nothing is made before"
                conn.execute("UPDATE alembic_version SET version_num = %s", (runtime.expected_schema,))
            await asyncio.wait_for(runtime.ready.wait(), 20)
            assert (await login()).status_code == 200
    finally:
        postgres.drop(name)


async def test_without_a_database_it_says_so_and_recovers_when_it_comes(
    postgres: Postgres, database: DatabaseSettings, redis_settings: RedisSettings
) -> None:
    """The database is renamed away and back: connections to it fail as they do when Postgres is down."""
    away = database.dbname + "_away"

    def rename(old: str, new: str) -> None:
        with psycopg.connect(**postgres.superuser().conninfo(), autocommit=True) as conn:
            conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (old,))
            conn.execute(f'ALTER DATABASE "{old}" RENAME TO "{new}"')

    rename(database.dbname, away)
    runtime = make_runtime(admin_settings(database, redis_settings))
    app = create_app(runtime)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://admin", timeout=30) as http,
    ):
        login = lambda: http.post(f"{API}/auth/login", json={"master_key": MASTER_KEY})  # noqa: E731
        status, body = await health(http)
        assert (status, body["checks"]["database"]) == (503, "unavailable")
        assert (await login()).status_code == 503
        rename(away, database.dbname)
        await asyncio.wait_for(runtime.ready.wait(), 30)
        session = await login()
        assert session.status_code == 200
        headers = {"authorization": f"Bearer {session.json()['access_token']}"}
        assert (await http.get(f"{API}/teams", headers=headers)).status_code == 200
        rename(database.dbname, away)
        answer = await http.get(f"{API}/teams", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert (await health(http))[0] == 503
        rename(away, database.dbname)

        async def again() -> bool:
            return (await http.get(f"{API}/teams", headers=headers)).status_code == 200

        await until(again, what="the pool to find the database again")


async def test_many_processes_make_the_first_objects_once(
    database: DatabaseSettings, redis_settings: RedisSettings
) -> None:
    runtimes = [make_runtime(admin_settings(database, redis_settings)) for _ in range(5)]
    for runtime in runtimes:
        await runtime.pool.open()
    await asyncio.gather(*(runtime.prepare() for runtime in runtimes))
    for runtime in runtimes:
        await runtime.pool.close()
        await runtime.vitals.close()
    with psycopg.connect(**database.conninfo()) as conn:
        assert conn.execute("SELECT count(*) FROM providers").fetchone() == (1,)
        assert conn.execute("SELECT count(*) FROM audit_logs WHERE actor_id = 'system'").fetchone() == (11,)


async def test_what_the_operator_deleted_stays_deleted(
    admin: Admin, database: DatabaseSettings, redis_settings: RedisSettings
) -> None:
    await admin.call("DELETE", "/providers/sim?cascade=true")
    await admin.call("DELETE", "/aliases/fast")
    again = make_runtime(admin_settings(database, redis_settings))
    await again.pool.open()
    await again.prepare()
    await again.pool.close()
    await again.vitals.close()
    assert (await admin.get("/providers"))["items"] == []
    assert len((await admin.get("/aliases"))["items"]) == 5


PROBLEMS = [
    ("GET", "/", 404, "route_not_found"),
    ("GET", f"{API}/nope", 404, "route_not_found"),
    ("GET", f"{API}/teams/", 404, "team_not_found"),
    ("GET", f"{API}//teams", 404, "route_not_found"),
    ("GET", "/docs", 404, "route_not_found"),
    ("GET", "/openapi.json", 404, "route_not_found"),
    ("DELETE", f"{API}/orgs", 405, "method_not_allowed"),
    ("POST", "/health", 405, "method_not_allowed"),
    ("GET", f"{API}/teams/a%00b", 400, "invalid_address"),
    ("GET", f"{API}/keys?team=a%00b", 400, "invalid_address"),
    ("GET", f"{API}/teams/{'x' * 3000}", 400, "invalid_address"),
    ("GET", f"{API}/teams/%ff%fe", 404, "team_not_found"),
    ("GET", f"{API}/keys?limit=many", 422, "invalid_request"),
]


async def test_every_error_is_a_problem_with_an_id(admin: Admin) -> None:
    for method, path, status, code in PROBLEMS:
        answer = await admin.http.request(method, path)
        assert answer.status_code == status, (path[:80], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert body["code"] == code and body["request_id"] == answer.headers["x-request-id"]
        assert set(body) - {"errors"} == {"type", "title", "status", "detail", "code", "hint", "request_id"}


async def test_a_client_cannot_choose_the_request_s_id(admin: Admin) -> None:
    answer = await admin.http.get("/health", headers={"x-request-id": "mine"})
    assert len(answer.headers["x-request-id"]) == 36
    other = await admin.http.get("/health")
    assert other.headers["x-request-id"] != answer.headers["x-request-id"]


async def test_a_body_over_one_megabyte_is_refused_announced_or_not(admin: Admin) -> None:
    huge = {"name": "x", "metadata": {"a": "y" * 1024 * 1024}}
    await admin.fails("POST", "/keys", 413, "request_too_large", json=huge)

    async def chunks():
        for _ in range(20):
            yield b" " * 100_000

    await admin.fails("POST", "/keys", 413, "request_too_large", content=chunks())
    largest = json.dumps({"name": "x"}).encode().ljust(1024 * 1024)
    answer = await admin.call("POST", "/teams", content=largest, headers={"content-type": "application/json"})
    assert answer.status_code == 201


async def test_an_unexpected_error_is_logged_with_its_id_and_told_without_details(
    admin: Admin, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(**postgres.superuser(admin.database.dbname).conninfo(), autocommit=True) as conn:
        conn.execute("ALTER TABLE teams RENAME TO hidden")
    with caplog.at_level(logging.ERROR):
        problem = await admin.fails("GET", "/teams", 500, "internal_error")
    assert "UndefinedTable" not in json.dumps(problem) and "teams" not in problem["detail"]
    (record,) = [record for record in caplog.records if record.name.startswith("scutum")]
    assert record.request_id == problem["request_id"] and record.exc_info is not None


async def test_the_document_is_the_same_with_and_without_a_server(admin: Admin, capsys: pytest.CaptureFixture) -> None:
    from scutum_server.admin import openapi

    openapi.main()
    printed = capsys.readouterr().out
    answer = await admin.call("GET", "/openapi.json")
    assert answer.text == printed
    document = json.loads(printed)
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids)) and all(name.replace("_", "").islower() for name in ids)
    assert "HTTPValidationError" not in printed
    assert json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n" == printed
