"""Teams and keys, as a client of the admin API meets them."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from urllib.parse import quote

import psycopg

from tests.integration.admin.conftest import Admin


async def test_a_new_install_has_an_org_a_team_and_a_simulator(admin: Admin) -> None:
    assert [org["name"] for org in (await admin.get("/orgs"))["items"]] == ["default"]
    assert [team["name"] for team in (await admin.get("/teams"))["items"]] == ["default"]
    assert {row["actor_kind"] for row in admin.audit("team.create")} == {"system"}


async def test_a_team_is_made_found_and_deleted(admin: Admin) -> None:
    team = await admin.make("/teams", name="search")
    assert team["org"] == "default"
    assert await admin.get(f"/teams/{team['id']}") == team
    assert await admin.get("/teams/search") == team
    assert await admin.get(f"/teams/{team['id'][-6:]}") == team
    assert (await admin.call("DELETE", "/teams/search")).status_code == 204
    await admin.fails("GET", "/teams/search", 404, "team_not_found")
    assert [row["resource_id"] for row in admin.audit("team.delete")] == [team["id"]]
    assert admin.config("team", team["id"]) == 2


async def test_a_key_shows_its_secret_once(admin: Admin) -> None:
    issued = await admin.make("/keys", name="ci", owner="ops", allowed_models=["sim"], metadata={"stage": "test"})
    secret = issued.pop("key")
    assert secret.startswith("sk-scutum-")
    assert issued["hint"] == f"{secret[:10]}…{secret[-4:]}"
    assert await admin.get("/keys/ci") == issued
    assert issued["state"] == "active" and issued["team"] == "default"
    (row,) = admin.sql("SELECT hash FROM api_keys")
    assert row["hash"] == hashlib.sha256(secret.encode()).digest()


async def test_a_key_expires_is_changed_and_revoked(admin: Admin) -> None:
    issued = await admin.make("/keys", name="ci", expires_in=3600)
    expires = dt.datetime.fromisoformat(issued["expires_at"])
    assert dt.timedelta(minutes=59) < expires - dt.datetime.now(dt.UTC) <= dt.timedelta(hours=1)
    changed = await admin.call(
        "PATCH", "/keys/ci", json={"name": "cd", "expires_at": None, "allowed_ips": ["10.0.0.0/8"]}
    )
    assert changed.json()["expires_at"] is None and changed.json()["allowed_ips"] == ["10.0.0.0/8"]
    (row,) = admin.audit("key.update")
    assert row["diff"]["before"].keys() == {"name", "expires_at", "allowed_ips"}
    assert (await admin.call("PATCH", "/keys/cd", json={"name": "cd"})).status_code == 200
    assert len(admin.audit("key.update")) == 1, "nothing changed, so nothing is noted"
    admin.sql("UPDATE api_keys SET expires_at = now() - interval '1 second'")
    assert (await admin.get("/keys/cd"))["state"] == "expired"
    revoked = await admin.call("POST", "/keys/cd/revoke")
    assert revoked.json()["state"] == "revoked"
    assert (await admin.call("POST", f"/keys/{issued['id']}/revoke")).json() == revoked.json()
    assert len(admin.audit("key.revoke")) == 1
    await admin.fails("PATCH", f"/keys/{issued['id']}", 409, "key_revoked", json={"name": "x"})
    await admin.fails("POST", f"/keys/{issued['id']}/rotate", 409, "key_revoked")
    assert admin.config("key", issued["id"]) == 3


async def test_a_rotated_key_overlaps_with_its_former_secret(admin: Admin) -> None:
    first = await admin.make("/keys", name="ci")
    second = await admin.make("/keys/ci/rotate", 200, overlap_seconds=600)
    assert second["key"] != first["key"] and second["id"] == first["id"]
    assert second["previous_valid_until"] is not None
    (row,) = admin.sql("SELECT hash, previous_hash, previous_valid_until > now() AS overlaps FROM api_keys")
    assert row["hash"] == hashlib.sha256(second["key"].encode()).digest()
    assert row["previous_hash"] == hashlib.sha256(first["key"].encode()).digest()
    assert row["overlaps"]
    third = (await admin.call("POST", "/keys/ci/rotate")).json()
    assert third["previous_valid_until"] is None
    (row,) = admin.sql("SELECT previous_hash FROM api_keys")
    assert row["previous_hash"] is None


async def test_operators_defaults_apply_to_keys_that_do_not_say(admin: Admin) -> None:
    await admin.call("PUT", "/settings/keys.default_ttl_days", json={"value": 7})
    await admin.call("PUT", "/settings/keys.rotation_overlap_seconds", json={"value": 60})
    assert (await admin.make("/keys", name="a"))["expires_at"] is not None
    assert (await admin.make("/keys", name="b", expires_at=None))["expires_at"] is None
    assert (await admin.make("/keys/a/rotate", 200))["previous_valid_until"] is not None
    assert (await admin.make("/keys/a/rotate", 200, overlap_seconds=0))["previous_valid_until"] is None


async def test_a_team_with_live_keys_stays(admin: Admin) -> None:
    await admin.make("/teams", name="search")
    key = await admin.make("/keys", name="ci", team="search")
    problem = await admin.fails("DELETE", "/teams/search", 409, "team_in_use")
    assert "ci" in problem["detail"]
    await admin.call("POST", f"/keys/{key['id']}/revoke")
    assert (await admin.call("DELETE", "/teams/search")).status_code == 204
    await admin.fails("GET", f"/keys/{key['id']}", 404, "key_not_found")
    await admin.fails("DELETE", "/teams/default", 409, "team_in_use")


async def test_names_are_unique_in_their_team_and_ambiguous_across(admin: Admin) -> None:
    await admin.make("/teams", name="search")
    first = await admin.make("/keys", name="ci")
    second = await admin.make("/keys", name="ci", team="search")
    await admin.fails("POST", "/keys", 409, "name_taken", json={"name": "ci"})
    problem = await admin.fails("GET", "/keys/ci", 409, "ambiguous_ref")
    assert first["id"] in problem["detail"] and second["id"] in problem["detail"]
    assert "in team search" in problem["detail"]
    await admin.fails("POST", "/keys/ci/revoke", 409, "ambiguous_ref")
    await admin.call("POST", f"/keys/{second['id']}/revoke")
    assert (await admin.get("/keys/ci"))["id"] == first["id"], "a live key wins over a revoked namesake"
    await admin.make("/keys", name="ci", team="search")
    assert len((await admin.get("/keys", team="search"))["items"]) == 2


async def test_a_short_id_must_be_long_enough_and_a_name_wins(admin: Admin) -> None:
    team = await admin.make("/teams", name="search")
    for ref in ("team_", "t", team["id"][-3:], team["id"][:8]):
        await admin.fails("GET", f"/teams/{ref}", 404, "team_not_found")
    other = await admin.make("/teams", name=team["id"][-6:])
    assert (await admin.get(f"/teams/{team['id'][-6:]}"))["id"] == other["id"]
    await admin.fails("GET", f"/teams/{team['id'][:9]}", 409, "ambiguous_ref")


async def test_of_fifty_creations_of_one_name_one_wins(admin: Admin) -> None:
    answers = await asyncio.gather(*(admin.call("POST", "/teams", json={"name": "race"}) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49
    keys = await asyncio.gather(*(admin.call("POST", "/keys", json={"name": "race"}) for _ in range(50)))
    assert sorted(answer.status_code for answer in keys) == [201] + [409] * 49
    assert len(admin.audit("key.create")) == 1 and admin.sql("SELECT count(*) AS n FROM api_keys")[0]["n"] == 1


async def test_of_concurrent_renames_to_one_name_one_wins(admin: Admin) -> None:
    for number in range(5):
        await admin.make("/keys", name=f"k{number}")
    answers = await asyncio.gather(*(admin.call("PATCH", f"/keys/k{n}", json={"name": "one"}) for n in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 4
    assert len(admin.audit("key.update")) == 1


async def test_a_key_is_not_made_in_a_team_that_is_being_deleted(admin: Admin) -> None:
    await admin.make("/teams", name="search")
    async with await psycopg.AsyncConnection.connect(**admin.database.conninfo()) as other:
        await other.execute("DELETE FROM teams WHERE name = 'search'")
        creating = asyncio.create_task(admin.call("POST", "/keys", json={"name": "ci", "team": "search"}))
        query = "SELECT 1 AS x FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        async with asyncio.timeout(10):
            while not admin.sql(query):
                await asyncio.sleep(0.02)
        await other.commit()
        assert (await creating).json()["code"] == "team_not_found"


METACHARACTERS = [
    "'; DROP TABLE teams; --", "a/b", "100%_%", 'q"uo\\te', "Größe ☃ 日本語", "..%2f..", "a?b#c", "{x}", "$1", "x/revoke",
    "e\u0301",
]  # fmt: skip


async def test_names_with_metacharacters_are_only_names(admin: Admin) -> None:
    for name in METACHARACTERS:
        team = await admin.make("/teams", name=name)
        assert await admin.get(f"/teams/{quote(name, safe='')}") == team
        key = await admin.make("/keys", name=name, team=name)
        found = await admin.get(f"/keys/{quote(name, safe='')}")
        assert found["id"] == key["id"]
        assert (await admin.call("POST", f"/keys/{quote(name, safe='')}/revoke")).json()["state"] == "revoked"
        assert (await admin.call("DELETE", f"/teams/{quote(name, safe='')}")).status_code == 204


BAD_KEYS: list[tuple[dict, int, str | None]] = [
    ({"name": ""}, 422, "name"),
    ({"name": "x" * 101}, 422, "name"),
    ({"name": " x"}, 400, "name"),
    ({"name": "a\nb"}, 400, "name"),
    ({"name": "."}, 400, "name"),
    ({"name": "a\u202eb"}, 400, "name"),
    ({"name": 5}, 422, "name"),
    ({"name": None}, 422, "name"),
    ({}, 422, "name"),
    ({"name": "x", "nope": 1}, 422, "nope"),
    ({"name": "x", "expires_in": 0}, 422, "expires_in"),
    ({"name": "x", "expires_in": 10**12}, 422, "expires_in"),
    ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, 400, "expires_at"),
    ({"name": "x", "expires_at": "9999-01-01T00:00:00Z"}, 400, "expires_at"),
    ({"name": "x", "expires_at": "2030-01-01T00:00:00"}, 422, "expires_at"),
    ({"name": "x", "expires_at": "2030-01-01T00:00:00Z", "expires_in": 5}, 400, "expires_at"),
    ({"name": "x", "allowed_models": []}, 400, "allowed_models"),
    ({"name": "x", "allowed_models": "sim"}, 422, "allowed_models"),
    ({"name": "x", "allowed_routes": ["chat"]}, 400, "allowed_routes"),
    ({"name": "x", "allowed_ips": ["10.0.0.0/99"]}, 400, "allowed_ips"),
    ({"name": "x", "metadata": {"a": "x" * 20_000}}, 400, "metadata"),
    ({"name": "x", "metadata": []}, 422, "metadata"),
    ({"name": "x", "team": "nope"}, 404, None),
]


async def test_bad_keys_are_refused_with_the_fields_name(admin: Admin) -> None:
    for body, status, field in BAD_KEYS:
        answer = await admin.call("POST", "/keys", json=body)
        assert answer.status_code == status, (body, answer.text)
        if field:
            assert field in [error["field"] for error in answer.json()["errors"]], body
    assert admin.sql("SELECT id FROM api_keys") == []


UNSTORABLE = [
    b'{"name": "a\\u0000b"}',
    b'{"name": "a\\ud800"}',
    b'{"name": "x", "metadata": {"a": NaN}}',
    b'{"name": "x", "metadata": {"a\\u0000": 1}}',
    b'{"name": "x", "metadata": ' + b'{"a":' * 30 + b"1" + b"}" * 30 + b"}",
    b'{"name": "x", "metadata": ' + b"[" * 50_000,
    b'{"name": "x", "metadata": {"a": ' + b"9" * 5000 + b"}}",
    b"{",
    b"",
    b"[]",
    b'"x"',
    b"\xff\xfe",
]


async def test_json_that_cannot_be_stored_is_refused(admin: Admin) -> None:
    for raw in UNSTORABLE:
        answer = await admin.call("POST", "/keys", content=raw, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 422}, (raw[:80], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_lists_are_paged_to_the_end_without_gaps(admin: Admin) -> None:
    made = {(await admin.make("/keys", name=f"k{number:02}"))["id"] for number in range(7)}
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await admin.get("/keys", limit=3, **cursor)
        seen += [key["id"] for key in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert len(seen) == 7 and set(seen) == made
    await admin.fails("GET", "/keys?limit=501", 422, "invalid_request")
    await admin.fails("GET", "/keys?limit=0", 422, "invalid_request")
    of_another_list = "WyJ0ZWFtcyIsIngiXQ"
    for bad in ("x", "e30", "%FF", of_another_list):
        await admin.fails("GET", f"/keys?cursor={bad}", 400, "invalid_cursor")
