"""What was spent of budgets: from the days that the database keeps, and from hours and the log where days do not do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from scutum_server.infra.db import Connection
from scutum_server.limits.models import Spend

# One statement, so one snapshot: a record is in the log or still pending, never both. Days serve the orgs whose days
# are those of the budget's zone, if the period begins with such a day; `away` are all others. A branch for each scope:
# each finds its rows by an index. The days before the period tell how it will go on.
SPENT: Final = """
WITH b AS MATERIALIZED (
    SELECT *, zone_of(coalesce(org_id, '')) AS zone,
        (%(since)s::timestamptz AT TIME ZONE zone_of(coalesce(org_id, '')))::date AS first_day
    FROM budgets WHERE id = %(id)s
), away AS MATERIALIZED (
    SELECT z.org_id FROM b JOIN spend_zones z ON NOT z.ready OR z.zone <> b.zone
        OR (b.first_day::timestamp AT TIME ZONE b.zone) <> %(since)s::timestamptz
), rest AS (
    SELECT org_id, team_id, key_id, cost_nano_usd FROM spend_rollups
    WHERE EXISTS (SELECT FROM away) AND org_id = ANY (ARRAY(SELECT org_id FROM away))
        AND hour >= date_trunc('hour', %(since)s::timestamptz + interval '59 minutes 59.999999 seconds', 'UTC')
    UNION ALL
    SELECT coalesce(org_id, ''), team_id, key_id, cost_nano_usd FROM spend_logs
    WHERE EXISTS (SELECT FROM away) AND coalesce(org_id, '') = ANY (ARRAY(SELECT org_id FROM away))
        AND ts >= %(since)s
        AND ts < date_trunc('hour', %(since)s::timestamptz + interval '59 minutes 59.999999 seconds', 'UTC')
    UNION ALL
    SELECT p.org_id, p.team_id, p.key_id, p.cost_nano_usd
    FROM unnest(%(ts)s::timestamptz[], %(request)s::uuid[], %(org)s::text[], %(team)s::text[], %(key)s::text[],
        %(cost)s::bigint[]) AS p (ts, request_id, org_id, team_id, key_id, cost_nano_usd)
    WHERE p.ts >= %(since)s
        AND NOT EXISTS (SELECT FROM spend_logs l WHERE l.ts = p.ts AND l.request_id = p.request_id)
), used AS (
    SELECT d.day, d.org_id, d.cost_nano_usd FROM b JOIN spend_days d ON d.team_id = b.team_id
    WHERE b.scope = 'team' AND d.day >= b.first_day - %(before)s::int
    UNION ALL
    SELECT d.day, d.org_id, d.cost_nano_usd FROM b JOIN spend_days d ON d.key_id = b.key_id
    WHERE b.scope = 'key' AND d.day >= b.first_day - %(before)s::int
    UNION ALL
    SELECT d.day, d.org_id, d.cost_nano_usd FROM b JOIN teams t ON t.unit_id = b.unit_id
        JOIN spend_days d ON d.team_id = t.id
    WHERE b.scope = 'unit' AND d.day >= b.first_day - %(before)s::int
    UNION ALL
    SELECT d.day, d.org_id, d.cost_nano_usd FROM b JOIN api_keys k ON k.owner = b.user_name
        JOIN spend_days d ON d.key_id = k.id
    WHERE b.scope = 'user' AND d.day >= b.first_day - %(before)s::int
    UNION ALL
    SELECT d.day, d.org_id, d.cost_nano_usd FROM b JOIN spend_days d ON d.org_id = b.org_id
    WHERE b.scope = 'org' AND d.day >= b.first_day - %(before)s::int
    UNION ALL
    SELECT d.day, d.org_id, d.cost_nano_usd FROM b JOIN spend_days d ON b.scope = 'global'
    WHERE d.day >= b.first_day - %(before)s::int
)
SELECT used.day, used.day >= b.first_day AND used.org_id <> ALL (ARRAY(SELECT org_id FROM away)) AS counts,
    whole_sum(used.cost_nano_usd) AS spent
