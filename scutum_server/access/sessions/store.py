"""The tables sessions, refresh_tokens and login_places."""

from __future__ import annotations

import datetime as dt
from typing import Any

from msgspec import Struct

from scutum_server.access.models import Actor, Method, Principal, Role, Session
from scutum_server.infra.store import Store

# Seen a little while ago is seen: a write for every request would be one too many.
LOOK = """
WITH touched AS (
    UPDATE sessions SET seen_at = now() WHERE id = (
        SELECT id FROM sessions
        WHERE id = %(id)s AND ended_at IS NULL AND seen_at > now() - make_interval(secs => %(idle)s)
            AND seen_at < now() - make_interval(secs => %(precision)s)
        FOR UPDATE SKIP LOCKED
    )
)
SELECT s.id, s.actor_id, s.actor_kind, s.method, s.created_at, s.expires_at, coalesce(u.role, a.role, 'owner') AS role,
    coalesce(u.org_id, a.org_id) AS org_id, u.email
FROM sessions s LEFT JOIN users u ON u.id = s.user_id LEFT JOIN service_accounts a ON a.id = s.service_account_id
WHERE s.id = %(id)s AND s.ended_at IS NULL AND s.expires_at > now()
    AND s.seen_at > now() - make_interval(secs => %(idle)s)
    AND CASE s.actor_kind
        WHEN 'user' THEN u.id IS NOT NULL AND u.disabled_at IS NULL
        WHEN 'service-account' THEN a.revoked_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now())
            AND (a.hash = s.credential OR a.previous_hash = s.credential AND a.previous_valid_until > now())
        ELSE s.credential = %(master)s END
"""
INSERT = """
INSERT INTO sessions (id, actor_id, actor_kind, user_id, service_account_id, credential, method, ip, expires_at)
VALUES (%(id)s, %(actor_id)s, %(actor_kind)s, %(user_id)s, %(service_account_id)s, %(credential)s, %(method)s,
    %(ip)s::inet, now() + make_interval(secs => %(lifetime)s))
"""
TOUCH = "UPDATE sessions SET seen_at = now() WHERE id = %(id)s"
END = """
UPDATE sessions SET ended_at = now(), ended_by = %(by)s WHERE id = %(id)s AND ended_at IS NULL RETURNING id
"""
END_OF_USER = """
UPDATE sessions SET ended_at = now(), ended_by = %(by)s
WHERE user_id = %(user_id)s AND ended_at IS NULL AND id IS DISTINCT FROM %(but)s RETURNING id
"""
REFRESH_INSERT = "INSERT INTO refresh_tokens (hash, session_id) VALUES (%(hash)s, %(session_id)s)"
# One statement: of two that show the same token at once, one finds it unused.
REFRESH_USE = "UPDATE refresh_tokens SET used_at = now() WHERE hash = %(hash)s AND used_at IS NULL RETURNING session_id"
REFRESH_SESSION = "SELECT session_id FROM refresh_tokens WHERE hash = %(hash)s"
# Ended sessions stay for a week, so that a replayed refresh token is known as one.
SWEEP = """
DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE expires_at < now() - interval '7 days' LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""
BY_EMAIL = """
SELECT u.id, u.email, u.org_id, u.role, u.password_hash, u.disabled_at IS NULL AS active, p.ip IS NOT NULL AS known
FROM users u LEFT JOIN login_places p
    ON p.user_id = u.id AND p.ip = %(ip)s::inet AND p.last_at > now() - interval '30 days'
WHERE u.email_key = %(email_key)s
"""
BY_ID = """
SELECT u.id, u.email, u.org_id, u.role, u.password_hash, u.disabled_at IS NULL AS active, false AS known
FROM users u WHERE u.id = %(id)s
"""
USER_CAME = """
UPDATE users SET last_login_at = now(), password_hash = coalesce(%(rehashed)s, password_hash) WHERE id = %(id)s
"""
PLACE_CAME = """
INSERT INTO login_places (user_id, ip) VALUES (%(id)s, %(ip)s::inet)
ON CONFLICT (user_id, ip) DO UPDATE SET last_at = now()
"""
PLACES_SWEEP = """
DELETE FROM login_places WHERE user_id = %(id)s AND (last_at < now() - interval '30 days' OR ip IN (
    SELECT ip FROM login_places WHERE user_id = %(id)s ORDER BY last_at DESC OFFSET 20
))
"""
HOLDER = """
SELECT a.id, a.name, a.org_id, a.role FROM service_accounts a
WHERE (a.hash = %(hash)s OR a.previous_hash = %(hash)s AND a.previous_valid_until > now())
    AND a.revoked_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now())
