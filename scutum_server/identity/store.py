"""The table api_keys."""

from __future__ import annotations

from typing import Any, Final

from psycopg.types.json import Jsonb

from scutum_server.identity.models import Key
from scutum_server.infra import listing, refs
from scutum_server.infra.listing import Ask, Choice, Listing, Sort
from scutum_server.infra.paging import Page
from scutum_server.infra.refs import Candidate
from scutum_server.infra.store import Store

_KEY: Final = """
k.id, k.name, t.name AS team, k.team_id, t.org_id, k.hint, k.owner, k.allowed_models, k.allowed_routes,
    k.allowed_ips, k.metadata, k.expires_at, k.revoked_at, k.created_at, k.updated_at,
    CASE WHEN k.previous_valid_until > now() THEN k.previous_valid_until END AS previous_valid_until,
    CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.expires_at <= now() THEN 'expired' ELSE 'active' END
        AS state
"""
_KEY_FROM: Final = "api_keys k JOIN teams t ON t.id = k.team_id"
KEYS: Final = Listing(
    "keys",
    columns=_KEY,
    source=_KEY_FROM,
    id="k.id",
    scope="k.org_id = %(scope)s",
    sorts={
        "created_at": Sort("k.id"),
        "name": listing.by_text("k.name"),
        "expires_at": Sort("coalesce(k.expires_at, 'infinity')", "timestamptz"),
    },
    filters={
        "name": listing.text("k.name"),
        "team": listing.exact("k.team_id"),
        "owner": listing.exact("k.owner"),
        "state": Choice(
            {
                "active": "k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())",
                "expired": "k.revoked_at IS NULL AND k.expires_at <= now()",
                "revoked": "k.revoked_at IS NOT NULL",
            }
        ),
    },
)
KEY_GET: Final = f"""
SELECT {_KEY} FROM {_KEY_FROM} WHERE k.id = %(id)s AND (%(scope)s::text IS NULL OR k.org_id = %(scope)s)
"""
KEY_LOCK: Final = f"{KEY_GET} FOR UPDATE OF k"
KEY_CANDIDATES: Final = refs.query(
    "api_keys", label="c.name || ' in team ' || t.name", joins="JOIN teams t ON t.id = c.team_id", org="org_id",
    live="revoked_at IS NULL",
)  # fmt: skip
# Whoever takes a name, or one that looks like it, holds it until the end of the transaction.
NAME_LOCK: Final = """
SELECT pg_advisory_xact_lock(hashtextextended('key:' || %(team_id)s || ':' || name_skeleton(%(name)s), 0))
"""
ALIKE: Final = """
SELECT name FROM api_keys
WHERE team_id = %(team_id)s AND revoked_at IS NULL AND name_skeleton(name) = name_skeleton(%(name)s) AND id <> %(id)s
ORDER BY name = %(name)s DESC LIMIT 1
"""
KEY_INSERT = """
INSERT INTO api_keys (id, team_id, name, hash, hint, owner, allowed_models, allowed_routes, allowed_ips, metadata,
    expires_at)
VALUES (%(id)s, %(team_id)s, %(name)s, %(hash)s, %(hint)s, %(owner)s, %(allowed_models)s, %(allowed_routes)s,
    %(allowed_ips)s, %(metadata)s, %(expires_at)s)
"""
KEY_UPDATE = """
UPDATE api_keys SET name = %(name)s, owner = %(owner)s, allowed_models = %(allowed_models)s,
    allowed_routes = %(allowed_routes)s, allowed_ips = %(allowed_ips)s, metadata = %(metadata)s,
    expires_at = %(expires_at)s, updated_at = clock_timestamp()
WHERE id = %(id)s
"""
KEY_REVOKE = (
    "UPDATE api_keys SET revoked_at = now(), previous_hash = NULL, updated_at = clock_timestamp() WHERE id = %(id)s"
)
KEY_ROTATE = """
UPDATE api_keys SET previous_hash = CASE WHEN %(overlap)s > 0 THEN hash END,
    previous_valid_until = CASE WHEN %(overlap)s > 0 THEN now() + make_interval(secs => %(overlap)s) END,
    hash = %(hash)s, hint = %(hint)s, updated_at = clock_timestamp()
WHERE id = %(id)s
"""

