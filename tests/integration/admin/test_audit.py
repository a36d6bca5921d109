"""One audit row per act, in the act's own transaction, and never a secret in it or anywhere else."""

from __future__ import annotations

import asyncio
import hashlib
import logging

import psycopg
import pytest

from tests.fixtures.servers import Postgres
from scutum_server.gateway.classes import ALIASES
from tests.integration.admin.conftest import API, MASTER_KEY, Admin

PROVIDER_KEY = "sk-proj-never-to-be-seen-again-0123456789"


async def everything(admin: Admin) -> dict[str, str]:
    """Does every mutation once; returns the plaintext secrets that went through."""
    await admin.make("/teams", name="search")
    first = await admin.make("/keys", name="ci", team="search", metadata={"note": "x"})
    second = await admin.make("/keys/ci/rotate", 200, overlap_seconds=60)
    await admin.call("PATCH", "/keys/ci", json={"owner": "ops"})
    await admin.call("POST", "/keys/ci/revoke")
    await admin.call("DELETE", "/teams/search")
    await admin.make("/providers", name="p", kind="openai", base_url="http://127.0.0.1:9/v1", api_key=PROVIDER_KEY)
    await admin.call("PATCH", "/providers/p", json={"api_key": PROVIDER_KEY + "2"})
    await admin.make("/models", name="m", provider="p")
    await admin.call("PATCH", "/models/m", json={"kind": "chat"})
    await admin.call("PUT", "/aliases/a", json={"targets": ["m"]})
    await admin.call("PUT", "/aliases/a", json={"targets": ["sim"]})
    await admin.call("DELETE", "/aliases/a")
    await admin.call("DELETE", "/models/m")
    await admin.call("POST", "/providers/p/test")
    await admin.call("DELETE", "/providers/p")
    await admin.call("PUT", "/settings/keys.default_ttl_days", json={"value": 9})
    return {"first": first["key"], "second": second["key"], "provider": PROVIDER_KEY, "master": MASTER_KEY}


ACTIONS = [
    "team.create", "key.create", "key.rotate", "key.update", "key.revoke", "key.delete", "team.delete",
    "provider.create", "provider.update", "model.create", "model.update", "alias.create", "alias.update",
    "alias.delete", "model.delete", "provider.delete", "setting.update",
]  # fmt: skip


async def test_every_mutation_leaves_one_row_that_says_who_and_how(admin: Admin) -> None:
    admin.http.headers["x-scutum-source"] = "cli"
    await everything(admin)
    rows = admin.sql("SELECT * FROM audit_logs WHERE source = 'cli' ORDER BY timestamp")
    followed = [row for row in rows if row["action"] == "alias.update" and row["resource_id"] in ALIASES]
    assert len(followed) == 2 * len(ALIASES), "those that lead to what there is, as a model came and went"
    assert [row["action"] for row in rows if row not in followed] == ACTIONS
    assert {(row["actor_id"], row["actor_kind"], row["outcome"]) for row in rows} == {("master", "admin", "success")}
    assert {row["ip"].compressed for row in rows} == {"127.0.0.1"}
    assert all(row["request_id"] for row in rows)
    types = [row["type"] for row in admin.sql("SELECT type FROM events_outbox ORDER BY id")]
    assert types[-6:] == [
        "team.create" + "d",
        "key.created",
        "key.rotated",
        "key.revoked",
        "provider.created",
        "provider.deleted",
    ]


async def test_a_source_that_is_made_up_is_the_api(admin: Admin) -> None:
    await admin.call("POST", "/teams", json={"name": "x"}, headers={"x-scutum-source": "system"})
    assert admin.audit("team.create")[-1]["source"] == "api"


