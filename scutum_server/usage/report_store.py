"""Reads spend_rollups and spend_logs for reports."""

from __future__ import annotations

import datetime as dt

from msgspec import Struct

from scutum_server.infra.db import Connection

# One statement, so one snapshot: the worker writes a log row and its rollup in one transaction, hence no request is
# missed or counted twice where the two sources meet.
REPORT = """
WITH used AS (
    SELECT r.model, r.team_id, r.key_id, r.provider, r.requests, r.errors, r.tokens_in, r.tokens_out, r.tokens_cached,
        r.cost_nano_usd, r.simulated
    FROM spend_rollups r WHERE r.hour >= %(whole_from)s AND r.hour < %(whole_until)s
    UNION ALL
    SELECT coalesce(l.model, ''), coalesce(l.team_id, ''), coalesce(l.key_id, ''), coalesce(l.provider, ''), 1,
        (l.status >= 400)::int, l.tokens_in, l.tokens_out, l.tokens_cached, l.cost_nano_usd, l.simulated
    FROM spend_logs l
    WHERE (l.ts >= %(since)s AND l.ts < %(whole_from)s) OR (l.ts >= %(whole_until)s AND l.ts < %(until)s)
), named AS (
    SELECT u.*,
        CASE %(first)s::text WHEN 'model' THEN u.model WHEN 'team' THEN u.team_id WHEN 'key' THEN u.key_id
            WHEN 'provider' THEN u.provider ELSE '' END AS first,
        CASE %(second)s::text WHEN 'model' THEN u.model WHEN 'team' THEN u.team_id WHEN 'key' THEN u.key_id
            WHEN 'provider' THEN u.provider ELSE '' END AS second
    FROM used u
), grouped AS (
    SELECT first, second, sum(requests)::bigint AS requests, sum(errors)::bigint AS errors,
        sum(tokens_in)::bigint AS tokens_in, sum(tokens_out)::bigint AS tokens_out,
        sum(tokens_cached)::bigint AS tokens_cached, sum(cost_nano_usd)::bigint AS cost_nano_usd,
        bool_or(simulated) AS simulated
    FROM named GROUP BY first, second
), summed AS (
    SELECT g.*, sum(requests) OVER ()::bigint AS all_requests, sum(errors) OVER ()::bigint AS all_errors,
        sum(tokens_in) OVER ()::bigint AS all_tokens_in, sum(tokens_out) OVER ()::bigint AS all_tokens_out,
        sum(tokens_cached) OVER ()::bigint AS all_tokens_cached,
        sum(cost_nano_usd) OVER ()::bigint AS all_cost_nano_usd, bool_or(simulated) OVER () AS all_simulated
    FROM grouped g
)
SELECT s.*,
    CASE %(first)s::text WHEN 'team' THEN (SELECT name FROM teams WHERE id = s.first)
        WHEN 'key' THEN (SELECT name FROM api_keys WHERE id = s.first) END AS first_name,
    CASE %(second)s::text WHEN 'team' THEN (SELECT name FROM teams WHERE id = s.second)
        WHEN 'key' THEN (SELECT name FROM api_keys WHERE id = s.second) END AS second_name
FROM summed s
WHERE %(after_cost)s::bigint IS NULL OR (-cost_nano_usd, -requests, first, second)
    > (-%(after_cost)s::bigint, -%(after_requests)s::bigint, %(after_first)s::text, %(after_second)s::text)
ORDER BY cost_nano_usd DESC, requests DESC, first, second LIMIT %(limit)s
"""


class Window(Struct, frozen=True):
    """`since` ≤ t < `until`; the hours from `whole_from` to `whole_until` are read from the rollups."""

    since: dt.datetime
    until: dt.datetime
    whole_from: dt.datetime
    whole_until: dt.datetime


class Position(Struct, frozen=True):
    """The last row of the page before, by the list's order: cost and requests falling, then the groups."""

    cost: int
    requests: int
    first: str
    second: str


class Row(Struct, frozen=True, kw_only=True):
    """One group; `all_*` are the same sums over every group. Money in nano-USD."""

    first: str
    second: str
    first_name: str | None
    second_name: str | None
    requests: int
    errors: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_nano_usd: int
    simulated: bool
    all_requests: int
    all_errors: int
    all_tokens_in: int
    all_tokens_out: int
    all_tokens_cached: int
    all_cost_nano_usd: int
    all_simulated: bool


class ReportStore:
    """Works inside the connection's transaction."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def report(
        self, window: Window, first: str | None, second: str | None, limit: int, after: Position | None
    ) -> list[Row]:
        params = {
            "since": window.since, "until": window.until, "whole_from": window.whole_from,
            "whole_until": window.whole_until, "first": first, "second": second, "limit": limit,
            "after_cost": after.cost if after else None, "after_requests": after.requests if after else None,
            "after_first": after.first if after else None, "after_second": after.second if after else None,
        }  # fmt: skip
        cursor = await self._conn.execute(REPORT, params)
        return [Row(**row) for row in await cursor.fetchall()]
