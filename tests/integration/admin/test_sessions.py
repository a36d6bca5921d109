"""Logging in, and what a token opens."""

from __future__ import annotations

import asyncio
import time

import httpx
import jwt

from tests.integration.admin.conftest import API, MASTER_KEY, Admin

SECRET = "j" * 43


def claims(**changes) -> dict:
    now = int(time.time())
    whole = {"sub": "master", "kind": "admin", "role": "owner", "iat": now, "exp": now + 900, "jti": "tok_1", "iss": "scutum-admin"}
    return {name: value for name, value in (whole | changes).items() if value is not None}


async def status_with(admin: Admin, token: str | None) -> httpx.Response:
    headers = {"authorization": token} if token is not None else {}
    admin.http.headers.pop("authorization", None)
    return await admin.http.get(f"{API}/teams", headers=headers)


async def test_the_master_key_opens_a_session(admin: Admin) -> None:
    answer = await admin.http.post(f"{API}/auth/login", json={"master_key": MASTER_KEY})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 900)
    assert jwt.get_unverified_header(body["access_token"])["alg"] == "HS256"
    read = jwt.decode(body["access_token"], SECRET, algorithms=["HS256"], issuer="scutum-admin")
    assert set(read) == {"sub", "kind", "role", "org", "iat", "exp", "jti", "iss"} and read["exp"] - read["iat"] == 900
    assert (await status_with(admin, f"Bearer {body['access_token']}")).status_code == 200
    assert {row["outcome"] for row in admin.audit("auth.login")} == {"success"}


async def test_a_correct_token_of_our_making_is_accepted(admin: Admin) -> None:
    """Keeps the refusals below honest: they differ from this one in one thing each."""
    assert (await status_with(admin, "Bearer " + jwt.encode(claims(), SECRET, algorithm="HS256"))).status_code == 200


def refused_headers() -> list[str | None]:
    return [
        None,
        "",
        "Bearer",
        "Bearer x",
        "Basic " + "x" * 20,
        "Bearer " + jwt.encode(claims(), "o" * 43, algorithm="HS256"),
        "Bearer " + jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
        "Bearer " + jwt.encode(claims(), SECRET * 2, algorithm="HS384"),
        "Bearer " + jwt.encode(claims(), "", algorithm="none"),
        "Bearer " + jwt.encode(claims(exp=int(time.time()) - 1), SECRET, algorithm="HS256"),
        "Bearer " + jwt.encode(claims(exp=None), SECRET, algorithm="HS256"),
        "Bearer " + jwt.encode(claims(exp="tomorrow"), SECRET, algorithm="HS256"),
        "Bearer " + jwt.encode(claims(iss="somebody"), SECRET, algorithm="HS256"),
        "Bearer " + jwt.encode(claims(sub=None), SECRET, algorithm="HS256"),
        "Bearer " + jwt.encode(claims(jti=None), SECRET, algorithm="HS256"),
        "Bearer " + jwt.encode(claims(kind=None), SECRET, algorithm="HS256"),
        "Bearer " + jwt.encode(claims(role=None), SECRET, algorithm="HS256"),
        "Bearer " + jwt.encode(claims(role="root"), SECRET, algorithm="HS256"),
        "Bearer " + jwt.encode(claims(org=5), SECRET, algorithm="HS256"),
        f"Bearer {MASTER_KEY}",
    ]


async def test_any_other_token_is_refused(admin: Admin) -> None:
    for header in refused_headers():
        answer = await status_with(admin, header)
        assert answer.status_code == 401, header
        assert answer.json()["code"] == "invalid_token"
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_every_route_but_health_and_login_needs_a_session(admin: Admin) -> None:
    document = (await admin.get("/openapi.json"))["paths"]
    admin.http.headers.pop("authorization")
    open_routes = set()
    for path, operations in document.items():
        for method, operation in operations.items():
            answer = await admin.http.request(method, path.replace("{", "").replace("}", ""))
            if answer.status_code != 401:
                open_routes.add((method, path))
            assert bool(operation.get("security")) == (answer.status_code == 401), path
    assert open_routes == {("get", "/health"), ("post", f"{API}/auth/login")}
    assert (await admin.http.get(f"{API}/openapi.json")).status_code == 401


async def test_a_wrong_master_key_is_denied_audited_and_throttled(admin: Admin) -> None:
    wrong = {"master_key": "sk-scutum-wrong-" + "w" * 30}
    answers = [await admin.http.post(f"{API}/auth/login", json=wrong) for _ in range(5)]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(401, "invalid_credentials")}
    throttled = await admin.http.post(f"{API}/auth/login", json=wrong)
    assert (throttled.status_code, throttled.json()["code"]) == (429, "too_many_attempts")
    assert 1 <= int(throttled.headers["retry-after"]) <= 60
    right = await admin.http.post(f"{API}/auth/login", json={"master_key": MASTER_KEY})
    assert right.status_code == 200, "on the loopback everybody has one address: a guesser must not lock out the owner"
    again = await admin.http.post(f"{API}/auth/login", json=wrong)
    assert again.status_code == 429, "a login that succeeded gives the guesser no new attempts"
    rows = admin.audit("auth.refuse")
    assert len(rows) == 5
    assert {(row["outcome"], row["actor_id"], row["ip"].compressed) for row in rows} == {
        ("denied", "anonymous", "127.0.0.1")
    }
    assert admin.sql("SELECT count(*) AS n FROM events_outbox WHERE type = 'login.refused'")[0]["n"] == 5
    assert all(wrong["master_key"] not in answer.text for answer in answers)


async def test_concurrent_guesses_do_not_slip_through_the_throttle(admin: Admin) -> None:
    guesses = (admin.http.post(f"{API}/auth/login", json={"master_key": f"guess-{number}"}) for number in range(40))
    statuses = [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert statuses.count(401) == 5 and statuses.count(429) == 35


async def test_a_login_of_the_wrong_shape_is_refused_without_an_echo(admin: Admin) -> None:
    for body in ({}, {"master_key": 5}, {"master_key": "x", "user": "y"}, {"master_key": "x" * 2000}):
        answer = await admin.http.post(f"{API}/auth/login", json=body)
        assert answer.status_code == 422
        assert "xxxx" not in answer.text
