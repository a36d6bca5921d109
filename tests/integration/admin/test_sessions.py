"""Logging in, what a session opens, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import replace

import httpx
import jwt
import pytest

from scutum_server.access.tokens import _name
from scutum_server.admin.app import create_app
from scutum_server.admin.runtime import make_runtime
from scutum_server.key_rotation import Rotating
from scutum_server.settings import RedisSettings
from tests.integration.admin.conftest import API, MASTER_KEY, Admin, admin_settings

SECRET = "j" * 43
PASSWORD = "correct horse battery staple"


@pytest.fixture
async def ada(admin: Admin) -> dict:
    return await admin.make("/users", email="Ada@Example.com", role="operator", password=PASSWORD)


async def log_in(admin: Admin, password: str = PASSWORD, email: str = "ada@example.com", **more) -> httpx.Response:
    return await admin.http.post(f"{API}/auth/login", json={"email": email, "password": password, **more})


async def refresh(admin: Admin, token: str) -> httpx.Response:
    return await admin.http.post(f"{API}/auth/refresh", json={"refresh_token": token})


async def status_with(admin: Admin, token: str | None) -> httpx.Response:
    """A request with this header alone."""
    headers = {"authorization": token} if token is not None else {}
    kept = admin.http.headers.pop("authorization", None)
    try:
        return await admin.http.get(f"{API}/teams", headers=headers)
    finally:
        if kept is not None:
            admin.http.headers["authorization"] = kept


def opened(admin: Admin) -> dict:
    """The claims of the fixture's own session."""
    token = admin.http.headers["authorization"].partition(" ")[2]
    return jwt.decode(token, SECRET, algorithms=["HS256"], audience="access")


def signed(claims: dict, secret: str = SECRET, algorithm: str = "HS256", kid: str | None = None, **changes) -> str:
    whole = {name: value for name, value in (claims | changes).items() if value is not None}
    return "Bearer " + jwt.encode(whole, secret, algorithm=algorithm, headers={"kid": kid or _name(SECRET)})


async def test_the_master_key_opens_a_session(admin: Admin) -> None:
    answer = await admin.http.post(f"{API}/auth/login", json={"master_key": MASTER_KEY})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["session_expires_in"]) == ("bearer", 900, 8 * 3600)
    assert jwt.get_unverified_header(body["access_token"])["alg"] == "HS256"
    read = jwt.decode(body["access_token"], SECRET, algorithms=["HS256"], issuer="scutum-admin", audience="access")
    assert set(read) == {"sub", "kind", "sid", "iat", "exp", "jti", "iss", "aud"} and read["exp"] - read["iat"] == 900
    assert (await status_with(admin, f"Bearer {body['access_token']}")).status_code == 200
    assert {row["outcome"] for row in admin.audit("auth.login")} == {"success"}
    me = await admin.get("/auth/whoami")
    assert (me["kind"], me["role"], me["org"], me["method"]) == ("admin", "owner", None, "master_key")


async def test_a_password_opens_a_session_with_its_owner_s_role(admin: Admin, ada: dict) -> None:
    answer = await log_in(admin, email="  ADA@example.COM ")
    assert answer.status_code == 200 and answer.json()["device_token"]
    bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
    me = (await admin.call("GET", "/auth/whoami", headers=bearer)).json()
    assert (me["id"], me["email"], me["role"], me["method"]) == (ada["id"], "Ada@Example.com", "operator", "password")
    assert "keys.write" in me["permissions"] and "users.write" not in me["permissions"]
    (row,) = [row for row in admin.audit("auth.login") if row["actor_id"] == ada["id"]]
    assert (row["actor_kind"], row["actor_email"], row["outcome"]) == ("user", "Ada@Example.com", "success")
    assert (await admin.get(f"/users/{ada['id']}"))["last_login_at"]
    stored = admin.sql("SELECT password_hash FROM users")[0]["password_hash"]
    assert stored.startswith("$argon2id$") and PASSWORD not in stored


async def test_a_correct_token_of_our_making_is_accepted(admin: Admin) -> None:
    """Keeps the refusals below honest: they differ from this one in one thing each."""
    assert (await status_with(admin, signed(opened(admin)))).status_code == 200


