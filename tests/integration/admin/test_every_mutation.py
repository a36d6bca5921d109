"""Every route that changes something, done once: one row each, that says who, how and what, and holds no secret."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from tests.fixtures.servers import Postgres
from tests.integration.admin.conftest import API, Admin

QUIET = {"refresh_session", "test_provider"}
"""They change nothing that an administrator has set."""
SECRETS = {
    "a vendor's key": "sk-proj-Planted0123456789abcdefPlanted", "its next key": "sk-proj-Planted9876543210fedcbaPlanted",
    "a second key": "sk-ant-api03-PlantedSecond0123456789", "a proxy's password": "Pl4nted-pr0xy-pass",
    "a user's password": "Planted-user-pass-123", "a user's next password": "Planted-user-pass-456",
    "a bearer token in a note": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl",
    "an AWS key in a note": "AKIAPLANTED012345678", "a GitHub token in a name": "ghp_Planted0123456789abcdefghijkl",
    "a Slack token": "xoxb-planted-0123456789", "a Google key": "AIzaPlanted0123456789abcdefghijklmnopq",
    "a value by its field's name": "PlantedByName-plain", "a URL's password": "Pl4ntedInUrl",
    "a private key": "-----BEGIN PRIVATE KEY-----\nMIIPlantedPlanted\n-----END PRIVATE KEY-----",
}  # fmt: skip
PLANTED = {
    "note": SECRETS["a bearer token in a note"], "aws": SECRETS["an AWS key in a note"], "slack": SECRETS["a Slack token"],
    "google": SECRETS["a Google key"], "client_secret": SECRETS["a value by its field's name"],
    "webhook": "https://bot:Pl4ntedInUrl@example.com/hook",
    "pem": SECRETS["a private key"],
}  # fmt: skip


@dataclass
class Walk:
    """Does one thing after the other and keeps what its rows are."""

    admin: Admin
    done: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))

    async def __call__(
        self, route: str, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Any:
        answer: httpx.Response = await self.admin.call(
            method, path, json=body, headers={"x-scutum-source": "tui", **(headers or {})}
        )
        assert answer.status_code < 300, (route, answer.text)
        rows = self.admin.sql("SELECT * FROM audit_logs WHERE request_id = %s ORDER BY timestamp", answer.headers["x-request-id"])
        self.done.setdefault(route, []).extend(rows)
        if route not in QUIET:
            own = [row for row in rows if not (row["action"] == "alias.update" and route.endswith("_model"))]
            assert len(own) == 1, (route, [row["action"] for row in rows])
            (row,) = own
            assert (row["outcome"], row["source"], row["ip"].compressed) == ("success", "tui", "127.0.0.1"), route
            assert set(row["diff"]) == {"before", "after"}, route
        else:
            assert rows == [], route
        return answer.json() if answer.content else None


async def whole_walk(walk: Walk) -> None:
    await accounts(walk)
    await tenancy(walk)
    await gateway(walk)
    await money(walk)
    await proof(walk)


async def accounts(walk: Walk) -> None:
    password, following = SECRETS["a user's password"], SECRETS["a user's next password"]
    user = await walk("create_user", "POST", "/users", {"email": "ann@example.com", "role": "operator", "password": password})
    await walk("update_user", "PATCH", f"/users/{user['id']}", {"name": "Ann", "role": "admin"})
    session = await walk("login", "POST", "/auth/login", {"email": "ann@example.com", "password": password})
    walk.secrets |= {"an access token": session["access_token"], "a refresh token": session["refresh_token"]}
    mine = {"authorization": f"Bearer {session['access_token']}"}
    body = {"current_password": password, "new_password": following}
    await walk("change_password", "PUT", "/auth/password", body, headers=mine)
    again = await walk("login", "POST", "/auth/login", {"email": "ann@example.com", "password": following})
    fresh = await walk("refresh_session", "POST", "/auth/refresh", {"refresh_token": again["refresh_token"]})
    walk.secrets["the next refresh token"] = fresh["refresh_token"]
    await walk("logout", "POST", "/auth/logout", headers={"authorization": f"Bearer {fresh['access_token']}"})
    await walk("sign_out_user", "POST", f"/users/{user['id']}/sign-out")
    await walk("delete_user", "DELETE", f"/users/{user['id']}")
    made = await walk("create_service_account", "POST", "/service-accounts", {"name": "ci", "role": "viewer"})
    rotated = await walk("rotate_service_account", "POST", "/service-accounts/ci/rotate")
    walk.secrets |= {"a service token": made["token"], "the next service token": rotated["token"]}
    await walk("update_service_account", "PATCH", "/service-accounts/ci", {"name": "cd"})
    await walk("revoke_service_account", "POST", "/service-accounts/cd/revoke")
    await walk("delete_service_account", "DELETE", "/service-accounts/cd")


async def tenancy(walk: Walk) -> None:
    await walk("create_org", "POST", "/orgs", {"name": "acme"})
    await walk("update_org", "PATCH", "/orgs/acme", {"time_zone": "Europe/Berlin"})
    await walk("create_unit", "POST", "/units", {"name": "sales", "org": "acme"})
    await walk("update_unit", "PATCH", "/units/sales", {"name": "selling"})
    await walk("create_team", "POST", "/teams", {"name": "apps", "org": "acme", "unit": "selling"})
    await walk("update_team", "PATCH", "/teams/apps", {"name": "apps2"})
    key = await walk("create_key", "POST", "/keys", {"name": "k1", "team": "apps2", "metadata": PLANTED, "owner": "ops"})
    rotated = await walk("rotate_key", "POST", "/keys/k1/rotate", {"overlap_seconds": 60})
    walk.secrets |= {"a client key": key["key"], "the next client key": rotated["key"]}
    await walk("update_key", "PATCH", "/keys/k1", {"metadata": {**PLANTED, "more": [PLANTED]}})
    await walk("revoke_key", "POST", "/keys/k1/revoke")
    await walk("delete_key", "DELETE", "/keys/k1")


async def gateway(walk: Walk) -> None:
    base = "http://127.0.0.1:9/v1"
    settings = {"proxy": "http://gw@127.0.0.1:9", "proxy_password": SECRETS["a proxy's password"]}
    await walk("create_provider", "POST", "/providers", {"name": "p", "kind": "openai", "base_url": base, "api_key": SECRETS["a vendor's key"], "settings": settings})
    await walk("update_provider", "PATCH", "/providers/p", {"api_key": SECRETS["its next key"]})
    await walk("add_provider_key", "POST", "/providers/p/keys", {"api_key": SECRETS["a second key"]})
    keys = (await walk.admin.get("/providers/p/keys"))["items"]
    await walk("remove_provider_key", "DELETE", f"/providers/p/keys/{keys[-1]['id']}")
    await walk("test_provider", "POST", "/providers/p/test")
    await walk("create_model", "POST", "/models", {"name": "m", "provider": "p"})
    await walk("update_model", "PATCH", "/models/m", {"kind": "chat"})
    await walk("put_alias", "PUT", "/aliases/mine", {"targets": ["m"]})
    await walk("put_alias", "PUT", "/aliases/mine", {"targets": ["sim"]})
    await walk("delete_alias", "DELETE", "/aliases/mine")
    await walk("delete_model", "DELETE", "/models/m")
    await walk("delete_provider", "DELETE", "/providers/p")
    await walk("put_setting", "PUT", "/settings/keys.default_ttl_days", {"value": 9})
    await walk("reset_setting", "DELETE", "/settings/keys.default_ttl_days")


async def money(walk: Walk) -> None:
    limit = await walk("create_limit", "POST", "/limits", {"scope": "team", "team": "apps2", "rpm": 5})
    await walk("update_limit", "PATCH", f"/limits/{limit['id']}", {"rpm": 6})
    await walk("delete_limit", "DELETE", f"/limits/{limit['id']}")
    budget = await walk("create_budget", "POST", "/budgets", {"scope": "team", "team": "apps2", "period": "day", "amount_usd": "5"})
    await walk("update_budget", "PATCH", f"/budgets/{budget['id']}", {"amount_usd": "6"})
    await walk("delete_budget", "DELETE", f"/budgets/{budget['id']}")


async def proof(walk: Walk) -> None:
    await walk("verify_audit_logs", "POST", "/audit-logs/verify", {"from": "1h"})
    await walk("make_audit_checkpoints", "POST", "/audit-logs/checkpoints")
    await walk("rotate_audit_key", "POST", "/audit-logs/keys/rotate")


ELSEWHERE = {
    "activate_license": "tests/integration/admin/test_licences.py", "delete_team": "test_audit.py: its keys have rows, too",
    "delete_unit": "below", "delete_org": "below", "diff_config": "reads only",
    "apply_config": "the tests of declarative config: a row for each object", "forget_config": "there, too",
    "confirm_archive_retention": "tests/integration/archives", "run_archives": "there, too",
    **dict.fromkeys(("put_sso", "delete_sso", "start_sso", "finish_sso", "start_device_login", "finish_device_login"), "test_sso.py"),
    "probe_archive_store": "reads only", "verify_archive": "reads only",
}  # fmt: skip


def mutations(admin: Admin) -> set[str]:
    """The names of all routes that are not for reading."""
    return {
        str(context.name)
        for context in iter_route_contexts(admin.app.routes)
        if isinstance(context.original_route, APIRoute) and not context.methods <= {"GET", "HEAD", "OPTIONS"}
    }


async def test_every_route_that_changes_something_leaves_one_row(admin: Admin) -> None:
    walk = Walk(admin)
    await whole_walk(walk)
    await admin.call("POST", "/units", json={"name": "empty", "org": "acme"})
    await walk("delete_unit", "DELETE", "/units/empty")
    await admin.call("POST", "/orgs", json={"name": "hollow"})
    await walk("delete_org", "DELETE", "/orgs/hollow")
    missing = mutations(admin) - set(walk.done) - set(ELSEWHERE)
    assert not missing, f"add these routes to the walk: {sorted(missing)}"


async def test_no_row_holds_a_secret(admin: Admin, postgres: Postgres) -> None:
    """Of no kind, in no column, and neither does anything else that the database keeps of the audit."""
    walk = Walk(admin)
    await whole_walk(walk)
    kept = []
    with psycopg.connect(**postgres.superuser(admin.database.dbname).conninfo()) as conn:
        for table in ("audit_logs", "audit_tasks", "audit_heads", "events_outbox"):
            kept += [row[0] for row in conn.execute(f"SELECT to_jsonb(t)::text FROM {table} t").fetchall()]
    assert len(kept) > 60
    text = "\n".join(kept)
    for what, secret in walk.secrets.items():
        for part in (secret, json.dumps(secret)[1:-1], secret.encode().hex()):
            assert part not in text, what
    created = admin.audit("key.create")[-1]["diff"]["after"]
    assert created["name"] == "k1" and created["owner"] == "ops", "what is no secret is there"
    updated = admin.audit("provider.update")[-1]["diff"]
    assert updated["before"] != updated["after"] or updated["after"], "that a secret was changed shows"


async def test_what_was_not_allowed_is_there_too(admin: Admin) -> None:
    viewer = await admin.session("viewer")
    refused = await admin.call("POST", "/teams", json={"name": "mine"}, headers=viewer)
    (row,) = admin.sql("SELECT * FROM audit_logs WHERE request_id = %s", refused.headers["x-request-id"])
    assert (refused.status_code, row["outcome"]) == (403, "denied")
    wrong = await admin.http.post(f"{API}/auth/login", json={"master_key": "sk-scutum-wrong-" + "x" * 32})
    (row,) = admin.sql("SELECT * FROM audit_logs WHERE request_id = %s", wrong.headers["x-request-id"])
    assert (wrong.status_code, row["outcome"], row["actor_id"]) == (401, "denied", "anonymous")
    assert "sk-scutum-wrong" not in str(row)


@pytest.mark.parametrize("body", [{"name": ""}, {"name": "x", "nonsense": 1}, {}])
async def test_what_changed_nothing_leaves_no_row(admin: Admin, body: dict[str, Any]) -> None:
    before = len(admin.sql("SELECT 1 FROM audit_logs"))
    assert (await admin.call("POST", "/teams", json=body)).status_code in {400, 422}
    assert (await admin.call("POST", "/teams?dry_run=true", json={"name": "dry"})).status_code < 300
    assert len(admin.sql("SELECT 1 FROM audit_logs")) == before


def test_the_service_s_role_has_no_way_to_rewrite_its_record(postgres: Postgres, database: Any) -> None:
    """Neither in the table nor in a partition, nor by what hangs on it."""
    statements = [
        "UPDATE {} SET action = 'x'", "DELETE FROM {}", "TRUNCATE {}", "ALTER TABLE {} DISABLE TRIGGER ALL",
        "ALTER TABLE {} ADD COLUMN x int", "DROP TABLE {}", "CREATE RULE r AS ON INSERT TO {} DO INSTEAD NOTHING",
        "CREATE TRIGGER t BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "INSERT INTO {} SELECT * FROM {}", "ALTER TABLE {} OWNER TO scutum_app",
        "ALTER TABLE audit_logs DETACH PARTITION {}", "COPY {} FROM STDIN",
    ]  # fmt: skip
    with psycopg.connect(**database.conninfo(), autocommit=True) as conn:
        conn.execute(
            "SELECT audit_append('aud_0', 'o', 'a', 'user', NULL, NULL, 'x', 'y', 'z', '{}', NULL, 'success', 'api')"
        )
        (partition,) = conn.execute("SELECT tableoid::regclass::text FROM audit_logs").fetchone()
        for table in ("audit_logs", partition):
            for statement in statements:
                with pytest.raises(psycopg.Error) as refused:
                    conn.execute(statement.format(table, table))
                allowed = (psycopg.errors.InsufficientPrivilege, psycopg.errors.WrongObjectType, psycopg.errors.UndefinedTable)
                assert isinstance(refused.value, allowed), (statement, table, refused.value)
        for statement in (
            "SET session_replication_role = replica", "SET ROLE scutum_owner", "CREATE OR REPLACE FUNCTION audit_append() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "DROP FUNCTION audit_append", "DROP FUNCTION audit_append_all", "UPDATE audit_heads SET seq = 0", "DELETE FROM audit_heads",
            "SELECT archive_drop('x')",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement)
        # Refused with a warning only.
        conn.execute("GRANT UPDATE, DELETE, TRUNCATE, TRIGGER ON audit_logs TO scutum_app")
        may = "SELECT has_table_privilege('scutum_app', 'audit_logs', 'UPDATE, DELETE, TRUNCATE, TRIGGER, INSERT')"
        assert conn.execute(may).fetchone() == (False,)
        assert conn.execute("SELECT count(*) FROM audit_logs").fetchone() == (1,)
