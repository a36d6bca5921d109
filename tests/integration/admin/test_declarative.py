"""The configuration as a file, against the real control plane."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from tests.fixtures.servers import Postgres
from tests.integration.admin.conftest import Admin, admin_settings, running

from scutum_server.settings import RedisSettings
from scutum_server.worker.drift import DriftWatch

FULL = (Path(__file__).parents[2] / "compat" / "config-1.yaml").read_text()
"""A file of the first release that knew them: every later one applies it."""


def digest() -> str:
    return hashlib.sha256(secrets.token_bytes()).hexdigest()


@pytest.fixture
def file() -> str:
    return FULL.replace("c1" * 32, digest()).replace("0e" * 32, digest())


@pytest.fixture
async def second(postgres: Postgres, redis_settings: RedisSettings) -> AsyncIterator[Admin]:
    """Another install, empty."""
    name = postgres.clone()
    async with running(admin_settings(postgres.app(name), redis_settings)) as client:
        yield client
    postgres.drop(name)


SECRET = {"env:VENDOR_API_KEY": "sk-vendor-" + "v" * 30}


async def apply(admin: Admin, file: str, **more: object) -> dict:
    asked = {"dry_run": "true"} if more.pop("dry_run", False) else {}
    answer = await admin.call("POST", "/config/apply", params=asked, json={"file": file, "secrets": SECRET, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def diff(admin: Admin, file: str, **more: object) -> list[tuple[str, str, str]]:
    answer = await admin.call("POST", "/config/diff", json={"file": file, **more})
    assert answer.status_code == 200, answer.text
    return [(change["action"], change["noun"], change["name"]) for change in answer.json()["changes"]]


async def export(admin: Admin) -> str:
    return (await admin.get("/config/export"))["file"]


def counts(admin: Admin) -> dict[str, int]:
    tables = ("orgs", "units", "teams", "providers", "deployments", "aliases", "api_keys", "limits", "budgets",
              "audit_logs", "events_outbox", "config_changes", "secret_references", "config_applied")  # fmt: skip
    return {table: admin.sql(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in tables}


async def test_a_file_makes_everything_and_then_changes_nothing(admin: Admin, file: str) -> None:
    plan = await apply(admin, file)
    assert plan["counts"] == {"create": 18, "update": 0, "delete": 0}
    nouns = [change["noun"] for change in plan["changes"]]
    order = ["org", "unit", "team", "provider", "model", "alias", "key", "limit", "budget", "setting"]
    assert nouns == sorted(nouns, key=order.index)
    assert await diff(admin, file) == []
    again = await apply(admin, file)
    assert again["changes"] == []
    key = next(each for each in (await admin.get("/keys"))["items"] if each["name"] == "ci")
    assert (key["team"], key["owner"], key["state"]) == ("search", "ana", "active")
    assert key["expires_at"] == "2099-01-31T10:00:00Z"
    provider = await admin.get("/providers/vendor")
    assert provider["api_key_hint"] == "sk-…vvvv" and provider["base_url"] == "https://api.openai.com/v1"


async def test_each_object_is_on_the_trail_once_with_who_did_it(admin: Admin, file: str) -> None:
    before = admin.sql("SELECT count(*) AS n FROM audit_logs")[0]["n"]
    await admin.call("POST", "/config/apply", json={"file": file, "secrets": SECRET}, headers={"x-scutum-source": "cli"})
    rows = admin.sql("SELECT * FROM audit_logs ORDER BY timestamp OFFSET %s", before)
    created = [row["action"] for row in rows if row["action"].endswith(".create")]
    assert len(created) == 17 and [row["action"] for row in rows if "setting" in row["action"]] == ["setting.update"]
    assert [row["action"] for row in rows].count("config.apply") == 1
    assert {row["source"] for row in rows} == {"cli"} and {row["actor_id"] for row in rows} == {"master"}
    assert len({row["request_id"] for row in rows}) == 1
    text = "".join(row["canonical"] for row in rows)
    assert SECRET["env:VENDOR_API_KEY"] not in text
    for org in {row["org_id"] for row in rows}:
        chain = admin.sql("SELECT prev_hash, hash, canonical, seq FROM audit_logs WHERE org_id = %s ORDER BY seq", org)
        previous = b""
        for number, row in enumerate(chain, 1):
            assert (row["seq"], row["prev_hash"]) == (number, previous)
            assert row["hash"] == hashlib.sha256(previous + row["canonical"].encode()).digest()
            previous = row["hash"]


async def test_an_export_applied_to_an_empty_install_exports_the_same_bytes(
    admin: Admin, second: Admin, file: str
) -> None:
    await apply(admin, file)
    await admin.call("DELETE", "/aliases/coding")
    await admin.call("PATCH", "/providers/sim", json={"settings": {"latency_ms": 5, "error_rate": 0.25}})
    await admin.make("/keys", name="made-here")
    text = await export(admin)
    assert SECRET["env:VENDOR_API_KEY"] not in text and "env:VENDOR_API_KEY" in text
    assert await diff(admin, text) == [] and await diff(admin, text, prune=True) == []
    await apply(second, text, prune=True)
    assert await export(second) == text
    assert await export(admin) == text
    assert yaml.safe_load(text)["keys"][0]["metadata"] == {"ticket": 7, "note": "on"}


async def test_nothing_of_a_file_is_done_when_one_object_cannot_be(admin: Admin, file: str) -> None:
    before, exported = counts(admin), await export(admin)
    broken = {
        "weights: [3, 1]": ("weights: [3]", "aliases quick.weights"),
        "strategy: weighted\n  weights: [3, 1]": ("weights: [3, 2]", "aliases quick.weights"),
        "connect_ms: 700": ("connect_ms: often", "providers vendor.settings"),
        "http://127.0.0.1:8000/v1": ("ftp://x", "providers box.base_url"),
        "keys.default_ttl_days: 90": ("keys.default_ttl_days: never", "settings keys.default_ttl_days"),
        "time_zone: Asia/Kolkata": ("time_zone: Mars/Base", "orgs acme.time_zone"),
        "name: on\n": ('name: " on"\n', "keys default/other/ on.name"),
    }
    for right, (wrong, field) in broken.items():
        text = file.replace(right, wrong)
        line = next(number for number, row in enumerate(text.splitlines(), 1) if wrong.strip() in row)
        problem = await admin.fails(
            "POST", "/config/apply", 400, "invalid_file", json={"file": text, "secrets": SECRET}
        )
        (error,) = problem["errors"]
        assert error["field"].startswith(field) and error["line"] == line, (right, problem)
        assert f"line {line}, column" in problem["detail"]
    assert counts(admin) == before
    assert await export(admin) == exported


async def test_what_refers_to_nothing_is_found_before_anything_is_done(admin: Admin, file: str) -> None:
    for right, wrong, words in (
        ("  unit: research", "  unit: reserch", "no unit “acme/reserch”"),
        ("targets: [gpt-5-mini, sim]", "targets: [gpt-9, sim]", "no model “gpt-9”"),
        ("  team: search\n  name: ci", "  team: serch\n  name: ci", "no team “acme/serch”"),
        ("provider: box", "provider: fox", "no provider “fox”"),
        ("key: ci,", "key: cd,", "no key “acme/search/cd”"),
    ):
        problem = await admin.fails("POST", "/config/diff", 400, "invalid_file", json={"file": file.replace(right, wrong)})
        assert words in problem["detail"] and problem["errors"][0]["line"], problem


async def test_a_secret_is_told_by_reference_and_kept_where_it_is_not(admin: Admin, file: str) -> None:
    plan = (await admin.call("POST", "/config/diff", json={"file": file})).json()
    assert (plan["secrets"], plan["missing"]) == (["env:VENDOR_API_KEY"],) * 2
    problem = await admin.fails("POST", "/config/apply", 400, "invalid_file", json={"file": file})
    assert "env:VENDOR_API_KEY was not told" in problem["detail"] and problem["hint"]
    await apply(admin, file)
    wrapped = admin.sql("SELECT api_key_wrapped AS w FROM providers WHERE name = 'vendor'")[0]["w"]
    assert (await apply(admin, file, secrets={}))["changes"] == []
    without = file.replace("  api_key: env:VENDOR_API_KEY\n", "")
    assert (await apply(admin, without, secrets={}))["changes"] == [], "kept as it is"
    assert admin.sql("SELECT api_key_wrapped AS w FROM providers WHERE name = 'vendor'")[0]["w"] == wrapped
    other = {"env:VENDOR_API_KEY": "sk-vendor-" + "w" * 30}
    (change,) = (await apply(admin, file, secrets=other))["changes"]
    assert (change["name"], list(change["fields"])) == ("vendor", ["api_key"])
    assert (await admin.get("/providers/vendor"))["api_key_hint"] == "sk-…wwww"
    answers = "".join(admin.answers)
    assert SECRET["env:VENDOR_API_KEY"] not in answers and other["env:VENDOR_API_KEY"] not in answers


async def test_only_prune_deletes_and_only_in_the_files_sections(admin: Admin, file: str) -> None:
    await apply(admin, file)
    less = "version: 1\nteams:\n- name: other\nlimits: []\nkeys:\n- {team: other, name: on, sha256: %s}\n"
    kept = yaml.safe_load(file)["keys"][1]["sha256"]
    small = less % kept
    assert await diff(admin, small) == []
    wanted = await diff(admin, small, prune=True)
    assert [(action, noun) for action, noun, _ in wanted] == [("delete", "limit")] * 4 + [("delete", "key"), ("delete", "team")]
    assert ("delete", "team", "acme/search") in wanted and ("delete", "team", "default/default") not in wanted
    plan = await apply(admin, small, prune=True)
    assert plan["counts"] == {"create": 0, "update": 0, "delete": 6}
    assert (await admin.get("/limits"))["items"] == []
    assert (await admin.get("/providers/vendor"))["models"] == ["gpt-5-mini"], "a section that is absent is left alone"
    assert admin.sql("SELECT revoked_at FROM api_keys WHERE name = 'ci'") == [], "it went with its team"


async def test_what_is_still_used_is_not_pruned_and_nothing_else_is_either(admin: Admin, file: str) -> None:
    await apply(admin, file)
    before = counts(admin)
    problem = await admin.fails(
        "POST", "/config/apply", 409, "provider_in_use", json={"file": "version: 1\nproviders: []\nlimits: []\n", "prune": True}
    )
    assert "serves" in problem["detail"]
    assert counts(admin) == before


async def test_a_dry_run_tries_everything_and_leaves_nothing(admin: Admin, file: str) -> None:
    before = counts(admin)
    plan = await apply(admin, file, dry_run=True)
    assert plan["counts"]["create"] == 18
    assert counts(admin) == before
    wrong = {"file": file.replace("weights: [3, 1]", "weights: [3]"), "secrets": SECRET}
    await admin.fails("POST", "/config/apply", 400, "invalid_file", params={"dry_run": "true"}, json=wrong)
    await admin.call("PUT", "/settings/admin.read_only", json={"value": True})
    assert len(await diff(admin, file)) == 18, "comparing changes nothing"
    assert (await apply(admin, file, dry_run=True))["counts"]["create"] == 18
    await admin.fails("POST", "/config/apply", 423, "read_only", json={"file": file, "secrets": SECRET})


async def test_updates_change_only_what_differs(admin: Admin, file: str) -> None:
    await apply(admin, file)
    changed = (
        file.replace("time_zone: Asia/Kolkata", "time_zone: UTC").replace("  unit: research\n- name: other", "- name: other")
        .replace("connect_ms: 700", "first_byte_ms: 900").replace("  rpm: 500\n", "").replace("upstream_model: mini", "upstream_model: mini-2")
        .replace("  retries: 0\n", "").replace("owner: ana\n", "owner: bob\n").replace("rpm: 600, on_failure: open", "tpm: 9")
        .replace("amount_usd: 250.50", "amount_usd: 1").replace("keys.default_ttl_days: 90", "keys.default_ttl_days: 30")
    )  # fmt: skip
    plan = await apply(admin, changed)
    told = {(change["noun"], change["name"]): {name: (value["before"], value["after"]) for name, value in change["fields"].items()} for change in plan["changes"]}
    assert told == {
        ("org", "acme"): {"time_zone": ("Asia/Kolkata", "UTC")},
        ("team", "acme/search"): {"unit": ("research", None)},
        ("provider", "vendor"): {"settings": ({"timeouts": {"connect_ms": 700}}, {"timeouts": {"first_byte_ms": 900}})},
        ("model", "vendor/gpt-5-mini"): {"rpm": (500, None)},
        ("model", "box/gpt-5-mini"): {"upstream_model": ("mini", "mini-2")},
        ("alias", "quick"): {"retries": (0, 1)},
        ("key", "acme/search/ci"): {"owner": ("ana", "bob")},
        ("limit", "team/acme/search"): {"rpm": (600, None), "tpm": (None, 9), "on_failure": ("open", "closed")},
        ("budget", "unit/acme/research/month"): {"amount_usd": ("250.5", "1")},
        ("setting", "keys.default_ttl_days"): {"value": (90, 30)},
    }
    assert await diff(admin, changed) == []
    assert (await admin.get("/providers/vendor"))["settings"] == {"timeouts": {"first_byte_ms": 900}}


async def test_a_key_gets_another_hash_and_a_revoked_one_never_comes_back(admin: Admin, file: str) -> None:
    await apply(admin, file)
    former, fresh = yaml.safe_load(file)["keys"][0]["sha256"], digest()
    (change,) = (await apply(admin, file.replace(former, fresh)))["changes"]
    assert list(change["fields"]) == ["sha256"]
    row = admin.sql("SELECT encode(hash, 'hex') AS hash, previous_hash FROM api_keys WHERE name = 'ci'")[0]
    assert (row["hash"], row["previous_hash"]) == (fresh, None)
    await admin.call("POST", "/keys/ci/revoke")
    problem = await admin.fails("POST", "/config/apply", 400, "invalid_file", json={"file": file.replace(former, fresh), "secrets": SECRET})
    assert "which is revoked" in problem["detail"] and "sha256" in problem["errors"][0]["field"]
    twice = file.replace(yaml.safe_load(file)["keys"][1]["sha256"], former)
    problem = await admin.fails("POST", "/config/apply", 400, "invalid_file", json={"file": twice, "secrets": SECRET})
    assert "belongs to the key “ci”" in problem["detail"]
    twice = "version: 1\nkeys:\n" + "".join(f"- {{team: other, name: {name}, sha256: {'0' * 64}}}\n" for name in ("a", "b"))
    problem = await admin.fails("POST", "/config/apply", 400, "invalid_file", json={"file": twice})
    assert "belongs to the key “a” of this file" in problem["detail"] and problem["errors"][0]["line"] == 4


async def test_of_two_who_agreed_to_the_same_plan_one_wins_and_the_other_is_told(admin: Admin, file: str) -> None:
    plan = (await admin.call("POST", "/config/diff", json={"file": file})).json()
    body = {"file": file, "secrets": SECRET, "expected": plan["digest"]}
    answers = await asyncio.gather(*(admin.call("POST", "/config/apply", json=body) for _ in range(6)))
    codes = sorted(answer.json().get("code", "won") for answer in answers)
    assert codes.count("won") == 1, codes
    assert set(codes) <= {"won", "apply_running", "plan_changed"}
    assert {answer.status_code for answer in answers} == {200, 409}
    assert len(admin.audit("config.apply")) == 1


async def test_a_plan_that_is_no_longer_true_is_not_carried_out(admin: Admin, file: str) -> None:
    plan = (await admin.call("POST", "/config/diff", json={"file": file})).json()
    await admin.make("/teams", name="other")
    before = counts(admin)
    body = {"file": file, "secrets": SECRET, "expected": plan["digest"]}
    problem = await admin.fails("POST", "/config/apply", 409, "plan_changed", json=body)
    assert "scutum config diff" in problem["hint"]
    assert counts(admin) == before


async def test_drift_is_shown_until_it_is_mended_or_forgotten(admin: Admin, file: str) -> None:
    assert (await admin.get("/config/drift"))["applied"] is False
    await apply(admin, file)
    drift = await admin.get("/config/drift")
    assert (drift["applied"], drift["changes"], drift["applied_by"]) == (True, [], "master")
    await admin.make("/teams", name="beside")
    assert (await admin.get("/config/drift"))["changes"] == [], "the file was not to be all there is"
    team = next(each for each in (await admin.get("/teams"))["items"] if each["name"] == "search")
    await admin.call("PATCH", f"/teams/{team['id']}", json={"unit": None})
    (change,) = (await admin.get("/config/drift"))["changes"]
    assert (change["name"], change["fields"]["unit"]) == ("acme/search", {"before": None, "after": "research"})
    await apply(admin, file)
    assert (await admin.get("/config/drift"))["changes"] == []
    assert (await admin.call("DELETE", "/config/drift")).status_code == 204
    assert (await admin.get("/config/drift"))["applied"] is False


ACCOUNTS = """
version: 1
orgs:
- name: acme
users:
- {email: Ana@Acme.example, role: admin, name: Ana}
- {email: bo@acme.example, role: viewer, org: acme, disabled: true}
service_accounts:
- {name: ci, role: operator, sha256: %s, expires_at: 2099-01-01T00:00:00Z}
- {org: acme, name: ci, role: viewer, sha256: %s}
"""


async def test_people_and_programs_are_in_the_file_without_passwords_and_tokens(admin: Admin, second: Admin) -> None:
    token = "sk-service-" + secrets.token_urlsafe(32)
    text = ACCOUNTS % (hashlib.sha256(token.encode()).hexdigest(), digest())
    assert (await apply(admin, text))["counts"]["create"] == 5
    assert await diff(admin, text) == []
    session = (await admin.call("POST", "/auth/login", json={"service_token": token})).json()
    assert session["access_token"], "it opens with a token that the gateway has never seen"
    users = {user["email"]: user for user in (await admin.get("/users"))["items"]}
    assert (users["ana@acme.example"]["org"], users["bo@acme.example"]["state"]) == (None, "disabled")
    exported = await export(admin)
    await apply(second, exported, prune=True)
    assert await export(second) == exported
    changed = text.replace("role: admin, name: Ana", "role: approver").replace(", disabled: true", "").replace("role: operator", "role: admin")
    told = {(change["name"], field) for change in (await apply(admin, changed))["changes"] for field in change["fields"]}
    assert told == {("ana@acme.example", "role"), ("ana@acme.example", "name"), ("bo@acme.example", "disabled"), ("ci", "role")}
    less = changed.replace("- {email: bo@acme.example, role: viewer, org: acme}\n", "").replace("- {org: acme, name: ci", "- {org: acme, name: cd")
    wanted = await diff(admin, less.replace("orgs:\n- name: acme\n", ""), prune=True)
    assert wanted[-2:] == [("delete", "service account", "acme/ci"), ("delete", "user", "bo@acme.example")]
    problem = await admin.fails("POST", "/config/apply", 400, "invalid_file", json={"file": less})
    assert "belongs to another service account" in problem["detail"] and problem["errors"][0]["line"] == 9


async def test_the_licence_says_how_many_may_administer(admin: Admin) -> None:
    rows = "".join(f"- {{email: a{number}@x.example, role: admin}}\n" for number in range(5))
    await apply(admin, f"version: 1\nusers:\n{rows}")
    one_more = {"email": "one-more@x.example", "role": "owner"}
    problem = await admin.fails("POST", "/users", 402, "too_many_admins", json=one_more)
    assert "5 owners and admins" in problem["detail"] and "scutum license" in problem["hint"]
    viewer = await admin.make("/users", **one_more | {"role": "viewer"})
    await admin.fails("PATCH", f"/users/{viewer['id']}", 402, "too_many_admins", json={"role": "admin"})
    await admin.call("PATCH", "/users/a0@x.example", json={"disabled": True})
    assert (await admin.call("PATCH", f"/users/{viewer['id']}", json={"role": "admin"})).status_code == 200
    await admin.fails("PATCH", "/users/a0@x.example", 402, "too_many_admins", json={"disabled": False})
    assert (await admin.call("PATCH", "/users/a1@x.example", json={"role": "owner"})).status_code == 200, "no more than before"


async def test_a_file_of_the_first_release_is_applied_as_it_was_written(admin: Admin) -> None:
    assert (await apply(admin, FULL))["counts"]["create"] == 18
    assert await diff(admin, FULL) == []


async def events(admin: Admin) -> list[tuple[str, list[str]]]:
    rows = admin.sql("SELECT state, payload FROM events_outbox WHERE type = 'config.drifted' ORDER BY at, id")
    return [(row["state"], row["payload"]["objects"]) for row in rows]


async def test_the_worker_tells_once_of_drift_and_once_when_it_is_over(admin: Admin, file: str) -> None:
    watch = DriftWatch(admin.database)
    assert await watch.once() and await events(admin) == []
    await apply(admin, file)
    assert await watch.once() and await events(admin) == []
    assert not await watch.once(), "nothing was changed since"
    await admin.call("POST", "/keys/ci/revoke")
    await asyncio.gather(*(DriftWatch(admin.database).once() for _ in range(3)))
    told = [("firing", ["key acme/search/ci", "limit key/acme/search/ci"])]
    assert await events(admin) == told
    assert (await admin.get("/config/drift"))["drifted_since"] is not None
    admin.sql("UPDATE aliases SET targets = '{sim}' WHERE name = 'quick'")
    assert await DriftWatch(admin.database).once(), "what was changed past the control plane is found as well"
    assert await events(admin) == told
    await apply(admin, file.replace(yaml.safe_load(file)["keys"][0]["sha256"], digest()))
    assert await watch.once() and await events(admin) == [*told, ("resolved", [])]
    assert (await admin.get("/config/drift"))["drifted_since"] is None
    await admin.call("DELETE", "/aliases/quick")
    assert await watch.once() and (await events(admin))[-1] == ("firing", ["alias quick"])
    await admin.call("DELETE", "/config/drift")
    assert await watch.once() and (await events(admin))[-1] == ("resolved", []), "what is forgotten is no matter any more"


async def test_ten_thousand_keys(admin: Admin) -> None:
    rows = "".join(f"- {{team: default, name: key-{number}, sha256: {digest()}}}\n" for number in range(10_000))
    plan = await apply(admin, f"version: 1\nkeys:\n{rows}")
    assert plan["counts"]["create"] == 10_000
    assert admin.sql("SELECT count(*) AS n FROM audit_logs WHERE action = 'key.create'")[0]["n"] == 10_000
    text = await export(admin)
    assert await diff(admin, text, prune=True) == []
