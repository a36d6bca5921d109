"""The tables orgs, teams and api_keys."""

from __future__ import annotations

from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from scutum_server.identity.models import Key, Org, Team
from scutum_server.infra.refs import Candidate
from scutum_server.infra.store import Store

ORGS = """
SELECT id, name, time_zone, created_at FROM orgs
WHERE %(after)s::text IS NULL OR id > %(after)s ORDER BY id LIMIT %(limit)s
"""
ORG_CANDIDATES = """
SELECT id, name, 'org ' || name AS label FROM orgs
WHERE id = %(ref)s OR name = %(ref)s
    OR starts_with(id, %(part)s::text) OR right(id, length(%(part)s::text)) = %(part)s::text
ORDER BY id = %(ref)s DESC, name = %(ref)s DESC, id LIMIT 11
"""
ORG_INSERT = """
INSERT INTO orgs (id, name) VALUES (%(id)s, %(name)s) ON CONFLICT (name) DO NOTHING
RETURNING id, name, time_zone, created_at
"""
TEAMS = """
SELECT t.id, t.name, o.name AS org, t.org_id, t.created_at FROM teams t JOIN orgs o ON o.id = t.org_id
WHERE (%(id)s::text IS NULL OR t.id = %(id)s) AND (%(after)s::text IS NULL OR t.id > %(after)s)
ORDER BY t.id LIMIT %(limit)s
"""
TEAM_CANDIDATES = """
SELECT t.id, t.name, t.name || ' in org ' || o.name AS label FROM teams t JOIN orgs o ON o.id = t.org_id
WHERE t.id = %(ref)s OR t.name = %(ref)s
    OR starts_with(t.id, %(part)s::text) OR right(t.id, length(%(part)s::text)) = %(part)s::text
ORDER BY t.id = %(ref)s DESC, t.name = %(ref)s DESC, t.id LIMIT 11
"""
TEAM_INSERT = """
INSERT INTO teams (id, org_id, name) VALUES (%(id)s, %(org_id)s, %(name)s) ON CONFLICT (org_id, name) DO NOTHING
RETURNING id
"""
TEAM_LOCK = "SELECT id FROM teams WHERE id = %(id)s FOR UPDATE"
TEAM_HOLD = "SELECT id FROM teams WHERE id = %(id)s FOR SHARE"
TEAM_DELETE_KEYS = "DELETE FROM api_keys WHERE team_id = %(id)s RETURNING id"
TEAM_DELETE = "DELETE FROM teams WHERE id = %(id)s"
LIVE_KEYS = """
SELECT name FROM api_keys
WHERE team_id = %(id)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
ORDER BY name LIMIT 11
"""
KEYS = """
SELECT k.id, k.name, t.name AS team, k.team_id, t.org_id, k.hint, k.owner, k.allowed_models, k.allowed_routes,
    k.allowed_ips, k.metadata, k.expires_at, k.revoked_at, k.created_at,
    CASE WHEN k.previous_valid_until > now() THEN k.previous_valid_until END AS previous_valid_until,
    CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.expires_at <= now() THEN 'expired' ELSE 'active' END
        AS state
FROM api_keys k JOIN teams t ON t.id = k.team_id
WHERE (%(id)s::text IS NULL OR k.id = %(id)s) AND (%(after)s::text IS NULL OR k.id > %(after)s)
    AND (%(team_id)s::text IS NULL OR k.team_id = %(team_id)s)
ORDER BY k.id LIMIT %(limit)s
"""
KEY_CANDIDATES = """
SELECT k.id, k.name, k.name || ' in team ' || t.name AS label, k.revoked_at IS NULL AS live
FROM api_keys k JOIN teams t ON t.id = k.team_id
WHERE k.id = %(ref)s OR k.name = %(ref)s
    OR starts_with(k.id, %(part)s::text) OR right(k.id, length(%(part)s::text)) = %(part)s::text
ORDER BY k.id = %(ref)s DESC, k.name = %(ref)s DESC, k.revoked_at IS NULL DESC, k.id LIMIT 11
"""
KEY_INSERT = """
INSERT INTO api_keys (id, team_id, name, hash, hint, owner, allowed_models, allowed_routes, allowed_ips, metadata,
    expires_at)
VALUES (%(id)s, %(team_id)s, %(name)s, %(hash)s, %(hint)s, %(owner)s, %(allowed_models)s, %(allowed_routes)s,
    %(allowed_ips)s, %(metadata)s, %(expires_at)s)
ON CONFLICT (team_id, name) WHERE revoked_at IS NULL DO NOTHING RETURNING id
"""
KEY_LOCK = "SELECT id FROM api_keys WHERE id = %(id)s FOR UPDATE"
KEY_UPDATE = """
UPDATE api_keys SET name = %(name)s, owner = %(owner)s, allowed_models = %(allowed_models)s,
    allowed_routes = %(allowed_routes)s, allowed_ips = %(allowed_ips)s, metadata = %(metadata)s,
    expires_at = %(expires_at)s, updated_at = now()
WHERE id = %(id)s
"""
KEY_REVOKE = "UPDATE api_keys SET revoked_at = now(), previous_hash = NULL, updated_at = now() WHERE id = %(id)s"
KEY_ROTATE = """
UPDATE api_keys SET previous_hash = CASE WHEN %(overlap)s > 0 THEN hash END,
    previous_valid_until = CASE WHEN %(overlap)s > 0 THEN now() + make_interval(secs => %(overlap)s) END,
    hash = %(hash)s, hint = %(hint)s, updated_at = now()
WHERE id = %(id)s
"""


