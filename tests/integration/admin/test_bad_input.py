"""Whatever is sent to whichever route: refused in words, with the field's name, and never an error of ours."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from scutum_server.admin import openapi, permissions
from scutum_server.admin.app import routes
from tests.integration.admin.conftest import API, Admin
from tests.integration.admin.test_wishes import OBJECTS

DOCUMENT = json.loads(openapi.render(routes()))
SCHEMAS = DOCUMENT["components"]["schemas"]
SESSION_ENDERS = {"/auth/logout", "/auth/password", "/auth/login", "/auth/refresh"}
NAUGHTY = [
    "'", '"', "' OR '1'='1", "'; DROP TABLE teams; --", "%", "_", "\\", "%s", "%(id)s", "{0}", "${HOME}", "$(id)", "`id`",
    "../../etc/passwd", "..", ".", "/", "//", "a/b", "/revoke", "a/revoke", "?x=1", "#x", ";", "<script>", "\t", "\n", "\u202e",
    "\u200b", "\ufeff", "é", "e\u0301", "日本", "🏴‍☠️", "\u2028", "*", "a*", "null", "true", "-1", "0", "x" * 1500,
]  # fmt: skip


def operations() -> Iterator[tuple[str, str, dict]]:
    """Method, path below the API's own, and the operation."""
    for path, found in DOCUMENT["paths"].items():
        if path.startswith(API):
            for method, operation in found.items():
                yield method.upper(), path.removeprefix(API), operation


def with_body() -> list[tuple[str, str, dict, dict]]:
    """Method, path, the body's schema and its example."""
    found = []
    for method, path, operation in operations():
        media = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if media and path not in SESSION_ENDERS:
            schema = media["schema"]
            for option in schema.get("anyOf", [schema]):
                if "$ref" in option:
                    found.append((method, path, SCHEMAS[option["$ref"].rpartition("/")[2]], media["example"]))
    return found


async def stock(admin: Admin) -> dict[str, str]:
    """One object of each noun: its id, or its name where that is what it has."""
    made = {noun: (await admin.make(f"/{noun}", **body))["id"] for noun, (body, _) in OBJECTS.items()}
    made["users"] = (await admin.make("/users", email="ada@example.com", role="viewer"))["id"]
    made["service-accounts"] = (await admin.make("/service-accounts", name="ci", role="viewer"))["id"]
    return made | {"aliases": "fast", "settings": "keys.default_ttl_days", "roles": "viewer"}


def filled(path: str, made: dict[str, str]) -> str:
    """The path with what there is in the place of its references."""
    noun = path.strip("/").partition("/")[0]
    return re.sub(r"\{(\w+)\}", lambda match: "primary" if match[1] == "key" and noun == "providers" else made.get(noun, "x"), path)


def as_dict(example: object) -> dict:
    return dict(example) if isinstance(example, dict) else {}


async def test_unknown_fields_are_refused_by_name(admin: Admin) -> None:
    made = await stock(admin)
    assert len(with_body()) >= 25
    for method, path, _, example in with_body():
        problem = await admin.fails(method, filled(path, made), 422, "invalid_request", json=as_dict(example) | {"nosuch": 1})
        assert {"field": "nosuch", "message": "is not a known field"} in problem["errors"], path


async def test_wrong_types_are_refused_by_the_field_s_name(admin: Admin) -> None:
    made, asked = await stock(admin), 0
    for method, path, schema, example in with_body():
        for field, inner in schema["properties"].items():
            options = inner.get("anyOf", [inner])
            if not any("type" in option or "$ref" in option or "enum" in option for option in options):
                continue  # any value is right
            for odd in ({"a": {"b": [1]}}, [[[]]], 10**30, -1, 1.5, True, "\0", "\ud800", "", "x" * 70_000):
                content = json.dumps(as_dict(example) | {field: odd})
                answer = await admin.call(method, filled(path, made) + "?dry_run=true", content=content, headers={"content-type": "application/json"})
                assert answer.status_code < 500, (method, path, field, odd, answer.text)
                if isinstance(odd, list) and all(option.get("type") != "array" for option in options) or odd in ("\0", "\ud800"):
                    assert answer.status_code == 422, (method, path, field, odd, answer.text)
                    if odd not in ("\0", "\ud800"):
                        assert any(error["field"].startswith(field) for error in answer.json()["errors"]), answer.text
                asked += 1
    assert asked > 800


