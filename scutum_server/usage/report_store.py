"""Reads spend_days, spend_user_days, spend_rollups and spend_logs for reports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, LiteralString

from msgspec import Struct

from scutum_server.infra.refs import Candidate
from scutum_server.infra.store import Store
from scutum_server.usage.cover import Cover, Part

# Each report is one statement, so one snapshot: a log row and its rollups come in one transaction, hence no request is
# missed or counted twice where two sources meet. The values are known when it is planned (`prepare=False`), so that the
# parts which it does not need, and the columns that are not grouped by, fall away; the types of all parts are the same,
# so that several processes can sum at once. `away` are the orgs whose days are
# not those of the report's zone, or are being built.
_USED = """
WITH used AS NOT MATERIALIZED (
    SELECT * FROM (
        SELECT d.day, d.org_id, d.team_id, d.key_id, ''::text AS user_id, d.model, d.provider, d.route, d.requests,
            d.errors, d.tokens_in, d.tokens_out, d.tokens_cached, d.cost_nano_usd, d.simulated, d.unpriced
        FROM spend_days d
        WHERE NOT %(by_user)s AND d.day >= %(day_from)s::date AND d.day < %(day_until)s::date
            AND (NOT %(some_away)s OR d.org_id <> ALL (%(away)s::text[]))
        UNION ALL
        SELECT d.day, d.org_id, d.team_id, d.key_id, d.user_id, d.model, d.provider, d.route, d.requests,
            d.errors, d.tokens_in, d.tokens_out, d.tokens_cached, d.cost_nano_usd, d.simulated, d.unpriced
        FROM spend_user_days d
        WHERE %(by_user)s AND d.day >= %(day_from)s::date AND d.day < %(day_until)s::date
            AND (NOT %(some_away)s OR d.org_id <> ALL (%(away)s::text[]))
        UNION ALL
        SELECT (h.hour AT TIME ZONE %(zone)s)::date, h.org_id, h.team_id, h.key_id, ''::text, h.model, h.provider,
            ''::text, h.requests, h.errors, h.tokens_in, h.tokens_out, h.tokens_cached, h.cost_nano_usd,
            CASE WHEN h.simulated THEN h.requests ELSE 0 END, h.unpriced
        FROM spend_rollups h
        WHERE (h.hour >= %(hours_1)s AND h.hour < %(hours_1_end)s OR h.hour >= %(hours_2)s AND h.hour < %(hours_2_end)s)
            AND (NOT %(some_away)s OR h.org_id <> ALL (%(away)s::text[]))
        UNION ALL
        SELECT (h.hour AT TIME ZONE %(zone)s)::date, h.org_id, h.team_id, h.key_id, ''::text, h.model, h.provider,
            ''::text, h.requests, h.errors, h.tokens_in, h.tokens_out, h.tokens_cached, h.cost_nano_usd,
            CASE WHEN h.simulated THEN h.requests ELSE 0 END, h.unpriced
        FROM spend_rollups h
        WHERE %(some_away)s AND h.hour >= %(away_hours)s AND h.hour < %(away_hours_end)s
            AND h.org_id = ANY (%(away)s::text[])
        UNION ALL
        SELECT (l.ts AT TIME ZONE %(zone)s)::date, coalesce(l.org_id, ''), coalesce(l.team_id, ''),
            coalesce(l.key_id, ''), coalesce(l.user_id, ''), coalesce(l.model, ''), coalesce(l.provider, ''),
            coalesce(l.route, ''), 1::bigint, (l.status >= 400)::int::bigint, l.tokens_in, l.tokens_out,
            l.tokens_cached, l.cost_nano_usd, l.simulated::int::bigint,
            (l.price_source = 'unknown' AND l.tokens_in + l.tokens_out > 0)::int::bigint
        FROM spend_logs l
        WHERE (l.ts >= %(log_1)s AND l.ts < %(log_1_end)s OR l.ts >= %(log_2)s AND l.ts < %(log_2_end)s
                OR l.ts >= %(log_3)s AND l.ts < %(log_3_end)s OR l.ts >= %(log_4)s AND l.ts < %(log_4_end)s)
            AND (NOT %(some_away)s OR coalesce(l.org_id, '') <> ALL (%(away)s::text[]))
        UNION ALL
        SELECT (l.ts AT TIME ZONE %(zone)s)::date, coalesce(l.org_id, ''), coalesce(l.team_id, ''),
            coalesce(l.key_id, ''), coalesce(l.user_id, ''), coalesce(l.model, ''), coalesce(l.provider, ''),
            coalesce(l.route, ''), 1::bigint, (l.status >= 400)::int::bigint, l.tokens_in, l.tokens_out,
            l.tokens_cached, l.cost_nano_usd, l.simulated::int::bigint,
            (l.price_source = 'unknown' AND l.tokens_in + l.tokens_out > 0)::int::bigint
        FROM spend_logs l
        WHERE %(some_away)s AND (l.ts >= %(away_log_1)s AND l.ts < %(away_log_1_end)s
                OR l.ts >= %(away_log_2)s AND l.ts < %(away_log_2_end)s)
            AND coalesce(l.org_id, '') = ANY (%(away)s::text[])
    ) AS every
    WHERE (%(org)s::text IS NULL OR org_id = %(org)s) AND (%(teams)s::text[] IS NULL OR team_id = ANY (%(teams)s))
        AND (%(key)s::text IS NULL OR key_id = %(key)s) AND (%(user)s::text IS NULL OR user_id = %(user)s)
        AND (%(model)s::text IS NULL OR model = %(model)s)
        AND (%(provider)s::text IS NULL OR provider = %(provider)s)
        AND (%(route)s::text IS NULL OR route = %(route)s)
)"""

# Teams are grouped before their units are looked up: there are few of them.
_PAGE = """, told AS (
    SELECT CASE WHEN %(by_day)s THEN day END AS day,
        CASE %(first)s::text WHEN 'org' THEN org_id WHEN 'unit' THEN team_id WHEN 'team' THEN team_id
            WHEN 'key' THEN key_id WHEN 'user' THEN user_id WHEN 'model' THEN model WHEN 'provider' THEN provider
            WHEN 'route' THEN route ELSE '' END AS first,
        CASE %(second)s::text WHEN 'org' THEN org_id WHEN 'unit' THEN team_id WHEN 'team' THEN team_id
            WHEN 'key' THEN key_id WHEN 'user' THEN user_id WHEN 'model' THEN model WHEN 'provider' THEN provider
            WHEN 'route' THEN route ELSE '' END AS second,
        whole_sum(requests) AS requests, whole_sum(errors) AS errors, whole_sum(tokens_in) AS tokens_in,
        whole_sum(tokens_out) AS tokens_out, whole_sum(tokens_cached) AS tokens_cached,
        whole_sum(cost_nano_usd) AS cost_nano_usd, whole_sum(simulated) AS simulated, whole_sum(unpriced) AS unpriced
    FROM used GROUP BY 1, 2, 3
), grouped AS MATERIALIZED (
    SELECT day, CASE WHEN %(first)s::text = 'unit' THEN coalesce(t.unit_id, '') ELSE first END AS first,
        CASE WHEN %(second)s::text = 'unit' THEN coalesce(t.unit_id, '') ELSE second END AS second,
        whole_sum(requests) AS requests, whole_sum(errors) AS errors, whole_sum(tokens_in) AS tokens_in,
        whole_sum(tokens_out) AS tokens_out, whole_sum(tokens_cached) AS tokens_cached,
        whole_sum(cost_nano_usd) AS cost_nano_usd, whole_sum(simulated) AS simulated, whole_sum(unpriced) AS unpriced
    FROM told LEFT JOIN teams t ON 'unit' IN (%(first)s::text, %(second)s::text)
        AND t.id = CASE WHEN %(first)s::text = 'unit' THEN first ELSE second END
    GROUP BY 1, 2, 3
), total AS (
    SELECT coalesce(whole_sum(requests), 0) AS all_requests, whole_sum(errors) AS all_errors,
        whole_sum(tokens_in) AS all_tokens_in, whole_sum(tokens_out) AS all_tokens_out,
        whole_sum(tokens_cached) AS all_tokens_cached, whole_sum(cost_nano_usd) AS all_cost_nano_usd,
        whole_sum(simulated) AS all_simulated, whole_sum(unpriced) AS all_unpriced
    FROM grouped
), page AS (
    SELECT * FROM grouped
    WHERE (NOT %(paged)s OR (coalesce(day, 'epoch'), -cost_nano_usd, -requests, first, second)
            > (coalesce(%(after_day)s::date, 'epoch'), -%(after_cost)s::bigint, -%(after_requests)s::bigint,
                %(after_first)s::text, %(after_second)s::text))
        AND (%(firsts)s::text[] IS NULL
            OR (first, second) IN (SELECT * FROM unnest(%(firsts)s::text[], %(seconds)s::text[])))
    ORDER BY day, cost_nano_usd DESC, requests DESC, first, second LIMIT %(limit)s
)"""

# What each day holds is summed by itself, and no more days than the page has room for.
_PAGE_OF_DAYS = """, total AS (
    SELECT coalesce(whole_sum(requests), 0) AS all_requests, whole_sum(errors) AS all_errors,
        whole_sum(tokens_in) AS all_tokens_in, whole_sum(tokens_out) AS all_tokens_out,
        whole_sum(tokens_cached) AS all_tokens_cached, whole_sum(cost_nano_usd) AS all_cost_nano_usd,
        whole_sum(simulated) AS all_simulated, whole_sum(unpriced) AS all_unpriced
    FROM used
), page AS (
    SELECT of_day.* FROM (
            SELECT day::date AS day
            FROM generate_series(%(day_from)s::date::timestamp, %(day_until)s::date::timestamp, '1 day') AS day
            WHERE day < %(day_until)s::date AND (NOT %(paged)s OR day >= %(after_day)s::date) ORDER BY 1
        ) AS at CROSS JOIN LATERAL (
            SELECT d.day, d.user_id AS first, '' AS second,
                whole_sum(requests) AS requests, whole_sum(errors) AS errors, whole_sum(tokens_in) AS tokens_in,
                whole_sum(tokens_out) AS tokens_out, whole_sum(tokens_cached) AS tokens_cached,
                whole_sum(cost_nano_usd) AS cost_nano_usd, whole_sum(simulated) AS simulated,
                whole_sum(unpriced) AS unpriced
            FROM spend_user_days d
            WHERE d.day = at.day
                AND (%(org)s::text IS NULL OR org_id = %(org)s)
                AND (%(teams)s::text[] IS NULL OR team_id = ANY (%(teams)s))
                AND (%(key)s::text IS NULL OR key_id = %(key)s) AND (%(user)s::text IS NULL OR user_id = %(user)s)
                AND (%(model)s::text IS NULL OR model = %(model)s)
                AND (%(provider)s::text IS NULL OR provider = %(provider)s)
                AND (%(route)s::text IS NULL OR route = %(route)s)
            GROUP BY d.day, d.user_id
        ) AS of_day
    WHERE NOT %(paged)s OR (at.day, -cost_nano_usd, -requests, first)
        > (%(after_day)s::date, -%(after_cost)s::bigint, -%(after_requests)s::bigint, %(after_first)s::text)
    ORDER BY at.day, cost_nano_usd DESC, requests DESC, first LIMIT %(limit)s
)"""

_NAMED = """
SELECT p.day, p.first, p.second, p.requests, p.errors, p.tokens_in, p.tokens_out, p.tokens_cached, p.cost_nano_usd,
    p.simulated, p.unpriced, total.*,
    CASE %(first)s::text WHEN 'org' THEN (SELECT name FROM orgs WHERE id = p.first)
        WHEN 'unit' THEN (SELECT name FROM units WHERE id = p.first)
        WHEN 'team' THEN (SELECT name FROM teams WHERE id = p.first)
        WHEN 'key' THEN (SELECT name FROM api_keys WHERE id = p.first) END AS first_name,
    CASE %(second)s::text WHEN 'org' THEN (SELECT name FROM orgs WHERE id = p.second)
        WHEN 'unit' THEN (SELECT name FROM units WHERE id = p.second)
        WHEN 'team' THEN (SELECT name FROM teams WHERE id = p.second)
        WHEN 'key' THEN (SELECT name FROM api_keys WHERE id = p.second) END AS second_name
