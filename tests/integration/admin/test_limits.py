"""Limits and budgets in the admin API."""

from __future__ import annotations

import datetime as dt

from tests.integration.admin.conftest import Admin


async def test_a_limit_from_creation_to_deletion(admin: Admin, unique: str) -> None:
    await admin.make("/teams", name=unique)
    made = await admin.make("/limits", scope="team", team=unique, rpm=600, tpm=200_000)
    assert (made["scope"], made["team"], made["rpm"], made["burst"], made["on_failure"]) == ("team", unique, 600, None, "closed")
    assert admin.config("limit", made["id"]) == 1
    assert await admin.get(f"/limits/{made['id'][:-1]}") == made
    assert made in (await admin.get("/limits"))["items"]
    changed = await admin.call("PATCH", f"/limits/{made['id']}", json={"rpm": None, "burst": 20, "on_failure": "open"})
    now = {"updated_at": changed.json()["updated_at"]}
    assert changed.json() == made | {"rpm": None, "burst": 20, "on_failure": "open"} | now
    assert now["updated_at"] > made["updated_at"]
    assert admin.config("limit", made["id"]) == 2
    assert (await admin.call("DELETE", f"/limits/{made['id']}")).status_code == 204
    await admin.fails("GET", f"/limits/{made['id']}", 404, "limit_not_found")
    assert [len(admin.audit(f"limit.{verb}")) for verb in ("create", "update", "delete")] == [1, 1, 1]
    (row,) = admin.audit("limit.update")
    assert row["diff"] == {
        "before": {"rpm": 600, "burst": None, "on_failure": "closed"},
        "after": {"rpm": None, "burst": 20, "on_failure": "open"},
    }
    assert row["resource_id"] == made["id"]


async def test_a_limit_says_exactly_whom_it_is_for(admin: Admin, unique: str) -> None:
    await admin.make("/teams", name=unique)
    await admin.make("/limits", scope="team+model", team=unique, model="sim", concurrency=5)
    await admin.fails("POST", "/limits", 409, "already_limited",
                      json={"scope": "team+model", "team": unique, "model": "sim", "rpm": 5})  # fmt: skip
    for body, status, code in (
        ({"scope": "team", "rpm": 1}, 400, "invalid_field"),
        ({"scope": "team", "team": unique, "model": "sim", "rpm": 1}, 400, "invalid_field"),
        ({"scope": "team", "team": "nobody", "rpm": 1}, 404, "target_not_found"),
        ({"scope": "model", "model": "nothing", "rpm": 1}, 404, "target_not_found"),
        ({"scope": "global"}, 400, "invalid_field"),
    ):
        await admin.fails("POST", "/limits", status, code, json=body)
    made = await admin.make("/limits", scope="user", user="ada", rpd=10)
    await admin.fails("PATCH", f"/limits/{made['id']}", 400, "invalid_field", json={"rpd": None})


async def test_a_budget_shows_what_is_spent_and_left(admin: Admin, unique: str) -> None:
    team = await admin.make("/teams", name=unique)
    admin.sql(
        "INSERT INTO spend_rollups VALUES (date_trunc('hour', now()), 'org', %s, 'k', 'm', 'p', 1, 0, 0, 0, 0, "
        "8500000000, false)",
        team["id"],
    )
    made = await admin.make("/budgets", scope="team", team=unique, period="month", amount_usd="10.00")
    assert (made["amount_usd"], made["spent_usd"], made["left_usd"], made["state"]) == ("10", "8.5", "1.5", "soft")
    since, until = (dt.datetime.fromisoformat(made[edge]) for edge in ("since", "until"))
    assert since.day == until.day == 1 and since <= dt.datetime.now(dt.UTC) < until
    changed = (await admin.call("PATCH", f"/budgets/{made['id']}", json={"amount_usd": "8.5"})).json()
    assert (changed["state"], changed["left_usd"]) == ("exceeded", "0")
    assert admin.config("budget", made["id"]) == 2
    assert (await admin.call("DELETE", f"/budgets/{made['id']}")).status_code == 204
    assert [len(admin.audit(f"budget.{verb}")) for verb in ("create", "update", "delete")] == [1, 1, 1]


async def test_budgets_of_every_scope_count_their_own(admin: Admin, unique: str) -> None:
    team = await admin.make("/teams", name=unique)
    key = await admin.make("/keys", name=unique, team=unique, owner="ada")
    for cost, key_id in ((1, key["id"]), (2, "another")):
        admin.sql(
            "INSERT INTO spend_rollups VALUES (date_trunc('hour', now()), %s, %s, %s, 'm', 'p', 1, 0, 0, 0, 0, %s, false)",
            (await admin.get("/orgs"))["items"][0]["id"], team["id"], key_id, cost * 1_000_000_000,
        )  # fmt: skip
    for fields, spent in (
        ({"scope": "key", "key": key["id"]}, "1"),
        ({"scope": "user", "user": "ada"}, "1"),
        ({"scope": "team", "team": unique}, "3"),
        ({"scope": "org", "org": "default"}, "3"),
        ({"scope": "global"}, "3"),
    ):
        made = await admin.make("/budgets", period="day", amount_usd="100", **fields)
        assert made["spent_usd"] == spent, fields


async def test_amounts_are_exact_and_bounded(admin: Admin) -> None:
    for amount in ("-1", "ten", "1e999", "0.0000000001", "9000001", "NaN"):
        await admin.fails("POST", "/budgets", 400, "invalid_field",
                          json={"scope": "global", "period": "day", "amount_usd": amount})  # fmt: skip
    made = await admin.make("/budgets", scope="global", period="week", amount_usd="0.000000001")
    assert made["amount_usd"] == "0.000000001"