KEY_DELETE = "DELETE FROM api_keys WHERE id = %(id)s"


HASHES: Final = """
SELECT k.hash, k.previous_hash, 'the key “' || k.name || '” of team ' || t.name
    || CASE WHEN k.revoked_at IS NULL THEN '' ELSE ', which is revoked' END AS whose
FROM api_keys k JOIN teams t ON t.id = k.team_id
WHERE k.hash = ANY(%(hashes)s) OR k.previous_hash = ANY(%(hashes)s)
"""
LIVE_SKELETONS: Final = """
SELECT team_id, name, name_skeleton(name) AS skeleton FROM api_keys
WHERE team_id = ANY(%(teams)s) AND revoked_at IS NULL
"""
SKELETONS: Final = """
SELECT name_skeleton(n.name) AS skeleton FROM unnest(%(names)s::text[]) WITH ORDINALITY AS n (name, place)
ORDER BY n.place
"""


class IdentityStore(Store):
    """Reads and writes inside the connection's transaction; never commits."""

    async def keys(self, ask: Ask) -> Page[Key]:
        return await self._page(KEYS, ask, lambda row: Key(**row))

    async def key(self, key_id: str) -> Key | None:
        row = await self._row(KEY_GET, {"id": key_id})
        return Key(**row) if row else None

    async def lock_key(self, key_id: str) -> Key | None:
        """The key, which nobody else can change until the transaction ends; None when it is gone."""
        row = await self._row(KEY_LOCK, {"id": key_id})
        return Key(**row) if row else None

    async def key_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(KEY_CANDIDATES, ref, "key")

    async def taken(self, team_id: str, name: str, *, but: str = "") -> str | None:
        """The name of the team's live key that has this one or looks like it; nobody can take it meanwhile."""
        params = {"team_id": team_id, "name": name, "id": but}
        await self._row(NAME_LOCK, params)
        row = await self._row(ALIKE, params)
        return None if row is None else str(row["name"])

    async def insert_key(self, *, metadata: dict[str, Any], **fields: Any) -> None:
        await self._conn.execute(KEY_INSERT, fields | {"metadata": Jsonb(metadata)})

    async def insert_keys(self, rows: list[dict[str, Any]]) -> None:
        async with self._conn.cursor() as cursor:
            await cursor.executemany(KEY_INSERT, [row | {"metadata": Jsonb(row["metadata"])} for row in rows])

    async def hashes(self, hashes: list[bytes]) -> dict[bytes, str]:
        """Whose those are that are known here, in words."""
        found = {}
        for row in await self._rows(HASHES, {"hashes": hashes}):
            found[bytes(row["hash"])] = str(row["whose"])
            if row["previous_hash"] is not None:
                found[bytes(row["previous_hash"])] = str(row["whose"])
        return found

    async def live_skeletons(self, teams: list[str]) -> dict[tuple[str, str], str]:
        """Names of live keys by team and what they look like."""
        rows = await self._rows(LIVE_SKELETONS, {"teams": teams})
        return {(row["team_id"], row["skeleton"]): row["name"] for row in rows}

    async def skeletons(self, names: list[str]) -> list[str]:
        """What each name looks like."""
        return [str(row["skeleton"]) for row in await self._rows(SKELETONS, {"names": names})]

    async def update_key(self, key: Key) -> None:
        params = {
            "id": key.id, "name": key.name, "owner": key.owner, "allowed_models": key.allowed_models,
            "allowed_routes": key.allowed_routes, "allowed_ips": key.allowed_ips,
            "metadata": Jsonb(key.metadata), "expires_at": key.expires_at,
        }  # fmt: skip
        await self._conn.execute(KEY_UPDATE, params)

    async def revoke_key(self, key_id: str) -> None:
        await self._conn.execute(KEY_REVOKE, {"id": key_id})

    async def delete_key(self, key_id: str) -> None:
        await self._conn.execute(KEY_DELETE, {"id": key_id})

    async def rotate_key(self, key_id: str, digest: bytes, hint: str, overlap: int) -> None:
        """`overlap` is the time in seconds for which the former secret still opens; 0 for none."""
        await self._conn.execute(KEY_ROTATE, {"id": key_id, "hash": digest, "hint": hint, "overlap": overlap})
