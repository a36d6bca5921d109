"""Licences as an operator meets them through the API."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.fixtures.licences import DAY, Authority
from tests.integration.admin.conftest import API, Admin, admin_settings, running

from scutum_server.settings import DatabaseSettings, RedisSettings

FIELDS = {
    "present", "valid", "expired", "tier", "customer_email", "company", "issued_at", "expires_at", "days_remaining",
    "features", "error",
}  # fmt: skip


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def licensed(
    database: DatabaseSettings, redis_settings: RedisSettings, authority: Authority, tmp_path: Path
) -> AsyncIterator[Admin]:
    trust = authority.trusted(tmp_path)
    async with running(admin_settings(database, redis_settings, license_trust=trust)) as client:
        yield client


async def shown(admin: Admin, **wanted: object) -> dict:
    """What anybody is told."""
    answer = await admin.http.get(API + "/license", headers={"authorization": ""})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert {name: body[name] for name in wanted} == wanted
    return body


async def activate(admin: Admin, token: str) -> httpx.Response:
    return await admin.call("POST", "/license/activate", json={"license_key": token})


async def test_without_a_licence_the_answer_has_exactly_its_fields_and_says_what_to_do(licensed: Admin) -> None:
    body = await shown(licensed)
    assert body.keys() == FIELDS
    assert (body["present"], body["valid"], body["expired"], body["tier"]) == (False, False, False, None)
    assert "scutum license activate" in body["error"]
    assert body["features"]["max_admins"] == 5


async def test_activation_counts_in_every_process_at_once_and_is_on_the_trail(
    licensed: Admin, authority: Authority, database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    trust = authority.trusted(tmp_path)
    async with running(admin_settings(database, redis_settings, license_trust=trust)) as other:
        assert (await shown(other))["present"] is False
        token = authority.issue(tier="team", days=30)
        answer = await activate(licensed, token)
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == FIELDS
        assert (answer.json()["valid"], answer.json()["tier"], answer.json()["days_remaining"]) == (True, "team", 30)
        body = await shown(other, present=True)
        assert (body["tier"], body["company"], body["customer_email"]) == ("team", "Acme", "ops@acme.example")
        assert (body["features"]["max_admins"], body["features"]["sso"], body["error"]) == (10, False, None)
        assert await activate(other, authority.issue(tier="enterprise")) is not None
        assert (await shown(licensed, tier="enterprise"))["features"]["max_admins"] is None
    (first, second) = licensed.audit("license.activate")
    assert second["diff"]["before"]["tier"] == "team" and second["diff"]["after"]["tier"] == "enterprise"
    assert first["diff"]["before"] is None
    told = licensed.sql("SELECT payload FROM events_outbox WHERE type = 'license.activated' ORDER BY at")
    assert [row["payload"]["former_tier"] for row in told] == [None, "team"]
    everything = json.dumps(licensed.sql("SELECT diff, canonical FROM audit_logs"), default=str) + "".join(licensed.answers)
    assert token.split(".")[2] not in everything, "a licence is a credential"


async def test_the_history_keeps_every_licence_and_never_its_text(licensed: Admin, authority: Authority) -> None:
    tokens = [authority.issue(tier=tier) for tier in ("trial", "team", "business")]
    for token in tokens:
        await activate(licensed, token)
    await activate(licensed, tokens[2])
    first = await licensed.get("/license/history", limit=2)
    rest = await licensed.get("/license/history", limit=2, cursor=first["next"])
    rows = first["items"] + rest["items"]
    assert [row["tier"] for row in rows] == ["business", "team", "trial"], "the same one again is no activation"
    assert [row["state"] for row in rows] == ["active", "superseded", "superseded"]
    assert rest["next"] is None
    assert "eyJ" not in json.dumps(rows)
    await activate(licensed, tokens[0])
    assert [row["tier"] for row in (await licensed.get("/license/history"))["items"]][:2] == ["trial", "business"]
    for statement in ("DELETE FROM licenses", "UPDATE licenses SET tier = 'enterprise'", "UPDATE licenses SET token = 'x'"):
        with pytest.raises(Exception, match="permission denied"):
            licensed.sql(statement)


async def test_activations_at_once_leave_one_in_force(licensed: Admin, authority: Authority) -> None:
    tokens = [authority.issue(jti=f"lic-{number}", days=100 + number) for number in range(8)]
    answers = await asyncio.gather(*(activate(licensed, token) for token in tokens))
    assert [answer.status_code for answer in answers] == [200] * 8
    rows = (await licensed.get("/license/history"))["items"]
    assert sorted(row["state"] for row in rows) == ["active"] + ["superseded"] * 7


async def test_a_refused_licence_says_why_and_changes_nothing(licensed: Admin, authority: Authority) -> None:
    await activate(licensed, authority.issue(tier="business"))
    now = time.time()
    other = Authority()
    wanted = {
        "license_truncated": authority.issue()[:-9],
        "license_untrusted": other.issue(),
        "license_expired": authority.issue(issued=now - 40 * DAY, days=30),
        "license_not_yet_valid": authority.issue(issued=now + DAY),
        "license_malformed": authority.issue(features={"max_admins": "many"}),
        "license_too_large": "x" * 500_000,
    }
    for code, token in wanted.items():
        body = await licensed.fails("POST", "/license/activate", 400, code, json={"license_key": token})
        assert body["hint"], code
        assert token not in json.dumps(body)
    late = await activate(licensed, authority.issue(nbf=int(now + DAY)))
    assert late.json()["code"] == "license_not_yet_valid"
    assert (await shown(licensed))["tier"] == "business"
    assert len((await licensed.get("/license/history"))["items"]) == 1


async def test_a_clock_a_little_behind_the_issuers_does_no_harm(licensed: Admin, authority: Authority) -> None:
    assert (await activate(licensed, authority.issue(issued=time.time() + 120))).status_code == 200
    assert (await shown(licensed, present=True))["valid"] is True


async def test_the_first_licence_may_come_from_the_settings(
    database: DatabaseSettings, redis_settings: RedisSettings, authority: Authority, tmp_path: Path
) -> None:
    def settings(token: str) -> object:
        return admin_settings(
            database, redis_settings, license_trust=authority.trusted(tmp_path), license_key=token
        )

    async with running(settings(authority.issue(tier="trial")[:-4])) as admin:
        body = await shown(admin)
        assert body["present"] is False and "LICENSE_KEY is refused" in body["error"] and "cut short" in body["error"]
        assert (await admin.http.get("/health")).status_code == 200, "traffic and control plane go on"
    async with running(settings(authority.issue(tier="trial"))) as admin:
        assert (await shown(admin))["tier"] == "trial"
        (row,) = (await admin.get("/license/history"))["items"]
        assert (row["source"], row["activated_by"]) == ("seed", "system")
        assert (await activate(admin, authority.issue(tier="business"))).status_code == 200
    async with running(settings(authority.issue(tier="trial"))) as admin:
        assert (await shown(admin))["tier"] == "business", "what was activated since then counts"


async def test_a_row_that_somebody_has_changed_in_the_database_is_worth_nothing(
    licensed: Admin, authority: Authority, postgres: object
) -> None:
    await activate(licensed, authority.issue(tier="trial"))
    import psycopg

    with psycopg.connect(**postgres.owner(licensed.database.dbname).conninfo()) as conn:  # type: ignore[attr-defined]
        conn.execute("UPDATE licenses SET tier = 'enterprise', expires_at = now() + interval '10 years'")
    assert (await shown(licensed, present=True))["tier"] == "trial"
    with psycopg.connect(**postgres.owner(licensed.database.dbname).conninfo()) as conn:  # type: ignore[attr-defined]
        conn.execute("UPDATE licenses SET token = overlay(token placing 'AAAA' from 120)")
    body = await shown(licensed, valid=False)
    assert (body["present"], body["tier"]) == (True, None) and "cannot be verified" in body["error"]
    assert body["features"]["max_admins"] == 5


async def test_the_answer_is_cheap_however_often_it_is_asked_for(licensed: Admin) -> None:
    asked = 0
    stats = licensed.runtime.pool.get_stats
    before = stats()["requests_num"]
    for _ in range(20):
        await asyncio.gather(*(licensed.http.get(API + "/license") for _ in range(20)))
        asked += 20
    assert stats()["requests_num"] - before < asked / 5


async def test_when_it_ends_is_told_in_utc(licensed: Admin, authority: Authority) -> None:
    end = int(dt.datetime(2031, 5, 6, 7, 8, 9, tzinfo=dt.UTC).timestamp())
    await activate(licensed, authority.issue(exp=end))
    assert (await shown(licensed, present=True))["expires_at"] == "2031-05-06T07:08:09Z"
