"""What may be said about any change beside it: only if it is still as seen, only once, only as a trial, not now."""

from __future__ import annotations

import asyncio
import json

import pytest

from scutum_server.admin.changes import tag_of
from tests.integration.admin.conftest import Admin

OBJECTS = {
    "orgs": ({"name": "acme"}, {"time_zone": "Asia/Tokyo"}),
    "units": ({"name": "research"}, {"name": "development"}),
    "teams": ({"name": "search"}, {"name": "find"}),
    "keys": ({"name": "ci"}, {"owner": "ada"}),
    "providers": ({"name": "local", "kind": "openai", "api_key": "sk-local-123456789012345"}, {"settings": {"timeouts": {"total_ms": 1000}}}),
    "models": ({"name": "other", "provider": "sim"}, {"rpm": 10}),
    "limits": ({"scope": "model", "model": "sim", "rpm": 5}, {"rpm": 6}),
    "budgets": ({"scope": "global", "period": "day", "amount_usd": "5"}, {"amount_usd": "6"}),
}  # fmt: skip
"""A body that makes one, and a change of it."""


def rows(admin: Admin) -> dict:
    """How much there is of all that a change leaves behind."""
    return admin.sql(
        "SELECT (SELECT count(*) FROM audit_logs WHERE action <> 'auth.login') AS audit, (SELECT count(*) FROM events_outbox) AS events,"
        " (SELECT version FROM config_version) AS version, (SELECT count(*) FROM idempotency_keys) AS keys"
    )[0]


@pytest.mark.parametrize("noun", OBJECTS)
async def test_a_change_is_refused_when_the_object_is_no_longer_as_seen(admin: Admin, noun: str) -> None:
    body, patch = OBJECTS[noun]
    made = await admin.call("POST", f"/{noun}", json=body)
    path, seen = f"/{noun}/{made.json()['id']}", made.headers["etag"]
    assert (await admin.call("GET", path)).headers["etag"] == seen
    changed = await admin.call("PATCH", path, json=patch, headers={"if-match": seen})
    assert changed.status_code == 200, changed.text
    now = changed.headers["etag"]
    assert now != seen and (await admin.call("GET", path)).headers["etag"] == now
    for method, json_body in (("PATCH", patch), ("DELETE", None), ("POST", None)):
        where = path + "/revoke" if method == "POST" else path
        if (method, noun) in {("DELETE", "keys")} or (method == "POST" and noun != "keys"):
            continue
        problem = await admin.fails(method, where, 412, "stale", json=json_body, headers={"if-match": seen})
        assert "Read it again" in problem["hint"]
    unchanged = await admin.call("PATCH", path, json=patch, headers={"if-match": f'"zzz", W/{now}'})
    assert unchanged.status_code == 200 and unchanged.headers["etag"] == now
    if noun != "keys":
        assert (await admin.call("DELETE", path, headers={"if-match": "*"})).status_code == 204


async def test_aliases_and_settings_are_guarded_too(admin: Admin) -> None:
    fast = await admin.call("GET", "/aliases/fast")
    body = {"targets": ["sim"], "retries": 3}
    assert (await admin.call("PUT", "/aliases/fast", json=body, headers={"if-match": fast.headers["etag"]})).status_code == 200
    await admin.fails("PUT", "/aliases/fast", 412, "stale", json=body | {"retries": 4}, headers={"if-match": fast.headers["etag"]})
    await admin.fails("DELETE", "/aliases/fast", 412, "stale", headers={"if-match": fast.headers["etag"]})
    problem = await admin.fails("PUT", "/aliases/new", 412, "stale", json=body, headers={"if-match": "*"})
    assert problem["detail"] == "There is no such object to change."
    path = "/settings/keys.default_ttl_days"
    never = (await admin.call("GET", path)).headers["etag"]
    assert never == '"0"'
    assert (await admin.call("PUT", path, json={"value": 30}, headers={"if-match": never})).status_code == 200
    await admin.fails("PUT", path, 412, "stale", json={"value": 31}, headers={"if-match": never})
    assert (await admin.call("PUT", path, json={"value": 31}, headers={"if-match": "*"})).status_code == 200