async def test_bodies_that_are_none(admin: Admin) -> None:
    made = await stock(admin)
    kind = {"content-type": "application/json"}
    for method, path, _, _ in with_body():
        where = filled(path, made) + "?dry_run=true"
        for content in ("", "{", "nul", "[]", '"x"', "1", "{" * 5000, "[" * 100_000, '{"a": 1e400}', '{"a": NaN}', b"\xff\xfe", b"\xef\xbb\xbf{}"):
            answer = await admin.call(method, where, content=content, headers=kind)
            assert answer.status_code in {400, 422} or (content in ("", b"\xef\xbb\xbf{}") and answer.status_code < 500), (method, path, content[:20], answer.text)
        if path.startswith("/config/"):
            continue  # a whole install's configuration may be larger
        answer = await admin.call(method, where, content=b'{"name": "' + b"x" * 1024 * 1024 + b'"}', headers=kind)
        assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


async def test_names_with_metacharacters_lead_to_nothing(admin: Admin) -> None:
    made = await stock(admin)
    before = admin.sql("SELECT (SELECT count(*) FROM teams) AS teams, (SELECT count(*) FROM audit_logs) AS audit")
    for method, path, operation in operations():
        if "{" not in path or path in SESSION_ENDERS:
            continue
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        for text in NAUGHTY:
            where = re.sub(r"\{\w+\}", lambda _: quote(text, safe=""), path, count=1)
            where = re.sub(r"\{\w+\}", "x", where)
            if method != "GET":
                where += "?dry_run=true" if not path.endswith("/test") else ""
            answer = await admin.call(method, where, json=body)
            # A name of slashes or dots may be the list itself, or no route at all.
            assert answer.status_code in {400, 404, 405, 409, 422} or (answer.status_code < 300 and (text in {"/", "//", ".", "..", "a/revoke", "/revoke"} or method == "PUT")), (
                method, path, text, answer.status_code, answer.text[:300],
            )  # fmt: skip
            assert answer.status_code < 500
    assert admin.sql("SELECT (SELECT count(*) FROM teams) AS teams, (SELECT count(*) FROM audit_logs) AS audit") == before
    del made


async def test_names_with_metacharacters_are_names(admin: Admin) -> None:
    """What can be seen is kept as it is and found again; the rest is refused."""
    kept = 0
    for text in NAUGHTY:
        answer = await admin.call("POST", "/teams", json={"name": text})
        if answer.status_code == 201:
            kept += 1
            team = await admin.get(f"/teams/{quote(answer.json()['name'], safe='')}")
            assert team == answer.json()
            assert (await admin.call("DELETE", f"/teams/{quote(team['name'], safe='')}")).status_code == 204, text
        else:
            assert (answer.status_code in {400, 409, 422}) and answer.json()["errors"][0]["field"] == "name", answer.text
    assert kept > 20


ALIKE = [
    ("coco", "сосо", "name_taken"),  # Cyrillic throughout
    ("coco", "ｃｏｃｏ", "name_taken"),  # full width
    ("office", "oﬃce", "name_taken"),  # a ligature
    ("café", "cafe\u0301", "name_taken"),  # an accent of its own
    ("OXO", "ΟΧΟ", "name_taken"),  # Greek throughout
    ("paypal", "pаypal", "invalid_field"),  # one Cyrillic letter
    ("search", "sear\u200bch", "invalid_field"),  # without width
    ("search", "sear\u034fch", "invalid_field"),
    ("search", "search\u3164", "invalid_field"),  # a letter without ink
    ("search", "\u0301search", "invalid_field"),
    ("search", "search\ufe0f", "invalid_field"),
]


@pytest.mark.parametrize("noun", ["orgs", "units", "teams", "keys"])
async def test_a_name_that_looks_like_another_is_refused(admin: Admin, noun: str) -> None:
    for number, (name, double, code) in enumerate(ALIKE):
        await admin.call("POST", f"/{noun}", json={"name": name})
        answer = await admin.call("POST", f"/{noun}", json={"name": double})
        assert (answer.status_code, answer.json()["code"]) == ({"name_taken": 409}.get(code, 400), code), (name, double, answer.text)
        if noun != "keys":
            other = await admin.make(f"/{noun}", name=f"other {number}")
            await admin.fails("PATCH", f"/{noun}/{other['id']}", answer.status_code, code, json={"name": double})
    for fine in ("検索", "検索 team", "поиск", "αναζήτηση", "équipe", "straße", "١٢٣", "naïve", "a.b-c_d e"):
        made = await admin.make(f"/{noun}", name=fine)
        assert (await admin.get(f"/{noun}/{quote(fine, safe='')}"))["id"] == made["id"]


async def one_gets_the_name(admin: Admin, noun: str, count: int) -> None:
    body = {"name": "wanted"} | ({"kind": "sim"} if noun == "providers" else {})
    answers = await asyncio.gather(*(admin.call("POST", f"/{noun}", json=body) for _ in range(count)))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(201), codes.count(409)) == (1, count - 1), {answer.text for answer in answers if answer.status_code not in (201, 409)}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"name_taken"}
    assert [row["diff"]["after"]["name"] for row in admin.audit(f"{noun[:-1]}.create")].count("wanted") == 1


