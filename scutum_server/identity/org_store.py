"""The tables orgs, units and teams."""

from __future__ import annotations

from typing import Any, Final, LiteralString

from psycopg.errors import ForeignKeyViolation

from scutum_server.identity.models import Org, Team, Unit
from scutum_server.infra import listing, refs
from scutum_server.infra.listing import Ask, Listing, Sort
from scutum_server.infra.paging import Page
from scutum_server.infra.refs import Candidate
from scutum_server.infra.store import Store

_ORG: Final = "o.id, o.name, o.time_zone, o.created_at, o.updated_at"
_UNIT: Final = "u.id, u.name, o.name AS org, u.org_id, u.created_at, u.updated_at"
_UNIT_FROM: Final = "units u JOIN orgs o ON o.id = u.org_id"
_TEAM: Final = "t.id, t.name, o.name AS org, t.org_id, u.name AS unit, t.unit_id, t.created_at, t.updated_at"
_TEAM_FROM: Final = "teams t JOIN orgs o ON o.id = t.org_id LEFT JOIN units u ON u.id = t.unit_id"

ORGS: Final = Listing(
    "orgs",
    columns=_ORG,
    source="orgs o",
    id="o.id",
    scope="o.id = %(scope)s",
    sorts={"created_at": Sort("o.id"), "name": listing.by_text("o.name")},
    filters={"name": listing.text("o.name")},
)
UNITS: Final = Listing(
    "units",
    columns=_UNIT,
    source=_UNIT_FROM,
    id="u.id",
    scope="u.org_id = %(scope)s",
    sorts={"created_at": Sort("u.id"), "name": listing.by_text("u.name")},
    filters={"name": listing.text("u.name"), "org": listing.exact("u.org_id")},
)
TEAMS: Final = Listing(
    "teams",
    columns=_TEAM,
    source=_TEAM_FROM,
    id="t.id",
    scope="t.org_id = %(scope)s",
    sorts={"created_at": Sort("t.id"), "name": listing.by_text("t.name")},
    filters={
        "name": listing.text("t.name"), "org": listing.exact("t.org_id"), "unit": listing.exact("t.unit_id"),
    },
)  # fmt: skip

ORG_GET: Final = f"SELECT {_ORG} FROM orgs o WHERE o.id = %(id)s AND (%(scope)s::text IS NULL OR o.id = %(scope)s)"
ORG_LOCK: Final = f"{ORG_GET} FOR UPDATE"
ORG_HOLD: Final = f"{ORG_GET} FOR KEY SHARE"
UNIT_GET: Final = f"""
SELECT {_UNIT} FROM {_UNIT_FROM} WHERE u.id = %(id)s AND (%(scope)s::text IS NULL OR u.org_id = %(scope)s)
"""
UNIT_LOCK: Final = f"{UNIT_GET} FOR UPDATE OF u"
TEAM_GET: Final = f"""
SELECT {_TEAM} FROM {_TEAM_FROM} WHERE t.id = %(id)s AND (%(scope)s::text IS NULL OR t.org_id = %(scope)s)
"""
TEAM_LOCK: Final = f"{TEAM_GET} FOR UPDATE OF t"
TEAM_HOLD: Final = f"{TEAM_GET} FOR SHARE OF t"
ORG_CANDIDATES: Final = refs.query("orgs", label="'org ' || c.name", org="id")
UNIT_CANDIDATES: Final = refs.query(
    "units", label="c.name || ' in org ' || o.name", joins="JOIN orgs o ON o.id = c.org_id", org="org_id"
)
TEAM_CANDIDATES: Final = refs.query(
    "teams", label="c.name || ' in org ' || o.name", joins="JOIN orgs o ON o.id = c.org_id", org="org_id"
)
# Whoever takes a name, or one that looks like it, holds it until the end of the transaction.
NAME_LOCK: Final = """
SELECT pg_advisory_xact_lock(hashtextextended(%(kind)s || ':' || %(org_id)s || ':' || name_skeleton(%(name)s), 0))
"""
ORG_ALIKE: Final = """
SELECT name FROM orgs WHERE name_skeleton(name) = name_skeleton(%(name)s) AND id <> %(id)s
ORDER BY name = %(name)s DESC LIMIT 1
"""
UNIT_ALIKE: Final = """
SELECT name FROM units
WHERE org_id = %(org_id)s AND name_skeleton(name) = name_skeleton(%(name)s) AND id <> %(id)s
ORDER BY name = %(name)s DESC LIMIT 1
"""
TEAM_ALIKE: Final = """
SELECT name FROM teams
WHERE org_id = %(org_id)s AND name_skeleton(name) = name_skeleton(%(name)s) AND id <> %(id)s
ORDER BY name = %(name)s DESC LIMIT 1
"""
ALIKE: Final[dict[str, LiteralString]] = {"org": ORG_ALIKE, "unit": UNIT_ALIKE, "team": TEAM_ALIKE}