class IdentityStore(Store):
    """Reads and writes inside the connection's transaction; never commits."""

    async def orgs(self, limit: int, after: str | None) -> list[Org]:
        return [Org(**row) for row in await self._rows(ORGS, {"limit": limit, "after": after})]

    async def org_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(ORG_CANDIDATES, ref, "org")

    async def insert_org(self, org_id: str, name: str) -> Org | None:
        """None when the name is taken."""
        rows = await self._rows(ORG_INSERT, {"id": org_id, "name": name})
        return Org(**rows[0]) if rows else None

    async def teams(self, limit: int, after: str | None) -> list[Team]:
        return [Team(**row) for row in await self._rows(TEAMS, {"id": None, "limit": limit, "after": after})]

    async def team(self, team_id: str) -> Team | None:
        rows = await self._rows(TEAMS, {"id": team_id, "limit": 1, "after": None})
        return Team(**rows[0]) if rows else None

    async def team_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(TEAM_CANDIDATES, ref, "team")

    async def insert_team(self, team_id: str, org_id: str, name: str) -> bool:
        """False when the org has a team of this name."""
        return bool(await self._rows(TEAM_INSERT, {"id": team_id, "org_id": org_id, "name": name}))

    async def lock_team(self, team_id: str) -> bool:
        return bool(await self._rows(TEAM_LOCK, {"id": team_id}))

    async def hold_team(self, team_id: str) -> bool:
        """Keeps the team from being deleted until the transaction ends; False when it is gone."""
        return bool(await self._rows(TEAM_HOLD, {"id": team_id}))

    async def live_keys(self, team_id: str) -> list[str]:
        """Names of up to 11 keys that still open something."""
        return [row["name"] for row in await self._rows(LIVE_KEYS, {"id": team_id})]

    async def delete_team(self, team_id: str) -> list[str]:
        """Deletes the team with its dead keys; returns the ids of those."""
        rows = await self._rows(TEAM_DELETE_KEYS, {"id": team_id})
        await self._conn.execute(TEAM_DELETE, {"id": team_id})
        return sorted(row["id"] for row in rows)

    async def keys(self, limit: int, after: str | None, team_id: str | None) -> list[Key]:
        rows = await self._rows(KEYS, {"id": None, "limit": limit, "after": after, "team_id": team_id})
        return [Key(**row) for row in rows]

    async def key(self, key_id: str) -> Key | None:
        rows = await self._rows(KEYS, {"id": key_id, "limit": 1, "after": None, "team_id": None})
        return Key(**rows[0]) if rows else None

    async def key_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(KEY_CANDIDATES, ref, "key")

    async def insert_key(self, *, metadata: dict[str, Any], **fields: Any) -> bool:
        """False when the team has a live key of this name."""
        return bool(await self._rows(KEY_INSERT, fields | {"metadata": Jsonb(metadata)}))

    async def lock_key(self, key_id: str) -> bool:
        return bool(await self._rows(KEY_LOCK, {"id": key_id}))

    async def update_key(self, key: Key) -> bool:
        """False when the team has another live key of this name: the transaction is then lost."""
        params = {
            "id": key.id, "name": key.name, "owner": key.owner, "allowed_models": key.allowed_models,
            "allowed_routes": key.allowed_routes, "allowed_ips": key.allowed_ips,
            "metadata": Jsonb(key.metadata), "expires_at": key.expires_at,
        }  # fmt: skip
        try:
            await self._conn.execute(KEY_UPDATE, params)
        except UniqueViolation:
            return False
        return True

    async def revoke_key(self, key_id: str) -> None:
        await self._conn.execute(KEY_REVOKE, {"id": key_id})

    async def rotate_key(self, key_id: str, digest: bytes, hint: str, overlap: int) -> None:
        """`overlap` is the time in seconds for which the former secret still opens; 0 for none."""
        await self._conn.execute(KEY_ROTATE, {"id": key_id, "hash": digest, "hint": hint, "overlap": overlap})