"""
ORG_NAME = "SELECT name FROM orgs WHERE id = %(id)s"
ACCOUNT_CAME = "UPDATE service_accounts SET last_login_at = now() WHERE id = %(id)s"


class Login(Struct, frozen=True, kw_only=True):
    """What a password is checked against; `known`: they have logged in from this address lately."""

    id: str
    email: str
    org_id: str | None
    role: Role
    password_hash: str | None
    active: bool
    known: bool


class TokenHolder(Struct, frozen=True):
    """The service account that a token opens for."""

    id: str
    name: str
    org_id: str | None
    role: Role


class SessionStore(Store):
    async def look(self, session_id: str, *, master: bytes, idle: int, precision: int) -> Session | None:
        """The session while it is alive and its owner may log in; marks it as seen.

        `idle` and `precision` are in seconds, `master` is what sessions of the present master key were opened with.
        """
        params = {"id": session_id, "master": master, "idle": idle, "precision": precision}
        rows = await self._rows(LOOK, params)
        return _session(rows[0]) if rows else None

    async def insert(
        self,
        session_id: str,
        actor: Actor,
        *,
        method: Method,
        credential: bytes | None,
        ip: str | None,
        lifetime: int,
    ) -> None:
        """`lifetime` is in seconds."""
        params = {
            "id": session_id, "actor_id": actor.id, "actor_kind": actor.kind, "method": method, "ip": ip,
            "credential": credential, "lifetime": lifetime,
            "user_id": actor.id if actor.kind == "user" else None,
            "service_account_id": actor.id if actor.kind == "service-account" else None,
        }  # fmt: skip
        await self._conn.execute(INSERT, params)
        await self._conn.execute(SWEEP)

    async def touch(self, session_id: str) -> None:
        await self._conn.execute(TOUCH, {"id": session_id})

    async def end(self, session_id: str, by: str) -> bool:
        """False when it was over already."""
        return bool(await self._rows(END, {"id": session_id, "by": by}))

    async def end_of_user(self, user_id: str, by: str, but: str | None) -> list[str]:
        """Ends every session of somebody, but one; the ids of those."""
        rows = await self._rows(END_OF_USER, {"user_id": user_id, "by": by, "but": but})
        return [row["id"] for row in rows]

    async def insert_token(self, digest: bytes, session_id: str) -> None:
        await self._conn.execute(REFRESH_INSERT, {"hash": digest, "session_id": session_id})

    async def use_token(self, digest: bytes) -> str | None:
        """The session of a refresh token that was not used before, and is now."""
        rows = await self._rows(REFRESH_USE, {"hash": digest})
        return str(rows[0]["session_id"]) if rows else None

    async def session_of_token(self, digest: bytes) -> str | None:
        rows = await self._rows(REFRESH_SESSION, {"hash": digest})
        return str(rows[0]["session_id"]) if rows else None

    async def login_of(self, email_key: str, ip: str | None) -> Login | None:
        rows = await self._rows(BY_EMAIL, {"email_key": email_key, "ip": ip})
        return Login(**rows[0]) if rows else None

    async def login_of_user(self, user_id: str) -> Login | None:
        rows = await self._rows(BY_ID, {"id": user_id})
        return Login(**rows[0]) if rows else None

    async def user_came(self, user_id: str, ip: str | None, rehashed: str | None) -> None:
        """Remembers that somebody logged in, and from where; `rehashed` replaces the hash of the password."""
        await self._conn.execute(USER_CAME, {"id": user_id, "rehashed": rehashed})
        if ip is not None:
            await self._conn.execute(PLACE_CAME, {"id": user_id, "ip": ip})
            await self._conn.execute(PLACES_SWEEP, {"id": user_id})

    async def token_holder(self, digest: bytes) -> TokenHolder | None:
        rows = await self._rows(HOLDER, {"hash": digest})
        return TokenHolder(**rows[0]) if rows else None

    async def org_name(self, org_id: str) -> str | None:
        rows = await self._rows(ORG_NAME, {"id": org_id})
        return str(rows[0]["name"]) if rows else None

    async def account_came(self, account_id: str) -> None:
        await self._conn.execute(ACCOUNT_CAME, {"id": account_id})


def _session(row: dict[str, Any]) -> Session:
    created: dt.datetime = row["created_at"]
    return Session(
        id=row["id"],
        principal=Principal(Actor(row["actor_id"], row["actor_kind"], row["email"]), row["role"], row["org_id"]),
        method=row["method"],
        created_at=created,
        expires_at=row["expires_at"],
    )