ORG_INSERT: Final = "INSERT INTO orgs (id, name, time_zone) VALUES (%(id)s, %(name)s, %(time_zone)s)"
UNIT_INSERT: Final = "INSERT INTO units (id, org_id, name) VALUES (%(id)s, %(org_id)s, %(name)s)"
TEAM_INSERT: Final = """
INSERT INTO teams (id, org_id, unit_id, name) VALUES (%(id)s, %(org_id)s, %(unit_id)s, %(name)s)
"""
ORG_UPDATE: Final = """
UPDATE orgs SET name = %(name)s, time_zone = %(time_zone)s, updated_at = clock_timestamp() WHERE id = %(id)s
"""
UNIT_UPDATE: Final = "UPDATE units SET name = %(name)s, updated_at = clock_timestamp() WHERE id = %(id)s"
TEAM_UPDATE: Final = """
UPDATE teams SET name = %(name)s, unit_id = %(unit_id)s, updated_at = clock_timestamp() WHERE id = %(id)s
"""
ORG_DELETE: Final = "DELETE FROM orgs WHERE id = %(id)s"
UNIT_DELETE: Final = "DELETE FROM units WHERE id = %(id)s"
TEAM_DELETE_KEYS: Final = "DELETE FROM api_keys WHERE team_id = %(id)s RETURNING id"
TEAM_DELETE: Final = "DELETE FROM teams WHERE id = %(id)s"
LIVE_KEYS: Final = """
SELECT name FROM api_keys
WHERE team_id = %(id)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
ORDER BY name LIMIT 11
"""
TEAMS_OF: Final = """
SELECT name FROM teams WHERE unit_id = %(id)s OR org_id = %(id)s ORDER BY name LIMIT 11
"""
UNITS_OF: Final = "SELECT name FROM units WHERE org_id = %(id)s ORDER BY name LIMIT 11"
RULES_OF_ORG: Final = """
SELECT 'limit' AS kind, id FROM limits WHERE org_id = %(id)s
UNION ALL SELECT 'budget', id FROM budgets WHERE org_id = %(id)s
"""
ZONELESS_RULES: Final = """
SELECT 'limit' AS kind, id FROM limits WHERE org_id IS NULL
UNION ALL SELECT 'budget', id FROM budgets WHERE org_id IS NULL
"""