FROM total LEFT JOIN page p ON true
ORDER BY p.day, p.cost_nano_usd DESC, p.requests DESC, p.first, p.second
"""
REPORT: LiteralString = _USED + _PAGE + _NAMED
USERS_BY_DAY: LiteralString = _USED + _PAGE_OF_DAYS + _NAMED

# Thousands of groups do not fit into the memory that a statement has otherwise; compiling takes longer than summing.
TUNE = "SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)"

HOME = """
SELECT coalesce(o.time_zone, (SELECT time_zone FROM orgs WHERE name = 'default'), 'UTC') AS zone
FROM (SELECT 1) AS one LEFT JOIN orgs o ON o.id = %(org)s
"""
AWAY = """
SELECT org_id FROM spend_zones
WHERE (NOT ready OR zone <> %(zone)s) AND (%(org)s::text IS NULL OR org_id = %(org)s) ORDER BY org_id
"""
ZONE = "SELECT name FROM time_zones WHERE name = %(name)s"
OLDEST = "SELECT (SELECT min(day) FROM spend_days) AS day, (SELECT min(ts) FROM spend_logs) AS log"
UNIT_TEAMS = "SELECT id FROM teams WHERE unit_id = %(id)s"
CANDIDATES: dict[str, LiteralString] = {
    "org": """