def _unsigned(claims: dict, algorithm: str) -> str:
    def part(value: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"Bearer {part({'alg': algorithm, 'kid': _name(SECRET)})}.{part(claims)}."


def refused_headers(good: dict, header: str) -> dict[str, str | None]:
    head, body, signature = header.partition(" ")[2].split(".")
    swapped = base64.urlsafe_b64encode(json.dumps(good | {"sub": "root"}).encode()).decode().rstrip("=")
    return {
        "none at all": None,
        "empty": "",
        "no token": "Bearer",
        "no JWT": "Bearer x",
        "another scheme": "Basic " + "x" * 20,
        "another key": signed(good, "o" * 43),
        "another key, named as such": signed(good, "o" * 43, kid=_name("o" * 43)),
        "a kid that nobody has": signed(good, kid="0" * 12),
        "a kid that is a path": signed(good, kid="../../dev/null"),
        "HS512": signed(good, SECRET * 2, "HS512"),
        "HS384": signed(good, SECRET * 2, "HS384"),
        "alg none": _unsigned(good, "none"),
        "alg nOnE": _unsigned(good, "nOnE"),
        "no signature": f"Bearer {head}.{body}.",
        "tampered": f"Bearer {head}.{swapped}.{signature}",
        "truncated": f"Bearer {head}.{body}.{signature[:-4]}",
        "expired": signed(good, exp=int(time.time()) - 1),
        "no expiry": signed(good, exp=None),
        "expiry in words": signed(good, exp="tomorrow"),
        "another issuer": signed(good, iss="somebody"),
        "another audience": signed(good, aud="device"),
        "no subject": signed(good, sub=None),
        "no id": signed(good, jti=None),
        "no session": signed(good, sid=None),
        "a session that never was": signed(good, sid="ses_0000000000000000"),
        "a session that is a list": signed(good, sid=["x"]),
        "huge": "Bearer " + "e" * 60_000,
        "huge claims": signed(good, note="n" * 8000),
        "nested": "Bearer " + "." * 3000,
        "the master key": f"Bearer {MASTER_KEY}",
    }


async def test_any_other_token_is_refused_in_the_same_words(admin: Admin) -> None:
    texts = set()
    for what, header in refused_headers(opened(admin), signed(opened(admin))).items():
        answer = await status_with(admin, header)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token"), what
        assert answer.headers["www-authenticate"] == "Bearer"
        texts.add(answer.json()["detail"])
    assert len(texts) == 2, "there is no token, or it is not good"


async def test_every_route_but_the_open_ones_needs_a_session(admin: Admin) -> None:
    document = (await admin.get("/openapi.json"))["paths"]
    admin.http.headers.pop("authorization")
    open_routes = set()
    for path, operations in document.items():
        for method, operation in operations.items():
            answer = await admin.http.request(method, path.replace("{", "").replace("}", ""))
            if answer.status_code != 401:
                open_routes.add((method, path))
            assert bool(operation.get("security")) == (answer.status_code == 401), path
    assert open_routes == {
        ("get", "/health"),
        ("get", f"{API}/license"),
        ("post", f"{API}/auth/login"),
        ("post", f"{API}/auth/refresh"),
        ("post", f"{API}/auth/sso/start"),
        ("post", f"{API}/auth/sso/callback"),
        ("post", f"{API}/auth/sso/device"),
        ("post", f"{API}/auth/sso/device/token"),
    }
    assert (await admin.http.get(f"{API}/openapi.json")).status_code == 401


async def test_the_key_between_services_opens_what_an_operator_may(admin: Admin) -> None:
    admin.http.headers.pop("authorization")
    key = {"x-service-key": "i" * 43}
    assert (await admin.http.get(f"{API}/teams", headers=key)).status_code == 200
    me = (await admin.http.get(f"{API}/auth/whoami", headers=key)).json()
    assert (me["id"], me["kind"], me["role"], me["session_id"]) == ("internal", "service", "operator", None)
    made = await admin.http.post(f"{API}/keys", headers=key, json={"name": "internal"})
    assert made.status_code == 201 and admin.audit("key.create")[0]["actor_kind"] == "service"
    assert (await admin.http.post(f"{API}/users", headers=key, json={})).status_code == 403
    assert (await admin.http.post(f"{API}/auth/logout", headers=key)).status_code == 403
    for wrong in ("", "i" * 42, "i" * 44, "ï" * 43):
        refused = await admin.http.get(f"{API}/teams", headers={"x-service-key": wrong.encode()})
        assert refused.status_code == 401
    bad_session = {"authorization": "Bearer x", **key}
    assert (await admin.http.get(f"{API}/teams", headers=bad_session)).status_code == 401


async def test_logging_out_and_being_signed_out_end_it_at_once_in_every_process(
    admin: Admin, ada: dict, redis_settings: RedisSettings
) -> None:
    first, second = [(await log_in(admin)).json() for _ in range(2)]
    other = make_runtime(admin_settings(admin.database, redis_settings))
    app = create_app(other)
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(other.ready.wait(), 20)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://other") as http:

            async def there(grant: dict) -> int:
                bearer = {"authorization": f"Bearer {grant['access_token']}"}
                return (await http.get(f"{API}/teams", headers=bearer)).status_code

            assert [await there(first), await there(second)] == [200, 200]
            bearer = {"authorization": f"Bearer {first['access_token']}"}
            assert (await admin.call("POST", "/auth/logout", headers=bearer)).status_code == 204
            assert [await there(first), await there(second)] == [401, 200]
            assert (await refresh(admin, first["refresh_token"])).status_code == 401
            assert await admin.make(f"/users/{ada['id']}/sign-out", 200) == {"sessions": 1}
            assert await there(second) == 401
            assert (await refresh(admin, second["refresh_token"])).status_code == 401
    assert [row["actor_id"] for row in admin.audit("auth.logout")] == [ada["id"]]


async def test_a_session_ends_after_15_minutes_without_a_request_and_after_8_hours(admin: Admin, ada: dict) -> None:
    grant = (await log_in(admin)).json()
    bearer = f"Bearer {grant['access_token']}"
    seen = "UPDATE sessions SET seen_at = now() - %s * interval '1 second' WHERE user_id = %s"
    admin.sql(seen, 890, ada["id"])
    assert (await status_with(admin, bearer)).status_code == 200, "and it is seen again"
    assert admin.sql("SELECT now() - seen_at < '5 s' AS fresh FROM sessions WHERE user_id = %s", ada["id"])[0]["fresh"]
    admin.sql(seen, 901, ada["id"])
    assert (await status_with(admin, bearer)).status_code == 401
    assert (await refresh(admin, grant["refresh_token"])).status_code == 401
    grant = (await log_in(admin)).json()
    until = "UPDATE sessions SET expires_at = now() + %s * interval '1 second' WHERE user_id = %s"
    admin.sql(until, 100, ada["id"])
    fresh = (await refresh(admin, grant["refresh_token"])).json()
    assert 90 <= fresh["expires_in"] <= 100 and fresh["session_expires_in"] <= 100, "no token outlives its session"
    admin.sql(until, 0, ada["id"])
    assert (await status_with(admin, f"Bearer {fresh['access_token']}")).status_code == 401
    assert (await refresh(admin, fresh["refresh_token"])).status_code == 401


async def test_a_refresh_token_works_once_and_a_copy_ends_the_session(admin: Admin, ada: dict) -> None:
    first = (await log_in(admin)).json()
    second = (await refresh(admin, first["refresh_token"])).json()
    third = (await refresh(admin, second["refresh_token"])).json()
    assert (await status_with(admin, f"Bearer {third['access_token']}")).status_code == 200
    assert (await refresh(admin, first["refresh_token"])).status_code == 401
    for grant in (first, second, third):
        assert (await status_with(admin, f"Bearer {grant['access_token']}")).status_code == 401
    assert (await refresh(admin, third["refresh_token"])).status_code == 401
    (row,) = admin.audit("session.reuse")[:1]
    assert row["outcome"] == "denied"
    assert (await refresh(admin, "scr-" + "x" * 43)).status_code == 401
    assert all(first["refresh_token"] not in str(row) for row in admin.sql("SELECT * FROM refresh_tokens"))


async def test_of_many_that_show_one_refresh_token_at_once_one_wins_and_all_are_out(admin: Admin, ada: dict) -> None:
    grant = (await log_in(admin)).json()
    answers = await asyncio.gather(*(refresh(admin, grant["refresh_token"]) for _ in range(8)))
    won = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert (await status_with(admin, f"Bearer {won[0]['access_token']}")).status_code == 401
    assert (await refresh(admin, won[0]["refresh_token"])).status_code == 401


async def test_a_changed_role_and_a_disabled_account_hold_in_open_sessions(admin: Admin, ada: dict) -> None:
    bearer = {"authorization": f"Bearer {(await log_in(admin)).json()['access_token']}"}
    assert (await admin.call("POST", "/keys", json={"name": "a"}, headers=bearer)).status_code == 201
    await admin.call("PATCH", f"/users/{ada['id']}", json={"role": "viewer"})
    await admin.fails("POST", "/keys", 403, "forbidden", json={"name": "b"}, headers=bearer)
    await admin.call("PATCH", f"/users/{ada['id']}", json={"disabled": True})
    await admin.fails("GET", "/teams", 401, "invalid_token", headers=bearer)
    assert (await log_in(admin)).status_code == 401
    await admin.call("PATCH", f"/users/{ada['id']}", json={"disabled": False})
    assert (await log_in(admin)).status_code == 200
    await admin.fails("GET", "/teams", 401, "invalid_token", headers=bearer)


async def test_one_s_own_password_is_changed_with_the_one_before(admin: Admin, ada: dict) -> None:
    here, there = [{"authorization": f"Bearer {(await log_in(admin)).json()['access_token']}"} for _ in range(2)]
    fresh = "four quite unrelated words"
    change = {"current_password": "not this one at all", "new_password": fresh}
    await admin.fails("PUT", "/auth/password", 401, "invalid_credentials", json=change, headers=here)
    change["current_password"] = PASSWORD
    for weak in ("short", "aaaaaaaaaaaaaaaa", "ada@example.com"):
        body = change | {"new_password": weak}
        await admin.fails("PUT", "/auth/password", 400, "invalid_field", json=body, headers=here)
    assert (await admin.call("PUT", "/auth/password", json=change, headers=here)).status_code == 204
    assert (await admin.call("GET", "/teams", headers=here)).status_code == 200
    assert (await admin.call("GET", "/teams", headers=there)).status_code == 401
    assert (await log_in(admin)).status_code == 401 and (await log_in(admin, fresh)).status_code == 200
    await admin.fails("PUT", "/auth/password", 403, "forbidden", json=change)
    assert len(admin.audit("user.password")) == 1


async def test_a_rotated_signing_key_is_accepted_until_its_grace_ends(
    admin: Admin, ada: dict, redis_settings: RedisSettings
) -> None:
    bearer = {"authorization": f"Bearer {(await log_in(admin)).json()['access_token']}"}
    settings = admin_settings(admin.database, redis_settings)

    async def after_rotation(until: float, headers: dict) -> int:
        keys = Rotating("n" * 43, SECRET, until), Rotating("s" * 43, "i" * 43, until)
        runtime = make_runtime(replace(settings, jwt_keys=keys[0], service_keys=keys[1]))
        app = create_app(runtime)
        async with app.router.lifespan_context(app):
            await asyncio.wait_for(runtime.ready.wait(), 20)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://new") as http:
                return (await http.get(f"{API}/teams", headers=headers)).status_code

    later, before = time.time() + 60, time.time() - 1
    former, present = {"x-service-key": "i" * 43}, {"x-service-key": "s" * 43}
    assert await after_rotation(later, bearer) == 200
    assert await after_rotation(before, bearer) == 401
    assert await after_rotation(later, former) == 200
    assert await after_rotation(before, former) == 401
    assert await after_rotation(before, present) == 200


async def test_another_master_key_ends_the_sessions_of_the_one_before(
    admin: Admin, ada: dict, redis_settings: RedisSettings
) -> None:
    person = {"authorization": f"Bearer {(await log_in(admin)).json()['access_token']}"}
    settings = replace(admin_settings(admin.database, redis_settings), master_key="sk-scutum-another-" + "n" * 30)
    app = create_app(make_runtime(settings))
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(app.state.runtime.ready.wait(), 20)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://new") as http:
            master = {"authorization": admin.http.headers["authorization"]}
            assert (await http.get(f"{API}/teams", headers=master)).status_code == 401
            assert (await http.get(f"{API}/teams", headers=person)).status_code == 200
