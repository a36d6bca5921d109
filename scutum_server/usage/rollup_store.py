"""Builds spend_days and spend_user_days anew from the log: what they lack, and what another time zone cuts anew."""

from __future__ import annotations

from scutum_server.infra.store import Store

# Nobody adds to the days while this is held, and who waits for it has not read the zones yet: see the trigger.
LOCK = "LOCK TABLE spend_days IN SHARE ROW EXCLUSIVE MODE"
SETTLED = "SELECT bool_and(zone = zone_of(org_id)) IS NOT FALSE AS settled FROM spend_zones"
# Not before the log's first whole day: what was archived stays as it was counted.
MOVED = """
WITH moved AS (
    UPDATE spend_zones SET zone = zone_of(org_id), ready = false WHERE zone <> zone_of(org_id) RETURNING org_id, zone
), kept AS (
    SELECT min(ts) AS first FROM spend_logs
), known AS (
    SELECT m.org_id, (r.hour AT TIME ZONE m.zone)::date AS day FROM moved m JOIN spend_rollups r ON r.org_id = m.org_id
    UNION SELECT m.org_id, ((r.hour + interval '59 minutes') AT TIME ZONE m.zone)::date
    FROM moved m JOIN spend_rollups r ON r.org_id = m.org_id
    UNION SELECT m.org_id, d.day FROM moved m JOIN spend_days d ON d.org_id = m.org_id
), added AS (
    INSERT INTO spend_todo SELECT k.org_id, k.day FROM known k, kept
    WHERE k.day > kept.first::date + 1 OR NOT EXISTS (SELECT FROM spend_days d WHERE d.day < kept.first::date - 1)
    ON CONFLICT DO NOTHING
)
SELECT count(*) AS moved FROM moved
"""
ANEW = """
WITH known AS (
    SELECT z.org_id, ((r.hour + late) AT TIME ZONE z.zone)::date AS day
    FROM spend_zones z JOIN spend_rollups r ON r.org_id = z.org_id
        CROSS JOIN (VALUES (interval '0'), (interval '59 minutes')) AS edges (late)
    WHERE r.hour >= (SELECT min(ts) FROM spend_logs)::date - 1
), added AS (
    INSERT INTO spend_todo SELECT DISTINCT org_id, day FROM known ON CONFLICT DO NOTHING
)
UPDATE spend_zones SET ready = false
"""
NEXT = "SELECT org_id, day FROM spend_todo ORDER BY day DESC, org_id LIMIT 1 FOR UPDATE SKIP LOCKED"
FORGET_USERS = "DELETE FROM spend_user_days WHERE day = %(day)s AND org_id = %(org)s"
FORGET = "DELETE FROM spend_days WHERE day = %(day)s AND org_id = %(org)s"
# Wider than the day, for its ends lie elsewhere in every zone; the cast decides as it does in the trigger.
BUILD_USERS = """
INSERT INTO spend_user_days
SELECT %(day)s::date, coalesce(l.user_id, ''), coalesce(l.key_id, ''), coalesce(l.model, ''), coalesce(l.provider, ''),
    coalesce(l.route, ''), coalesce(l.team_id, ''), z.org_id, count(*), count(*) FILTER (WHERE l.status >= 400),
    whole_sum(l.tokens_in), whole_sum(l.tokens_out), whole_sum(l.tokens_cached), whole_sum(l.cost_nano_usd),
    count(*) FILTER (WHERE l.simulated),
    count(*) FILTER (WHERE l.price_source = 'unknown' AND l.tokens_in + l.tokens_out > 0)
FROM spend_logs l JOIN spend_zones z ON z.org_id = coalesce(l.org_id, '')
WHERE z.org_id = %(org)s AND l.ts >= %(day)s::date::timestamp AT TIME ZONE 'UTC' - interval '16 hours'
    AND l.ts < %(day)s::date::timestamp AT TIME ZONE 'UTC' + interval '40 hours'
    AND (l.ts AT TIME ZONE z.zone)::date = %(day)s::date
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
BUILD = """
INSERT INTO spend_days
SELECT day, key_id, model, provider, route, team_id, org_id, whole_sum(requests), whole_sum(errors),
    whole_sum(tokens_in), whole_sum(tokens_out), whole_sum(tokens_cached), whole_sum(cost_nano_usd),
    whole_sum(simulated), whole_sum(unpriced)
FROM spend_user_days WHERE day = %(day)s AND org_id = %(org)s GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
DONE = "DELETE FROM spend_todo WHERE day = %(day)s AND org_id = %(org)s"
READY = """
UPDATE spend_zones z SET ready = true
WHERE z.org_id = %(org)s AND NOT z.ready AND NOT EXISTS (SELECT FROM spend_todo t WHERE t.org_id = z.org_id)
"""
EMPTY = """
UPDATE spend_zones z SET ready = true
WHERE NOT z.ready AND NOT EXISTS (SELECT FROM spend_todo t WHERE t.org_id = z.org_id)
"""


class RollupStore(Store):
    """Over a connection of its own, which commits by itself."""

    async def note_moves(self) -> int:
        """How many orgs have another time zone than their days are counted by; theirs are to be built anew."""
        if (await self._rows(SETTLED, {}))[0]["settled"]:
            return 0
        async with self._conn.transaction():
            await self._conn.execute(LOCK)
            moved = int((await self._rows(MOVED, {}))[0]["moved"])
            await self._conn.execute(EMPTY)
        return moved

    async def begin_anew(self) -> None:
        """Has every day built anew that the log still holds."""
        async with self._conn.transaction():
            await self._conn.execute(LOCK)
            await self._conn.execute(ANEW)

    async def build_next(self) -> bool:
        """Builds one day of one org, in one transaction; false when there is none left to build."""
        async with self._conn.transaction():
            found = await self._rows(NEXT, {})
            if not found:
                return False
            which = {"day": found[0]["day"], "org": found[0]["org_id"]}
            await self._conn.execute(LOCK)
            for statement in (FORGET_USERS, FORGET, BUILD_USERS, BUILD, DONE, READY):
                await self._conn.execute(statement, which)
        return True