@pytest.mark.parametrize("header", ["", "abc", '"a" "b"', '"a",', "W/*", '*, "a"'])
async def test_an_if_match_that_is_none_is_refused(admin: Admin, header: str) -> None:
    problem = await admin.fails("PATCH", "/teams/default", 400, "invalid_request", json={"unit": None}, headers={"if-match": header})
    assert problem["errors"][0]["field"] == "If-Match"


async def test_of_many_who_change_what_they_saw_one_wins(admin: Admin) -> None:
    made = await admin.call("POST", "/limits", json={"scope": "model", "model": "sim", "rpm": 1})
    path, seen = f"/limits/{made.json()['id']}", made.headers["etag"]
    answers = await asyncio.gather(
        *(admin.call("PATCH", path, json={"rpm": n}, headers={"if-match": seen}) for n in range(2, 22))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    (won,) = [answer.json()["rpm"] for answer in answers if answer.status_code == 200]
    assert (await admin.get(path))["rpm"] == won and len(admin.audit("limit.update")) == 1


def test_two_changes_never_have_the_same_tag() -> None:
    import datetime as dt

    moment = dt.datetime(2026, 11, 21, 12, 0, 0, 1, dt.UTC)
    tags = {tag_of(moment + dt.timedelta(microseconds=n)) for n in range(1000)}
    assert len(tags) == 1000 and tag_of(dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) == "0"


@pytest.mark.parametrize("noun", OBJECTS)
async def test_a_dry_run_answers_as_if_and_changes_nothing(admin: Admin, noun: str) -> None:
    body, patch = OBJECTS[noun]
    before = rows(admin)
    tried = await admin.call("POST", f"/{noun}?dry_run=true", json=body, headers={"idempotency-key": "trial"})
    assert tried.status_code == 201 and tried.headers["x-scutum-dry-run"] == "true", tried.text
    await admin.fails("GET", f"/{noun}/{tried.json()['id']}", 404, f"{noun[:-1]}_not_found")
    assert rows(admin) == before
    made = (await admin.call("POST", f"/{noun}?dry_run=false", json=body, headers={"idempotency-key": "trial"})).json()
    assert made.keys() == tried.json().keys()
    if noun == "keys":
        assert tried.json()["key"] == "dry-run" and made["key"].startswith("sk-scutum-")
    path, before = f"/{noun}/{made['id']}", rows(admin)
    seen = await admin.get(path)
    tried = await admin.call("PATCH", f"{path}?dry_run=1", json=patch)
    assert tried.status_code == 200 and tried.json() != seen
    if noun != "keys":
        assert (await admin.call("DELETE", f"{path}?dry_run=true")).status_code == 204
    else:
        assert (await admin.call("POST", f"{path}/revoke?dry_run=true")).json()["state"] == "revoked"
        assert (await admin.call("POST", f"{path}/rotate?dry_run=true")).json()["key"] == "dry-run"
    assert await admin.get(path) == seen and rows(admin) == before
    await admin.fails("POST", f"/{noun}?dry_run=maybe", 400, "invalid_request", json=body)
    await admin.fails("GET", f"{path}?dry_run=true", 400, "invalid_request")


async def test_a_dry_run_finds_what_the_real_one_would(admin: Admin) -> None:
    await admin.fails("POST", "/teams?dry_run=true", 409, "name_taken", json={"name": "default"})
    await admin.fails("DELETE", "/providers/sim?dry_run=true", 409, "provider_in_use")
    assert (await admin.call("PUT", "/aliases/fast?dry_run=true", json={"targets": ["sim"], "retries": 9})).json()["retries"] == 9
    assert (await admin.get("/aliases/fast"))["retries"] == 1


@pytest.mark.parametrize("noun", OBJECTS)
async def test_a_repeated_request_happens_once(admin: Admin, noun: str) -> None:
    body, _ = OBJECTS[noun]
    headers = {"idempotency-key": "8c2f-" + noun}
    first = await admin.call("POST", f"/{noun}", json=body, headers=headers)
    before = rows(admin)
    again = await admin.call("POST", f"/{noun}", json=body, headers=headers)
    assert (again.status_code, again.json(), again.headers["etag"]) == (201, first.json(), first.headers["etag"])
    assert again.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert rows(admin) == before
    other = body | {"name": "another"} if "name" in body else body | {"on_failure": "open"}
    await admin.fails("POST", f"/{noun}", 409, "idempotency_key_reused", json=other, headers=headers)
    await admin.fails("POST", "/teams?dry_run=false", 409, "idempotency_key_reused", json=body, headers=headers)


async def test_a_key_s_secret_is_given_again_and_nowhere_in_the_clear(admin: Admin) -> None:
    headers = {"idempotency-key": "once"}
    first = await admin.call("POST", "/keys", json={"name": "ci"}, headers=headers)
    again = await admin.call("POST", "/keys", json={"name": "ci"}, headers=headers)
    assert again.json()["key"] == first.json()["key"]
    (row,) = admin.sql("SELECT * FROM idempotency_keys")
    assert first.json()["key"].encode() not in row["answer"] and b"once" not in row["digest"]
    rotated = [await admin.call("POST", "/keys/ci/rotate", json={}, headers={"idempotency-key": "r"}) for _ in range(2)]
    assert rotated[0].json()["key"] == rotated[1].json()["key"] and len(admin.audit("key.rotate")) == 1


async def test_a_refused_request_may_be_repeated(admin: Admin) -> None:
    headers = {"idempotency-key": "later"}
    await admin.fails("POST", "/keys", 404, "team_not_found", json={"name": "ci", "team": "search"}, headers=headers)
    await admin.make("/teams", name="search")
    assert (await admin.call("POST", "/keys", json={"name": "ci", "team": "search"}, headers=headers)).status_code == 201


async def test_the_same_key_is_forgotten_after_a_day(admin: Admin) -> None:
    headers = {"idempotency-key": "daily"}
    await admin.call("POST", "/teams", json={"name": "one"}, headers=headers)
    admin.sql("UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second'")
    assert (await admin.call("POST", "/teams", json={"name": "two"}, headers=headers)).status_code == 201
    admin.sql("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
    await admin.call("POST", "/teams", json={"name": "three"}, headers={"idempotency-key": "new"})
    assert len(admin.sql("SELECT 1 AS x FROM idempotency_keys")) == 1


async def test_repetitions_at_the_same_time_make_one(admin: Admin) -> None:
    answers = await asyncio.gather(
        *(admin.call("POST", "/keys", json={"name": "ci"}, headers={"idempotency-key": "storm"}) for _ in range(30))
    )
    made = [answer for answer in answers if answer.status_code == 201]
    assert made and {answer.json()["key"] for answer in made} == {made[0].json()["key"]}
    for answer in answers:
        if answer.status_code != 201:
            assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
            assert answer.headers["retry-after"] == "1"
    assert len(admin.audit("key.create")) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
async def test_an_idempotency_key_is_visible_ascii(admin: Admin, key: str) -> None:
    await admin.fails("POST", "/teams", 400, "invalid_request", json={"name": "x"}, headers={"idempotency-key": key.encode()})


async def test_read_only_refuses_every_change_but_its_own_end(admin: Admin) -> None:
    put = await admin.call("PUT", "/settings/admin.read_only", json={"value": True})
    assert put.status_code == 200
    for noun, (body, patch) in OBJECTS.items():
        problem = await admin.fails("POST", f"/{noun}", 423, "read_only", json=body)
        assert problem["hint"].endswith("scutum settings set admin.read_only=false")
        del patch
    await admin.fails("PATCH", "/teams/default", 423, "read_only", json={"unit": None})
    await admin.fails("DELETE", "/aliases/fast", 423, "read_only")
    await admin.fails("PUT", "/settings/keys.default_ttl_days", 423, "read_only", json={"value": 3})
    assert (await admin.call("POST", "/teams?dry_run=true", json={"name": "x"})).status_code == 201
    assert (await admin.get("/teams"))["items"]
    refused = await admin.call("POST", "/license/activate", json={"license_key": "no licence"})
    assert refused.status_code == 400
    assert (await admin.call("PUT", "/settings/admin.read_only", json={"value": False})).status_code == 200
    await admin.make("/teams", name="search")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_body_that_is_not_sent_as_json_is_refused(admin: Admin, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    problem = await admin.fails("POST", "/teams", 415, "unsupported_media_type", content=json.dumps({"name": "x"}), headers=headers)
    assert "application/json" in problem["hint"]
    assert (await admin.call("POST", "/teams", content='{"name": "x"}', headers={"content-type": "application/json; charset=utf-8"})).status_code == 201