FROM used, b GROUP BY 1, 2
UNION ALL
SELECT NULL, true, coalesce(whole_sum(rest.cost_nano_usd), 0)
FROM rest, b
WHERE CASE b.scope
    WHEN 'org' THEN rest.org_id = b.org_id
    WHEN 'unit' THEN rest.team_id IN (SELECT id FROM teams WHERE unit_id = b.unit_id)
    WHEN 'team' THEN rest.team_id = b.team_id
    WHEN 'key' THEN rest.key_id = b.key_id
    WHEN 'user' THEN rest.key_id IN (SELECT id FROM api_keys WHERE owner = b.user_name)
    ELSE true END
"""

# The time zones' midnights lie on quarters of an hour. `MATERIALIZED`: the log is read once for all of them.
SPENT_BY: Final = """
WITH held AS (
    SELECT h.place, h.worker, h.since, b.*
    FROM unnest(%(budget)s::text[], %(worker)s::text[], %(since)s::timestamptz[]) WITH ORDINALITY
        AS h (budget_id, worker, since, place) JOIN budgets b ON b.id = h.budget_id
), used AS MATERIALIZED (
    SELECT worker, org_id, team_id, key_id, date_bin('15 minutes', ts, 'epoch') AS at, sum(cost_nano_usd) AS cost
    FROM spend_logs
    WHERE worker IN (SELECT worker FROM held) AND ts >= (SELECT min(since) FROM held)
    GROUP BY 1, 2, 3, 4, 5
)
SELECT held.place, coalesce(sum(used.cost), 0)::bigint AS spent
FROM held LEFT JOIN used ON used.worker = held.worker AND used.at >= held.since AND CASE held.scope
    WHEN 'org' THEN used.org_id = held.org_id
    WHEN 'unit' THEN used.team_id IN (SELECT id FROM teams WHERE unit_id = held.unit_id)
    WHEN 'team' THEN used.team_id = held.team_id
    WHEN 'key' THEN used.key_id = held.key_id
    WHEN 'user' THEN used.key_id IN (SELECT id FROM api_keys WHERE owner = held.user_name)
    ELSE true END
GROUP BY held.place
"""


async def spent_by(conn: Connection, asked: Sequence[tuple[str, str, dt.datetime]]) -> dict[int, int]:
    """Nano-USD by the number of each (budget's id, worker, since); a budget that is gone has none."""
    columns = {
        "budget": [budget for budget, _, _ in asked],
        "worker": [worker for _, worker, _ in asked],
        "since": [since for _, _, since in asked],
    }
    rows = await (await conn.execute(SPENT_BY, columns)).fetchall()
    return {int(row["place"]) - 1: int(row["spent"]) for row in rows}


async def spent(conn: Connection, budget_id: str, since: dt.datetime, pending: Sequence[Spend] = ()) -> int:
    """Nano-USD of the budget's scope since then; `pending` are records that may not be in the spend log yet."""
    return (await daily(conn, budget_id, since, 0, pending))[0]


async def daily(
    conn: Connection, budget_id: str, since: dt.datetime, before: int, pending: Sequence[Spend] = ()
) -> tuple[int, dict[dt.date, int]]:
    """Nano-USD of the budget's scope since then, and by the day from so many days before; the day is its org's."""
    columns = {
        "ts": [spend.ts for spend in pending],
        "request": [spend.request_id for spend in pending],
        "org": [spend.org_id for spend in pending],
        "team": [spend.team_id for spend in pending],
        "key": [spend.key_id for spend in pending],
        "cost": [spend.nano_usd for spend in pending],
    }
    asked = {"id": budget_id, "since": since, "before": before} | columns
    total, days = 0, dict[dt.date, int]()
    for row in await (await conn.execute(SPENT, asked)).fetchall():
        total += row["spent"] if row["counts"] else 0
        if row["day"] is not None:
            days[row["day"]] = days.get(row["day"], 0) + row["spent"]
    return total, days
