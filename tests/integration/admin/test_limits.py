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
        "INSERT INTO spend_logs (ts, request_id, org_id, team_id, status, cost_nano_usd) "
        "VALUES (now(), gen_random_uuid(), %s, %s, 200, 8500000000)",
        (await admin.get("/orgs"))["items"][0]["id"], team["id"],
    )
    made = await admin.make("/budgets", scope="team", team=unique, period="month", amount_usd="10.00")
    assert (made["amount_usd"], made["spent_usd"], made["left_usd"], made["state"]) == ("10", "8.5", "1.5", "soft")
    assert (made["reserved_usd"], made["forecast_usd"], made["runs_out_at"]) == ("0", None, None), "too early to tell"
    since, until = (dt.datetime.fromisoformat(made[edge]) for edge in ("since", "until"))
    assert since.day == until.day == 1 and since <= dt.datetime.now(dt.UTC) < until
    changed = (await admin.call("PATCH", f"/budgets/{made['id']}", json={"amount_usd": "8.5"})).json()
    assert (changed["state"], changed["left_usd"]) == ("hard", "0")
    assert admin.config("budget", made["id"]) == 2
    assert (await admin.call("DELETE", f"/budgets/{made['id']}")).status_code == 204
    assert [len(admin.audit(f"budget.{verb}")) for verb in ("create", "update", "delete")] == [1, 1, 1]


async def test_budgets_of_every_scope_count_their_own(admin: Admin, unique: str) -> None:
    team = await admin.make("/teams", name=unique)
    key = await admin.make("/keys", name=unique, team=unique, owner="ada")
    for cost, key_id in ((1, key["id"]), (2, "another")):
        admin.sql(
            "INSERT INTO spend_logs (ts, request_id, org_id, team_id, key_id, status, cost_nano_usd) "
            "VALUES (now(), gen_random_uuid(), %s, %s, %s, 200, %s)",
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


async def test_what_running_requests_hold_is_not_left(admin: Admin, unique: str) -> None:
    made = await admin.make("/budgets", scope="user", user=unique, period="day", amount_usd="10", soft_percent=10)
    since = int(dt.datetime.fromisoformat(made["since"]).timestamp() * 1000)
    await admin.make("/keys", name=unique, team="default", owner=unique)
    key = f"scutum:lease:{made['id']}.day:{since}"
    redis = admin.runtime.vitals._client
    await redis.hset(key, mapping={"=": 0, "w1": 5_000_000_000, "~w1": 1_250_000_000, "~w2": 250_000_000, "!": 1})
    held = await admin.get(f"/budgets/{made['id']}")
    assert (held["reserved_usd"], held["left_usd"], held["state"]) == ("1.5", "8.5", "ok")
    assert held["refusing"] is False, "others that run are in the way"
    admin.sql(
        "INSERT INTO spend_logs (ts, request_id, key_id, status, cost_nano_usd) "
        "SELECT now(), gen_random_uuid(), id, 200, 9900000000 FROM api_keys WHERE owner = %s",
        unique,
    )
    assert (await admin.get(f"/budgets/{made['id']}"))["state"] == "soft", "those that run may leave enough"
    await redis.hset(key, mapping={"~w1": 0, "~w2": 0})
    refusing = await admin.get(f"/budgets/{made['id']}")
    assert (refusing["left_usd"], refusing["state"], refusing["refusing"]) == ("0.1", "hard", True)
    await redis.hdel(key, "!")
    assert (await admin.get(f"/budgets/{made['id']}"))["state"] == "soft"


async def test_the_forecast_comes_from_the_days_before(admin: Admin, unique: str) -> None:
    made = await admin.make("/budgets", scope="user", user=unique, period="day", amount_usd="10")
    key = await admin.make("/keys", name=unique, team="default", owner=unique)
    for days in range(1, 4):
        assert (await admin.get(f"/budgets/{made['id']}"))["forecast_usd"] is None
        admin.sql(
            "INSERT INTO spend_logs (ts, request_id, key_id, status, cost_nano_usd) "
            "VALUES (now() - make_interval(days => %s), gen_random_uuid(), %s, 200, 4000000000000)",
            days, key["id"],
        )  # fmt: skip
    told = await admin.get(f"/budgets/{made['id']}")
    passed = (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(told["since"])) / dt.timedelta(days=1)
    assert abs(float(told["forecast_usd"]) - 4000 * (1 - passed)) < 10 and told["spent_usd"] == "0"
    assert dt.datetime.fromisoformat(told["runs_out_at"]) - dt.datetime.now(dt.UTC) < dt.timedelta(minutes=5)


async def test_amounts_are_exact_and_bounded(admin: Admin) -> None:
    for amount in ("-1", "ten", "1e999", "0.0000000001", "9000001", "NaN"):
        await admin.fails("POST", "/budgets", 400, "invalid_field",
                          json={"scope": "global", "period": "day", "amount_usd": amount})  # fmt: skip
    made = await admin.make("/budgets", scope="global", period="week", amount_usd="0.000000001")
    assert made["amount_usd"] == "0.000000001"