SELECT id, name, 'org ' || name AS label FROM orgs
WHERE (id = %(ref)s OR name = %(ref)s OR starts_with(id, %(part)s::text)
    OR right(id, length(%(part)s::text)) = %(part)s::text) AND (%(scope)s::text IS NULL OR id = %(scope)s)
ORDER BY id = %(ref)s DESC, name = %(ref)s DESC, id LIMIT 11
""",
    "unit": """
SELECT id, name, 'unit ' || name AS label FROM units
WHERE (id = %(ref)s OR name = %(ref)s OR starts_with(id, %(part)s::text)
    OR right(id, length(%(part)s::text)) = %(part)s::text) AND (%(scope)s::text IS NULL OR org_id = %(scope)s)
ORDER BY id = %(ref)s DESC, name = %(ref)s DESC, id LIMIT 11
""",
    "team": """
SELECT id, name, 'team ' || name AS label FROM teams
WHERE (id = %(ref)s OR name = %(ref)s OR starts_with(id, %(part)s::text)
    OR right(id, length(%(part)s::text)) = %(part)s::text) AND (%(scope)s::text IS NULL OR org_id = %(scope)s)
ORDER BY id = %(ref)s DESC, name = %(ref)s DESC, id LIMIT 11
""",
    "key": """
SELECT k.id, k.name, 'key ' || k.name || ' of ' || t.name AS label, k.revoked_at IS NULL AS live
FROM api_keys k JOIN teams t ON t.id = k.team_id
WHERE (k.id = %(ref)s OR k.name = %(ref)s OR starts_with(k.id, %(part)s::text)
    OR right(k.id, length(%(part)s::text)) = %(part)s::text) AND (%(scope)s::text IS NULL OR t.org_id = %(scope)s)