class OrgStore(Store):
    """Reads and writes inside the connection's transaction; never commits."""

    async def orgs(self, ask: Ask) -> Page[Org]:
        return await self._page(ORGS, ask, lambda row: Org(**row))

    async def units(self, ask: Ask) -> Page[Unit]:
        return await self._page(UNITS, ask, lambda row: Unit(**row))

    async def teams(self, ask: Ask) -> Page[Team]:
        return await self._page(TEAMS, ask, lambda row: Team(**row))

    async def org(self, org_id: str, *, lock: bool = False) -> Org | None:
        row = await self._row(ORG_LOCK if lock else ORG_GET, {"id": org_id})
        return Org(**row) if row else None

    async def unit(self, unit_id: str, *, lock: bool = False) -> Unit | None:
        row = await self._row(UNIT_LOCK if lock else UNIT_GET, {"id": unit_id})
        return Unit(**row) if row else None

    async def team(self, team_id: str, *, lock: bool = False) -> Team | None:
        row = await self._row(TEAM_LOCK if lock else TEAM_GET, {"id": team_id})
        return Team(**row) if row else None

    async def org_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(ORG_CANDIDATES, ref, "org")

    async def unit_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(UNIT_CANDIDATES, ref, "unit")

    async def team_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(TEAM_CANDIDATES, ref, "team")

    async def taken(self, kind: str, name: str, *, org_id: str = "", but: str = "") -> str | None:
        """The name of the org, unit or team that has this one or looks like it; nobody else can take it meanwhile."""
        params = {"kind": kind, "org_id": org_id, "name": name, "id": but}
        await self._row(NAME_LOCK, params)
        row = await self._row(ALIKE[kind], params)
        return None if row is None else str(row["name"])

    async def insert_org(self, **fields: Any) -> None:
        await self._conn.execute(ORG_INSERT, fields)

    async def insert_unit(self, **fields: Any) -> None:
        await self._conn.execute(UNIT_INSERT, fields)

    async def insert_team(self, **fields: Any) -> None:
        await self._conn.execute(TEAM_INSERT, fields)

    async def update_org(self, org: Org) -> None:
        await self._conn.execute(ORG_UPDATE, {"id": org.id, "name": org.name, "time_zone": org.time_zone})

    async def update_unit(self, unit: Unit) -> None:
        await self._conn.execute(UNIT_UPDATE, {"id": unit.id, "name": unit.name})

    async def update_team(self, team: Team) -> None:
        await self._conn.execute(TEAM_UPDATE, {"id": team.id, "name": team.name, "unit_id": team.unit_id})

    async def hold_org(self, org_id: str) -> bool:
        """Keeps the org from being deleted until the transaction ends; False when it is gone."""
        return bool(await self._row(ORG_HOLD, {"id": org_id}))

    async def hold_team(self, team_id: str) -> Team | None:
        """The team, which is kept from being deleted until the transaction ends; None when it is gone."""
        row = await self._row(TEAM_HOLD, {"id": team_id})
        return Team(**row) if row else None

    async def live_keys(self, team_id: str) -> list[str]:
        """Names of up to 11 keys that still open something."""
        return [row["name"] for row in await self._rows(LIVE_KEYS, {"id": team_id})]

    async def teams_of(self, owner_id: str) -> list[str]:
        """Names of up to 11 teams of a unit or an org."""
        return [row["name"] for row in await self._rows(TEAMS_OF, {"id": owner_id})]

    async def units_of(self, org_id: str) -> list[str]:
        """Names of up to 11 units."""
        return [row["name"] for row in await self._rows(UNITS_OF, {"id": org_id})]

    async def rules_of(self, org_id: str, *, global_too: bool) -> list[tuple[str, str]]:
        """(kind, id) of the limits and budgets that go by this org's clock."""
        rows = await self._rows(RULES_OF_ORG, {"id": org_id})
        if global_too:
            rows += await self._rows(ZONELESS_RULES, {})
        return [(row["kind"], row["id"]) for row in rows]

    async def delete_org(self, org_id: str) -> bool:
        """False when something still belongs to it: the transaction is then lost."""
        try:
            await self._conn.execute(ORG_DELETE, {"id": org_id})
        except ForeignKeyViolation:
            return False
        return True

    async def delete_unit(self, unit_id: str) -> None:
        """Its budgets go with it."""
        await self._conn.execute(UNIT_DELETE, {"id": unit_id})

    async def delete_team(self, team_id: str) -> list[str]:
        """Deletes the team with its dead keys, limits and budgets; returns the ids of the keys."""
        rows = await self._rows(TEAM_DELETE_KEYS, {"id": team_id})
        await self._conn.execute(TEAM_DELETE, {"id": team_id})
        return sorted(row["id"] for row in rows)
