"""Users and service accounts: who may make and change whom."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from tests.integration.admin.conftest import API, MASTER_KEY, Admin

PASSWORD = "correct horse battery staple"


@pytest.fixture
async def acme(admin: Admin) -> str:
    """The id of a second org."""
    admin.sql("INSERT INTO orgs (id, name) VALUES ('org_00000000000000ac', 'acme')")
    return "org_00000000000000ac"


async def user(admin: Admin, email: str, role: str, org: str | None = None, **more) -> dict:
    return await admin.make("/users", email=email, role=role, password=PASSWORD, org=org, **more)


async def as_user(admin: Admin, email: str) -> dict[str, str]:
    answer = await admin.http.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def test_a_user_is_made_changed_and_deleted_and_the_trail_knows(admin: Admin, acme: str) -> None:
    made = await user(admin, "ada@example.com", "operator", "acme", name="Ada Łowicz")
    assert (made["org"], made["role"], made["state"], made["has_password"], made["sso"]) == (
        "acme", "operator", "active", True, False
    )  # fmt: skip
    assert "password_hash" not in made and "hash" not in str(made)
    for ref in (made["id"], "ada@example.com", "ADA@example.com", made["id"][-6:]):
        assert (await admin.get(f"/users/{ref}"))["id"] == made["id"]
    changed = (await admin.call("PATCH", "/users/ada@example.com", json={"role": "admin", "org": None})).json()
    assert (changed["role"], changed["org"], changed["name"]) == ("admin", None, "Ada Łowicz")
    listed = await admin.get("/users", role="admin")
    assert [item["email"] for item in listed["items"]] == ["ada@example.com"]
    assert (await admin.get("/users", org="acme"))["items"] == []
    assert (await admin.call("DELETE", f"/users/{made['id']}")).status_code == 204
    await admin.fails("GET", f"/users/{made['id']}", 404, "user_not_found")
    (created,), (updated,), (deleted,) = (admin.audit(f"user.{verb}") for verb in ("create", "update", "delete"))
    assert (created["org_id"], created["diff"]["after"]["email"]) == (acme, "ada@example.com")
    assert updated["diff"] == {
        "before": {"role": "operator", "org": "acme", "org_id": acme},
        "after": {"role": "admin", "org": None, "org_id": None},
    }
    assert deleted["diff"]["before"]["role"] == "admin"
    assert PASSWORD not in str(admin.sql("SELECT * FROM audit_logs")) and "argon2" not in " ".join(admin.answers)


async def test_bad_users_are_refused_with_the_field(admin: Admin) -> None:
    good = {"email": "ada@example.com", "role": "viewer", "password": PASSWORD}
    for field, value, status, code in (
        ("email", "ada", 400, "invalid_field"),
        ("email", "ada@exa mple.com", 400, "invalid_field"),
        ("email", "аda@example.com", 400, "invalid_field"),  # a Cyrillic а
        ("email", "ada@example.com\n", 400, "invalid_field"),
        ("email", "a'; DROP TABLE users;--@x.com", 400, "invalid_field"),
        ("role", "root", 422, "invalid_request"),
        ("role", None, 422, "invalid_request"),
        ("org", "nowhere", 404, "org_not_found"),
        ("name", "a\u202eb", 400, "invalid_field"),
        ("password", "short", 400, "invalid_field"),
        ("password", "ada@example.com", 400, "invalid_field"),
        ("password", "x" * 300, 400, "invalid_field"),
        ("admin", True, 422, "invalid_request"),
    ):
        problem = await admin.fails("POST", "/users", status, code, json=good | {field: value})
        assert problem["errors"][0]["field"] == field
    await admin.make("/users", **good)
    await admin.fails("POST", "/users", 409, "name_taken", json=good | {"email": "ADA@EXAMPLE.COM"})
    await admin.fails("PATCH", "/users/ada@example.com", 422, "invalid_request", json={"email": "b@example.com"})
    await admin.fails("GET", "/users/..%2Forgs", 404, "route_not_found")


async def test_of_many_that_take_one_address_at_once_one_wins(admin: Admin) -> None:
    body = {"email": "ada@example.com", "role": "viewer"}
    answers = await asyncio.gather(*(admin.call("POST", "/users", json=body) for _ in range(20)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(201) == 1 and statuses.count(409) == 19
    body = {"name": "ci", "role": "viewer"}
    answers = await asyncio.gather(*(admin.call("POST", "/service-accounts", json=body) for _ in range(20)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(201) == 1 and statuses.count(409) == 19


async def test_nobody_gives_or_touches_a_role_above_their_own(admin: Admin) -> None:
    owner = await user(admin, "owner@example.com", "owner")
    await user(admin, "admin@example.com", "admin")
    other = await user(admin, "other@example.com", "admin")
    headers = await as_user(admin, "admin@example.com")
    body = {"email": "new@example.com", "role": "owner"}
    await admin.fails("POST", "/users", 403, "role_too_high", json=body, headers=headers)
    for change in ({"role": "owner"},):
        await admin.fails("PATCH", "/users/admin@example.com", 403, "role_too_high", json=change, headers=headers)
    for change in ({"role": "viewer"}, {"disabled": True}, {"password": "a taken over account"}, {"name": "x"}):
        await admin.fails("PATCH", f"/users/{owner['id']}", 403, "role_too_high", json=change, headers=headers)
    await admin.fails("DELETE", f"/users/{owner['id']}", 403, "role_too_high", headers=headers)
    await admin.fails("POST", f"/users/{owner['id']}/sign-out", 403, "role_too_high", headers=headers)
    robot = {"name": "robot", "role": "owner"}
    await admin.fails("POST", "/service-accounts", 403, "role_too_high", json=robot, headers=headers)
    made = await admin.make("/service-accounts", **robot)
    await admin.fails("POST", f"/service-accounts/{made['id']}/rotate", 403, "role_too_high", headers=headers)
    await admin.fails("DELETE", f"/service-accounts/{made['id']}", 403, "role_too_high", headers=headers)
    assert (await admin.call("DELETE", f"/users/{other['id']}", headers=headers)).status_code == 204
    assert len(admin.audit("auth.forbid")) == 11, "each attempt is on the trail"


async def test_an_admin_of_one_org_sees_and_makes_only_its_people(admin: Admin, acme: str) -> None:
    everywhere = await user(admin, "root@example.com", "owner")
    foreign = await user(admin, "ada@default.example", "viewer", "default")
    robot = await admin.make("/service-accounts", name="ci", role="viewer", org="default")
    await user(admin, "admin@acme.example", "admin", "acme")
    headers = await as_user(admin, "admin@acme.example")

    def ask(method: str, path: str, **more):
        return admin.call(method, path, headers=headers, **more)

    assert [item["email"] for item in (await ask("GET", "/users")).json()["items"]] == ["admin@acme.example"]
    assert (await ask("GET", "/service-accounts")).json()["items"] == []
    for other in (everywhere["id"], foreign["id"], "ada@default.example"):
        for method, path in (
            ("GET", f"/users/{other}"),
            ("PATCH", f"/users/{other}"),
            ("DELETE", f"/users/{other}"),
            ("POST", f"/users/{other}/sign-out"),
        ):
            answer = await ask(method, path, json={"name": "x"} if method == "PATCH" else None)
            assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found"), path
    for method, path in (
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/revoke"),
    ):  # fmt: skip
        answer = await ask(method, f"/service-accounts/{robot['id']}{path}", json={} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "service_account_not_found"), path
    for org in ("default", everywhere["id"], "org_nothing"):
        answer = await ask("POST", "/users", json={"email": "b@acme.example", "role": "viewer", "org": org})
        assert (answer.status_code, answer.json()["code"]) == (404, "org_not_found")
        assert (await ask("GET", "/users", params={"org": org})).status_code == 404
    made = (await ask("POST", "/users", json={"email": "b@acme.example", "role": "viewer"})).json()
    assert made["org"] == "acme", "theirs, without saying so"
    moved = await ask("PATCH", f"/users/{made['id']}", json={"org": None})
    assert moved.json()["org"] == "acme", "nor does null lead out of it"
    taken = await ask("POST", "/users", json={"email": "ada@default.example", "role": "viewer"})
    assert taken.status_code == 409, "an address belongs to one account in the whole install"
    assert (await ask("GET", "/orgs")).status_code == 200


async def test_the_last_owner_stays(admin: Admin, acme: str) -> None:
    first = await user(admin, "first@example.com", "owner")
    for change in ({"role": "admin"}, {"disabled": True}, {"org": "acme"}):
        await admin.fails("PATCH", f"/users/{first['id']}", 409, "last_owner", json=change)
    await admin.fails("DELETE", f"/users/{first['id']}", 409, "last_owner")
    second = await user(admin, "second@example.com", "owner")
    disabled = await user(admin, "third@example.com", "owner")
    await admin.call("PATCH", f"/users/{disabled['id']}", json={"disabled": True})
    answers = await asyncio.gather(
        *(admin.call("PATCH", f"/users/{who['id']}", json={"role": "viewer"}) for who in (first, second))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409], "two at once do not both go"
    await user(admin, "boss@acme.example", "owner", "acme")
    headers = await as_user(admin, "boss@acme.example")
    await admin.fails("DELETE", "/users/boss@acme.example", 409, "last_owner", headers=headers)
    assert (await admin.call("DELETE", "/users/boss@acme.example")).status_code == 204, "whoever is above may"


async def test_a_service_account_s_token_is_shown_once_and_opens_sessions(admin: Admin) -> None:
    made = await admin.make("/service-accounts", name="ci", role="operator", expires_in=3600)
    assert made["token"].startswith("sk-service-") and made["hint"].startswith("sk-service-")
    admin.answers.clear()
    shown = await admin.get("/service-accounts/ci")
    assert (shown["state"], shown["role"]) == ("active", "operator")
    await admin.get("/service-accounts")
    assert made["token"] not in " ".join(admin.answers)
    assert made["token"] not in str(admin.sql("SELECT * FROM service_accounts, audit_logs"))
    await admin.fails("POST", "/service-accounts", 409, "name_taken", json={"name": "ci", "role": "viewer"})
    for name in ("a b", "-a", "a/b", "ｃｉ", "", "x" * 101, "a\n"):
        answer = await admin.call("POST", "/service-accounts", json={"name": name, "role": "viewer"})
        assert answer.status_code in (400, 422), name


async def opens(admin: Admin, token: str) -> dict[str, str] | None:
    answer = await admin.http.post(f"{API}/auth/login", json={"service_token": token})
    return {"authorization": f"Bearer {answer.json()['access_token']}"} if answer.status_code == 200 else None


async def test_rotating_with_overlap_keeps_the_former_token_and_its_sessions_for_a_while(admin: Admin) -> None:
    first = (await admin.make("/service-accounts", name="ci", role="viewer"))["token"]
    session = await opens(admin, first)
    rotated = await admin.make("/service-accounts/ci/rotate", 200, overlap_seconds=600)
    second = rotated["token"]
    assert rotated["previous_valid_until"] and second != first
    assert (await admin.call("GET", "/teams", headers=session)).status_code == 200
    assert await opens(admin, first) and await opens(admin, second)
    admin.sql("UPDATE service_accounts SET previous_valid_until = now()")
    assert (await admin.call("GET", "/teams", headers=session)).status_code == 401
    assert await opens(admin, first) is None
    session = await opens(admin, second)
    await admin.make("/service-accounts/ci/rotate", 200)
    assert (await admin.call("GET", "/teams", headers=session)).status_code == 401, "without overlap it is at once"


async def test_a_revoked_deleted_or_expired_service_account_opens_nothing(admin: Admin) -> None:
    token = (await admin.make("/service-accounts", name="ci", role="viewer"))["token"]
    session = await opens(admin, token)
    await admin.make("/service-accounts/ci/revoke", 200)
    assert (await admin.call("GET", "/teams", headers=session)).status_code == 401 and await opens(admin, token) is None
    await admin.fails("POST", "/service-accounts/ci/rotate", 409, "service_account_revoked")
    again = await admin.make("/service-accounts", name="ci", role="viewer")
    session = await opens(admin, again["token"])
    assert (await admin.get("/service-accounts/ci"))["id"] == again["id"], "the name means the live one"
    await admin.call("DELETE", f"/service-accounts/{again['id']}")
    assert (await admin.call("GET", "/teams", headers=session)).status_code == 401
    third = await admin.make("/service-accounts", name="night", role="viewer", expires_in=60)
    session = await opens(admin, third["token"])
    admin.sql("UPDATE service_accounts SET expires_at = now() WHERE name = 'night'")
    assert (await admin.call("GET", "/teams", headers=session)).status_code == 401
    assert await opens(admin, third["token"]) is None
    past = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).isoformat()
    body = {"name": "x", "role": "viewer", "expires_at": past}
    await admin.fails("POST", "/service-accounts", 400, "invalid_field", json=body)


async def test_the_roles_are_listed_with_what_they_may_do(admin: Admin) -> None:
    listed = (await admin.get("/roles"))["items"]
    assert [role["name"] for role in listed] == ["owner", "admin", "operator", "approver", "viewer"]
    owner, viewer = listed[0], listed[-1]
    assert "users.write" in owner["permissions"] and "users.write" not in viewer["permissions"]
    assert "settings.write" in owner["permissions"] and "settings.write" not in owner["permissions_in_org"]
    assert (await admin.get("/roles/viewer")) == viewer
    await admin.fails("GET", "/roles/root", 404, "role_not_found")
    assert (await admin.http.post(f"{API}/auth/login", json={"master_key": MASTER_KEY})).status_code == 200