@pytest.mark.parametrize("noun", ["teams", "keys", "providers", "orgs"])
async def test_of_many_who_want_a_name_one_gets_it(admin: Admin, noun: str) -> None:
    """Of a thousand in tests/long/admin.py."""
    await one_gets_the_name(admin, noun, 60)


async def test_what_another_org_has_does_not_exist(admin: Admin) -> None:
    """Every route, asked by the owner of one org for what belongs to another."""
    theirs: dict[str, str] = {}
    for org in ("ours", "theirs"):
        await admin.make("/orgs", name=org)
        await admin.make("/units", name=f"{org} unit", org=org)
        await admin.make("/teams", name=f"{org} team", org=org, unit=f"{org} unit")
        await admin.make("/keys", name=f"{org} key", team=f"{org} team", owner=org)
        await admin.make("/limits", scope="team", team=f"{org} team", rpm=5)
        await admin.make("/budgets", scope="unit", unit=f"{org} unit", period="day", amount_usd="5")
        await admin.make("/users", email=f"{org}@example.com", role="viewer", org=org)
        await admin.make("/service-accounts", name=f"{org}-ci", role="viewer", org=org)
    for noun in ("orgs", "units", "teams", "keys", "limits", "budgets", "users", "service-accounts"):
        theirs[noun] = (await admin.get(f"/{noun}"))["items"][-1]["id"]
    headers = await admin.session("owner", "ours")
    before = admin.sql("SELECT count(*) AS n FROM audit_logs WHERE outcome = 'success' AND action <> 'auth.login'")
    asked = 0
    for method, path, operation in operations():
        noun = path.strip("/").partition("/")[0]
        name = operation["operationId"]
        if "{" not in path or noun not in theirs or permissions.PERMISSIONS[permissions.ROUTES[name]].install:
            continue
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        row = (await admin.get(filled("/" + noun + "/{ref}", theirs)))
        for ref in {theirs[noun], theirs[noun][-8:], row.get("name") or row["id"], row.get("email") or row["id"]}:
            where = path.replace("{ref}", quote(ref, safe=""))
            answer = await admin.call(method, where, json=body, headers=headers)
            assert answer.status_code == 404, (method, where, answer.text)
            asked += 1
    assert asked > 60
    for path, body in (
        ("/units", {"name": "x", "org": "theirs"}),
        ("/teams", {"name": "x", "org": "theirs"}),
        ("/teams", {"name": "x", "unit": "theirs unit"}),
        ("/keys", {"name": "x", "team": "theirs team"}),
        ("/limits", {"scope": "key", "key": "theirs key", "rpm": 1}),
        ("/limits", {"scope": "team", "team": theirs["teams"], "rpm": 1}),
        ("/budgets", {"scope": "org", "org": "theirs", "period": "day", "amount_usd": "1"}),
        ("/budgets", {"scope": "unit", "unit": theirs["units"], "period": "week", "amount_usd": "1"}),
    ):
        answer = await admin.call("POST", path, json=body, headers=headers)
        assert answer.status_code == 404, (path, body, answer.text)
    for path, body in (
        ("/limits", {"scope": "global", "rpm": 1}),
        ("/limits", {"scope": "user", "user": "theirs", "rpm": 1}),
        ("/limits", {"scope": "model", "model": "sim", "rpm": 1}),
        ("/budgets", {"scope": "global", "period": "day", "amount_usd": "1"}),
        ("/orgs", {"name": "third"}),
    ):
        answer = await admin.call("POST", path, json=body, headers=headers)
        assert answer.status_code == 403, (path, body, answer.text)
    ours = await admin.call("PATCH", "/teams/ours team", json={"unit": "theirs unit"}, headers=headers)
    assert ours.status_code == 404
    for noun, found in theirs.items():
        listed = await admin.call("GET", f"/{noun}?limit=500", headers=headers)
        if listed.status_code == 200:
            assert found not in listed.text and "theirs" not in listed.text, noun
    for query in ("/teams?org=theirs", "/teams?unit=theirs unit", "/keys?team=theirs team", "/units?org=theirs", "/limits?team=theirs team", "/budgets?unit=theirs unit"):
        assert (await admin.call("GET", query, headers=headers)).status_code == 404, query
    assert admin.sql("SELECT count(*) AS n FROM audit_logs WHERE outcome = 'success' AND action <> 'auth.login'") == [{"n": before[0]["n"]}]
    assert (await admin.call("GET", "/keys?owner=theirs", headers=headers)).json()["items"] == []
    own = await admin.call("POST", "/keys", json={"name": "x", "team": "ours team"}, headers=headers)
    assert own.status_code == 201