ORDER BY k.id = %(ref)s DESC, k.name = %(ref)s DESC, k.revoked_at IS NULL DESC, k.id LIMIT 11
""",
}
# What was deleted still stands in the books under its id.
SPENT: dict[str, LiteralString] = {
    "team": """
SELECT 1 AS one FROM spend_days WHERE team_id = %(ref)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) LIMIT 1
""",
    "key": """
SELECT 1 AS one FROM spend_days WHERE key_id = %(ref)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) LIMIT 1
""",
}


class Filters(Struct, frozen=True, kw_only=True):
    """Ids, and names where there are no ids; None where it does not matter. `teams` are those of a team or a unit."""

    org: str | None = None
    teams: list[str] | None = None
    key: str | None = None
    user: str | None = None
    model: str | None = None
    provider: str | None = None
    route: str | None = None


class Position(Struct, frozen=True):
    """The last row of the page before, by the list's order: day, cost and requests falling, then the groups."""

    day: str | None
    cost: int
    requests: int
    first: str
    second: str


class Question(Struct, frozen=True, kw_only=True):
    """`first` and `second` are dimensions beside the day; `only` keeps to these pairs of groups."""

    cover: Cover
    zone: str
    filters: Filters
    by_day: bool = False
    first: str | None = None
    second: str | None = None
    limit: int = 100
    after: Position | None = None
    only: tuple[list[str], list[str]] | None = None

    @property
    def by_user(self) -> bool:
        return "user" in (self.first, self.second) or self.filters.user is not None


class Sums(Struct, frozen=True, kw_only=True):
    """Money in nano-USD; `simulated` and `unpriced` are requests."""

    requests: int
    errors: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_nano_usd: int
    simulated: int
    unpriced: int


