"""An event when a budget's soft cap is passed: one in each period."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

from scutum_server.settings import DatabaseSettings
from scutum_server.worker.soft_caps import SoftCaps


def sql(database: DatabaseSettings, query: str, *params: Any) -> list[tuple]:
    with psycopg.connect(**database.conninfo()) as conn:
        cursor = conn.execute(query, params)
        return cursor.fetchall() if cursor.description else []


def spend(database: DatabaseSettings, team: str, cost: int) -> None:
    sql(database, "INSERT INTO spend_rollups VALUES (date_trunc('hour', now()), 'org_1', %s, 'k', 'm', 'p', 1, 0, 0, 0, 0, %s, false) "
        "ON CONFLICT (hour, org_id, team_id, key_id, model, provider) DO UPDATE SET cost_nano_usd = excluded.cost_nano_usd", team, cost)  # fmt: skip


async def test_the_soft_cap_is_told_once_a_period(database: DatabaseSettings) -> None:
    sql(database, "INSERT INTO orgs (id, name, time_zone) VALUES ('org_1', 'o', 'Asia/Kolkata')")
    for team in ("one", "two"):
        sql(database, "INSERT INTO teams (id, org_id, name) VALUES (%s, 'org_1', %s)", f"team_{team}", team)
        sql(database, "INSERT INTO budgets (id, scope, org_id, team_id, period, amount_nano_usd, soft_percent, output_tokens, on_failure) "
            "VALUES (%s, 'team', 'org_1', %s, 'month', 10000000000, 80, 16, 'closed')", f"budget_{team}", f"team_{team}")  # fmt: skip
    watch = SoftCaps(database)
    spend(database, "team_one", 7_999_999_999)
    assert await watch.once() == 0
    spend(database, "team_one", 8_500_000_000)
    assert sum(await asyncio.gather(*(SoftCaps(database).once() for _ in range(4)))) == 1, "whoever looks first"
    ((kind, severity, org, payload),) = sql(database, "SELECT type, severity, org_id, payload FROM events_outbox")
    assert (kind, severity, org) == ("budget.soft", "warning", "org_1")
    assert payload["name"] == "one" and (payload["spent_usd"], payload["amount_usd"]) == ("8.5", "10")
    assert payload["since"].endswith("18:30:00+00:00"), "midnight in the org's time zone"
    spend(database, "team_one", 11_000_000_000)
    assert await watch.once() == 0
    sql(database, "UPDATE budgets SET soft_told = soft_told - interval '1 month'")
    assert await watch.once() == 1, "another period"
    assert len(sql(database, "SELECT id FROM events_outbox")) == 2
