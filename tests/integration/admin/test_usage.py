"""Spend reports against rows of the spend log and its rollups."""

from __future__ import annotations

import datetime as dt
import random

import psycopg
import pytest

from scutum_server.errors import NotFound
from scutum_server.infra.ids import uuid7
from scutum_server.usage.report_store import ReportStore
from scutum_server.usage.service import Ask, ReportService, usd
from tests.integration.admin.conftest import Admin

NOW = dt.datetime.now(dt.UTC)

ROLL_UP = """
INSERT INTO spend_rollups (hour, org_id, team_id, key_id, model, provider, requests, errors, tokens_in, tokens_out,
    tokens_cached, cost_nano_usd, simulated, unpriced)
SELECT date_trunc('hour', ts, 'UTC'), coalesce(org_id, ''), coalesce(team_id, ''), coalesce(key_id, ''), coalesce(model, ''),
    coalesce(provider, ''), count(*), count(*) FILTER (WHERE status >= 400), sum(tokens_in), sum(tokens_out),
    sum(tokens_cached), sum(cost_nano_usd), bool_or(simulated),
    count(*) FILTER (WHERE price_source = 'unknown' AND tokens_in + tokens_out > 0)
FROM spend_logs GROUP BY 1, 2, 3, 4, 5, 6
"""


def spend(admin: Admin, *rows: dict, roll_up: bool = False) -> None:
    with psycopg.connect(**admin.database.conninfo()) as conn:
        for row in rows:
            whole = {"ts": NOW, "request_id": uuid7(), "status": 200, "model": "gpt", "provider": "openai",
                     "team_id": "t", "key_id": "k", "tokens_in": 10, "tokens_out": 5, "cost_nano_usd": 1234} | row  # fmt: skip
            names = ", ".join(whole)
            places = ", ".join(["%s"] * len(whole))
            conn.execute(f"INSERT INTO spend_logs ({names}) VALUES ({places})", list(whole.values()))
        if roll_up:
            conn.execute(ROLL_UP)


async def test_no_traffic_is_an_empty_report(admin: Admin) -> None:
    report = await admin.get("/usage", by="model")
    assert report["items"] == [] and report["next"] is None
    assert report["total"] == {
        "requests": 0, "errors": 0, "tokens_in": 0, "tokens_out": 0, "tokens_cached": 0, "cost_usd": "0.000000",
        "simulated": False, "requests_simulated": 0, "requests_unpriced": 0,
    }  # fmt: skip


async def test_groups_are_dearest_first_with_their_names(admin: Admin) -> None:
    team = (await admin.get("/teams/default"))["id"]
    key = (await admin.make("/keys", name="ci"))["id"]
    spend(
        admin,
        {"team_id": team, "key_id": key, "cost_nano_usd": 2_000_000},
        {"team_id": team, "key_id": key, "status": 502, "cost_nano_usd": 0, "tokens_in": 0, "tokens_out": 0},
        {"team_id": team, "key_id": "master", "model": "sim", "provider": "sim", "simulated": True, "cost_nano_usd": 0},
        {"team_id": "team_gone", "key_id": "key_gone", "cost_nano_usd": 5_000_000},
        {"team_id": None, "key_id": None, "model": None, "provider": None, "status": 401, "cost_nano_usd": 0},
        {"ts": NOW - dt.timedelta(hours=30), "cost_nano_usd": 10**12},
    )
    report = await admin.get("/usage", by="team,key")
    assert [(row["team"], row["key"], row["requests"], row["errors"], row["cost_usd"]) for row in report["items"]] == [
        ("team_gone", "key_gone", 1, 0, "0.005000"),
        ("default", "ci", 2, 1, "0.002000"),
        (None, None, 1, 1, "0.000000"),
        ("default", "master", 1, 0, "0.000000"),
    ]
    assert report["items"][1]["team_id"] == team and report["items"][1]["key_id"] == key
    assert report["total"]["requests"] == 5 and report["total"]["cost_usd"] == "0.007000"
    assert report["total"]["tokens_in"] == 40
    by_model = await admin.get("/usage", by="model")
    assert {row["model"]: row["simulated"] for row in by_model["items"]} == {"gpt": False, "sim": True, None: False}
    assert "team" not in by_model["items"][0]
    assert (await admin.get("/usage"))["items"][0]["requests"] == 5
    assert (await admin.get("/usage", by="provider", since="47h"))["total"]["requests"] == 6


async def test_a_long_window_from_rollups_is_exact_to_its_edges(admin: Admin) -> None:
    """Every window of random rows must give what a plain sum over the log gives."""
    luck = random.Random(7)
    rows = []
    for _ in range(400):
        ts = NOW - dt.timedelta(seconds=luck.randrange(6 * 86400), microseconds=luck.randrange(10**6))
        rows.append({"ts": ts, "model": luck.choice(["a", "b", None]), "status": luck.choice([200, 200, 500]),
                     "simulated": False, "cost_nano_usd": luck.randrange(10**9)})  # fmt: skip
    spend(admin, *rows, roll_up=True)
    windows = [(NOW - dt.timedelta(days=6), NOW), (NOW - dt.timedelta(days=5, minutes=7), NOW - dt.timedelta(hours=3))]
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    windows += [(hour - dt.timedelta(days=4), hour), (hour - dt.timedelta(days=4), hour + dt.timedelta(minutes=1))]
    edge = rows[0]["ts"]
    windows += [(edge - dt.timedelta(days=2), edge), (edge - dt.timedelta(days=3), edge + dt.timedelta(microseconds=1))]
    for since, until in windows:
        inside = [row for row in rows if since <= row["ts"] < until]
        total = (await admin.get("/usage", by="model", since=since.isoformat(), until=until.isoformat()))["total"]
        assert total["requests"] == len(inside)
        assert total["errors"] == sum(row["status"] >= 400 for row in inside)
        assert total["cost_usd"] == usd(sum(row["cost_nano_usd"] for row in inside))