class Group(Struct, frozen=True, kw_only=True):
    day: dt.date | None
    first: str
    second: str
    first_name: str | None
    second_name: str | None
    sums: Sums


class Found(Struct, frozen=True):
    groups: list[Group]
    total: Sums


_SUMS = Sums.__struct_fields__


class ReportStore(Store):
    """Works inside the connection's transaction."""

    async def report(self, question: Question) -> Found:
        await self._conn.execute(TUNE)
        params = _params(question)
        away = await self._away(params)
        while True:
            rows = await self._report(question, params | {"away": away, "some_away": bool(away)})
            # Days that began to be built anew meanwhile were not all there.
            away, before = await self._away(params), away
            if set(away) <= set(before):
                break
        groups = [
            Group(
                day=row["day"],
                first=row["first"],
                second=row["second"],
                first_name=row["first_name"],
                second_name=row["second_name"],
                sums=Sums(**{name: row[name] for name in _SUMS}),
            )
            for row in rows
            if row["requests"] is not None
        ]
        return Found(groups, Sums(**{name: rows[0][f"all_{name}"] or 0 for name in _SUMS}))

    async def _away(self, params: dict[str, Any]) -> list[str]:
        return [row["org_id"] for row in await self._rows(AWAY, params)]

    async def _report(self, question: Question, params: dict[str, Any]) -> list[dict[str, Any]]:
        statement = REPORT
        if _users_by_day(question) and not params["away"]:
            statement = USERS_BY_DAY
            params["by_user"] = question.filters.user is not None
        return await (await self._conn.execute(statement, params, prepare=False)).fetchall()

    async def home_zone(self, org: str | None) -> str:
        """The time zone of the org, or of the default one."""
        return str((await self._rows(HOME, {"org": org}))[0]["zone"])

    async def knows_zone(self, name: str) -> bool:
        return bool(await self._rows(ZONE, {"name": name}))

    async def oldest(self) -> tuple[dt.date | None, dt.datetime | None]:
        """The first day that is in the books, and the first record that the log still has."""
        row = (await self._rows(OLDEST, {}))[0]
        return row["day"], row["log"]

    async def candidates(self, kind: str, ref: str) -> list[Candidate]:
        """What `ref` may mean; `kind` is org, unit, team or key."""
        return await self._candidates(CANDIDATES[kind], ref, kind)

    async def has_spent(self, kind: str, object_id: str) -> bool:
        """Whether a team or key, which may be gone, is in the books."""
        return bool(await self._rows(SPENT[kind], {"ref": object_id}))

    async def teams_of(self, unit_id: str) -> list[str]:
        return [row["id"] for row in await self._rows(UNIT_TEAMS, {"id": unit_id})]


def _users_by_day(question: Question) -> bool:
    """The report with the most groups, when nothing but whole days is to be read for it."""
    cover = question.cover
    return (
        question.by_day and question.first == "user" and question.second is None and cover.home == Part()
        and cover.days is not None and question.only is None
    )  # fmt: skip


def _params(question: Question) -> dict[str, Any]:
    cover, filters, after = question.cover, question.filters, question.after
    days = cover.days or (None, None)
    only = question.only or (None, None)
    return {
        **{name: getattr(filters, name) for name in Filters.__struct_fields__},
        **_spans("hours", cover.home.hours, 2), **_spans("log", cover.home.log, 4),
        **_spans("away_log", cover.away.log, 2),
        "away_hours": cover.away.hours[0][0] if cover.away.hours else None,
        "away_hours_end": cover.away.hours[0][1] if cover.away.hours else None,
        "zone": question.zone, "by_user": question.by_user, "by_day": question.by_day,
        "day_from": days[0], "day_until": days[1],
        "first": question.first, "second": question.second, "limit": question.limit,
        "firsts": only[0], "seconds": only[1],
        "paged": after is not None, "after_day": after.day if after else None,
        "after_cost": after.cost if after else None, "after_requests": after.requests if after else None,
        "after_first": after.first if after else None, "after_second": after.second if after else None,
    }  # fmt: skip


def _spans(name: str, spans: Sequence[tuple[dt.datetime, dt.datetime]], count: int) -> dict[str, dt.datetime | None]:
    found: dict[str, dt.datetime | None] = {}
    for number in range(count):
        begin, end = spans[number] if number < len(spans) else (None, None)
        found |= {f"{name}_{number + 1}": begin, f"{name}_{number + 1}_end": end}
    return found