async def test_no_secret_is_in_the_database_the_answers_or_the_logs(
    admin: Admin, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = await everything(admin)
    kept = {"name": "kept", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": PROVIDER_KEY}
    await admin.make("/providers", **kept)
    await admin.get("/providers/kept")
    live = await admin.make("/keys", name="live")
    secrets["live"] = live["key"]
    shown = {name: sum(secret in answer for answer in admin.answers) for name, secret in secrets.items()}
    assert shown == {"first": 1, "second": 1, "provider": 0, "master": 0, "live": 1}
    stored = []
    with psycopg.connect(**postgres.superuser(admin.database.dbname).conninfo()) as conn:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            stored += [
                str(row) for row in conn.execute(f'SELECT to_jsonb(t)::text, t::text FROM "{table}" t').fetchall()
            ]
    assert len(stored) > 50
    for name, secret in secrets.items():
        assert not [row for row in stored if secret in row or secret.encode().hex() in row], name
        assert secret not in caplog.text, name


async def test_the_change_and_its_row_stand_or_fall_together(admin: Admin, postgres: Postgres) -> None:
    """The audit function refuses: then nothing of the change may be there, for each way of changing something."""
    await admin.make("/keys", name="ci")
    await admin.make("/providers", name="p", kind="openai", base_url="http://127.0.0.1:9/v1")
    counted = (
        "teams",
        "api_keys",
        "providers",
        "deployments",
        "aliases",
        "settings",
        "config_changes",
        "events_outbox",
    )
    tables = {table: admin.sql(f"SELECT * FROM {table} ORDER BY 1") for table in counted}
    with psycopg.connect(**postgres.superuser(admin.database.dbname).conninfo(), autocommit=True) as conn:
        conn.execute("REVOKE EXECUTE ON FUNCTION audit_append, audit_append_all FROM scutum_app")
    attempts = [
        ("POST", "/teams", {"name": "x"}), ("POST", "/keys", {"name": "x"}), ("PATCH", "/keys/ci", {"owner": "o"}),
        ("POST", "/keys/ci/rotate", {}), ("POST", "/keys/ci/revoke", None), ("DELETE", "/providers/p", None),
        ("PATCH", "/providers/p", {"api_key": "y" * 20}), ("POST", "/models", {"name": "x", "provider": "p"}),
        ("PUT", "/aliases/x", {"targets": ["sim"]}), ("DELETE", "/aliases/fast", None), ("DELETE", "/models/sim", None),
        ("PUT", "/settings/keys.default_ttl_days", {"value": 3}), ("DELETE", "/providers/sim?cascade=true", None),
    ]  # fmt: skip
    for method, path, body in attempts:
        problem = await admin.fails(method, path, 500, "internal_error", json=body)
        assert "audit_append" not in str(problem)
    for table, rows in tables.items():
        assert admin.sql(f"SELECT * FROM {table} ORDER BY 1") == rows, table


async def test_the_trail_is_paged_newest_first(admin: Admin) -> None:
    for number in range(5):
        await admin.make("/teams", name=f"t{number}")
    whole = [
        (row["timestamp"], row["id"]) for row in admin.sql("SELECT * FROM audit_logs ORDER BY timestamp DESC, id DESC")
    ]
    seen, cursor = [], {}
    while True:
        page = await admin.get("/audit-logs", limit=4, **cursor)
        seen += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == [row_id for _, row_id in whole]
    newest = (await admin.get("/audit-logs", limit=1))["items"][0]
    assert (newest["action"], newest["diff"]["after"]["name"]) == ("team.create", "t4")
    assert newest["timestamp"].endswith("Z")
    await admin.fails("GET", "/audit-logs?cursor=WyJhdWRpdCIsIngiLCJ5Il0", 400, "invalid_cursor")


async def test_the_chain_holds_under_concurrent_changes(admin: Admin) -> None:
    await asyncio.gather(*(admin.make("/teams", name=f"t{number}") for number in range(20)))
    for org in admin.sql("SELECT DISTINCT org_id FROM audit_logs"):
        previous = b""
        rows = admin.sql("SELECT * FROM audit_logs WHERE org_id = %s ORDER BY timestamp", org["org_id"])
        for number, row in enumerate(rows):
            assert (row["seq"], row["prev_hash"]) == (number + 1, previous)
            previous = hashlib.sha256(previous + row["canonical"].encode()).digest()
            assert row["hash"] == previous


async def test_health_tells_of_a_trail_that_is_not_proven(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scutum_server.admin.health.FRESH_S", 0.0)

    async def said() -> str:
        return (await admin.http.get("/health")).json()["checks"]["audit"]

    assert await said() == "ok"
    admin.sql("INSERT INTO audit_shipments (target, through, error, failing_since) VALUES ('s3://x', 0, 'no', now() - interval '1 hour')")
    assert await said() == "checkpoints are not shipped"
    admin.sql("UPDATE audit_shipments SET failing_since = NULL")
    for state in ("false", "true"):
        admin.sql(
            "INSERT INTO audit_tasks (id, kind, state, result, finished_at) "
            "VALUES (%s, 'verify', 'done', jsonb_build_object('intact', %s::boolean), clock_timestamp())", f"aut_{state}", state,
        )  # fmt: skip
        assert await said() == {"false": "tampered with", "true": "ok"}[state]
