"""Guessing at the door: it is slowed down, taken down, and keeps nobody else out."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from argon2 import PasswordHasher, extract_parameters

from scutum_server.admin.app import create_app
from scutum_server.admin.runtime import make_runtime
from scutum_server.settings import RedisSettings
from tests.fixtures.servers import Valkey
from tests.integration.admin.conftest import API, MASTER_KEY, Admin, admin_settings, quick_passwords

PASSWORD = "correct horse battery staple"
WRONG = "incorrect horse battery"


@pytest.fixture
async def ada(admin: Admin) -> dict:
    return await admin.make("/users", email="ada@example.com", role="operator", password=PASSWORD)


async def attempt(admin: Admin, address: str, password: str = WRONG, email: str = "ada@example.com", **more):
    """A login from an address of its own."""
    transport = httpx.ASGITransport(admin.app, client=(address, 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as http:
        return await http.post(f"{API}/auth/login", json={"email": email, "password": password, **more})


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
    assert len(rows) == 5 and len(admin.audit("auth.throttle")) == 1
    assert {(row["outcome"], row["actor_id"], row["ip"].compressed) for row in rows} == {
        ("denied", "anonymous", "127.0.0.1")
    }
    assert admin.sql("SELECT count(*) AS n FROM events_outbox WHERE type = 'login.refused'")[0]["n"] == 5
    assert all(wrong["master_key"] not in answer.text for answer in answers)


async def test_wrong_service_tokens_are_throttled_and_the_right_one_opens(admin: Admin) -> None:
    token = (await admin.make("/service-accounts", name="ci", role="viewer"))["token"]
    login = lambda text: admin.http.post(f"{API}/auth/login", json={"service_token": text})  # noqa: E731
    statuses = [(await login("sk-service-" + "x" * 43)).status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    assert (await login(token)).status_code == 200


async def test_concurrent_guesses_do_not_slip_through_the_throttle(admin: Admin, ada: dict) -> None:
    guesses = (admin.http.post(f"{API}/auth/login", json={"master_key": f"guess-{number}"}) for number in range(40))
    statuses = [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert statuses.count(401) == 5 and statuses.count(429) == 35
    statuses = [answer.status_code for answer in await asyncio.gather(*(attempt(admin, "10.0.0.9") for _ in range(12)))]
    assert statuses.count(401) == 5 and statuses.count(429) == 7


async def test_a_guesser_from_everywhere_is_stopped_and_ada_is_not(admin: Admin, ada: dict) -> None:
    at_home = await attempt(admin, "192.0.2.1", PASSWORD)
    mark = at_home.json()["device_token"]
    # What a guesser with twelve addresses does: the account's own lane is full after 60 failures.
    statuses = []
    for number in range(13):
        for _ in range(5):
            statuses.append((await attempt(admin, f"198.51.100.{number}")).status_code)
    assert statuses.count(401) == 60 and statuses.count(429) == 5
    assert (await attempt(admin, "203.0.113.5", PASSWORD)).status_code == 429, "a stranger, even with the password"
    assert (await attempt(admin, "192.0.2.1", PASSWORD)).status_code == 200, "an address that is known"
    assert (await attempt(admin, "203.0.113.5", PASSWORD, device_token=mark)).status_code == 200, "a known device"
    forged = mark[:-3] + ("AAA" if mark[-3:] != "AAA" else "BBB")
    assert (await attempt(admin, "203.0.113.6", PASSWORD, device_token=forged)).status_code == 429
    rows = admin.audit("auth.refuse")
    assert {row["resource_id"] for row in rows} == {ada["id"]} and len(rows) == 60
    assert len(admin.audit("auth.throttle")) == 1, "once, not for every attempt"


async def test_a_guesser_at_ada_s_own_address_does_not_lock_her_device_out(admin: Admin, ada: dict) -> None:
    mark = (await attempt(admin, "127.0.0.1", PASSWORD)).json()["device_token"]
    statuses = [(await attempt(admin, "127.0.0.1")).status_code for _ in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    assert (await attempt(admin, "127.0.0.1", PASSWORD, device_token=mark)).status_code == 200
    other = await admin.make("/users", email="bob@example.com", role="viewer", password="another fine password")
    as_bob = await attempt(admin, "127.0.0.1", PASSWORD, email="bob@example.com", device_token=mark)
    assert as_bob.status_code == 401 and other["id"], "her device is nobody else's"


async def test_two_processes_count_together_and_each_for_itself_without_redis(
    admin: Admin, ada: dict, redis_settings: RedisSettings, valkey: Valkey
) -> None:
    runtime = make_runtime(admin_settings(admin.database, redis_settings))
    runtime.passwords = quick_passwords()
    app = create_app(runtime)
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(runtime.ready.wait(), 20)
        other = Admin(runtime, app, admin.http, admin.database)
        statuses = [(await attempt(who, "10.0.0.1")).status_code for who in (admin, other) * 4]
        assert statuses.count(401) == 5 and statuses.count(429) == 3
        valkey.kill()
        try:
            for who in (admin, other):
                statuses = [(await attempt(who, "10.0.0.2")).status_code for _ in range(7)]
                assert statuses == [401] * 5 + [429] * 2
            assert (await attempt(admin, "10.0.0.3", PASSWORD)).status_code == 200
        finally:
            valkey.start()


async def test_nobody_learns_who_has_an_account(admin: Admin, ada: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    await admin.make("/users", email="off@example.com", role="viewer", password=PASSWORD)
    await admin.call("PATCH", "/users/off@example.com", json={"disabled": True})
    await admin.make("/users", email="sso@example.com", role="viewer")
    checked, verify = [], PasswordHasher.verify
    monkeypatch.setattr(
        PasswordHasher, "verify", lambda self, hashed, password: checked.append(hashed) or verify(self, hashed, password)
    )
    bodies = set()
    for number, (email, password) in enumerate(
        [
            ("ada@example.com", WRONG),
            ("nobody@example.com", WRONG),
            ("off@example.com", PASSWORD),
            ("sso@example.com", WRONG),
        ]
    ):
        answer = await attempt(admin, f"10.0.0.{number}", password, email)
        assert answer.status_code == 401
        bodies.add(str(answer.json() | {"request_id": None}))
        assert len(checked) == number + 1, "the same work is done, or the time would tell"
    assert len(bodies) == 1
    assert len({str(extract_parameters(hashed)) for hashed in checked}) == 1


async def test_a_login_of_the_wrong_shape_is_refused_without_an_echo(admin: Admin) -> None:
    for body in (
        {},
        {"master_key": 5},
        {"master_key": "x", "user": "y"},
        {"master_key": "x" * 2000},
        {"email": "a@b.c"},
        {"password": "xxxxxxxx"},
        {"email": "a@b.c", "password": "xxxxxxxx", "master_key": "xxxxxxxx"},
        {"email": "a@b.c", "password": "xxxx\0xxxx"},
    ):
        answer = await admin.http.post(f"{API}/auth/login", json=body)
        assert answer.status_code == 422, body
        assert "xxxx" not in answer.text