async def test_long_windows_really_read_the_rollups(admin: Admin) -> None:
    spend(admin, {"ts": NOW - dt.timedelta(days=2), "simulated": True, "model": "sim"}, roll_up=True)
    admin.sql("INSERT INTO spend_days VALUES ((now() - interval '40 days')::date, 'k', 'old', 'p', 'r', 't', '', 3, 0, 1, 1, 0, 9, 0, 0)")
    report = await admin.get("/usage", by="model", since="60d")
    assert {row["model"]: (row["requests"], row["simulated"]) for row in report["items"]} == {
        "old": (3, False), "sim": (1, True),
    }  # fmt: skip


async def test_pages_of_one_report_agree(admin: Admin) -> None:
    spend(admin, *({"model": f"m{number}", "cost_nano_usd": number // 2} for number in range(9)))
    seen, cursor = [], {}
    while True:
        report = await admin.get("/usage", by="model", limit=4, **cursor)
        assert report["total"]["requests"] == 9
        seen += [row["model"] for row in report["items"]]
        if report["next"] is None:
            break
        cursor = {"cursor": report["next"]}
    assert seen == ["m8", "m6", "m7", "m4", "m5", "m2", "m3", "m0", "m1"]


UNANSWERABLE = [
    ("by=colour", "unknown_dimension"),
    ("sicne=7d", "invalid_request"),
    ("by=model,team,key", "unknown_dimension"),
    ("by=model,model", "unknown_dimension"),
    ("by=model,", "unknown_dimension"),
    ("since=yesterday", "invalid_request"),
    ("since=0h", "invalid_request"),
    ("since=999999w", "invalid_request"),
    ("since=1h&until=2h", "invalid_request"),
    ("since=0001-01-01T00:00:00%2B14:00", "invalid_request"),
    ("until=9999-12-31T23:59:59-12:00", "invalid_request"),
    ("cursor=xyz", "invalid_cursor"),
    ("zone=Mars/Olympus", "invalid_request"),
    ("zone=..%2F..%2Fetc%2Fpasswd", "invalid_request"),
]


async def test_what_is_filtered_by_must_exist(admin: Admin) -> None:
    for noun in ("org", "unit", "team", "key"):
        await admin.fails("GET", f"/usage?{noun}=nobody", 404, f"{noun}_not_found")
    spend(admin, {"team_id": "team_gone"}, {"user_id": "ann", "route": "/v1/embeddings"})
    assert (await admin.get("/usage", team="team_gone"))["total"]["requests"] == 1, "deleted, and in the books"
    assert (await admin.get("/usage", user="ann", route="/v1/embeddings"))["total"]["requests"] == 1
    assert (await admin.get("/usage", user="ann", by="team", since="3d"))["items"][0]["requests"] == 1
    assert (await admin.get("/usage", model="nothing"))["items"] == []


async def test_a_model_without_a_price_is_not_said_to_be_free(admin: Admin) -> None:
    spend(admin, {"model": "dark", "price_source": "unknown", "cost_nano_usd": 0}, {"price_source": "unknown", "tokens_in": 0, "tokens_out": 0}, roll_up=True)
    for since in ("1h", "5d"):
        report = await admin.get("/usage", by="model", since=since)
        assert {row["model"]: row["requests_unpriced"] for row in report["items"]} == {"dark": 1, "gpt": 0}
        assert report["total"]["requests_unpriced"] == 1


async def test_a_session_of_one_org_sees_its_own_money(admin: Admin) -> None:
    admin.sql("INSERT INTO orgs (id, name) VALUES ('org_b', 'b')")
    admin.sql("INSERT INTO teams (id, org_id, name) VALUES ('team_b', 'org_b', 'theirs')")
    spend(admin, {"org_id": "org_b", "team_id": "team_b"}, {"org_id": "org_a", "team_id": "t"}, {"org_id": None, "team_id": None}, roll_up=True)
    async with admin.runtime.pool.connection() as conn:
        bound = ReportService(ReportStore(conn, "org_b"), lambda: dt.datetime.now(dt.UTC), "org_b")
        for since in ("1h", "3d"):
            report = await bound.report(Ask(by="team,org", since=since, trend=True), 10, None)
            assert [(row["team"], row["org"], row["requests"]) for row in report["items"]] == [("theirs", "b", 1)]
            assert report["total"]["requests"] == 1
        for foreign in ({"team": "t"}, {"org": "org_a"}, {"team": "default"}):
            with pytest.raises(NotFound):
                await bound.report(Ask(**foreign), 10, None)


async def test_a_question_that_cannot_be_answered(admin: Admin) -> None:
    for query, code in UNANSWERABLE:
        problem = await admin.fails("GET", f"/usage?{query}", 400, code)
        if "colour" in query:
            assert "org, unit, team, key, user, model, provider, route, day" in problem["hint"]
