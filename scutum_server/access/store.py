"""The tables users and service_accounts."""

from __future__ import annotations

from typing import Any

from psycopg.errors import UniqueViolation

from scutum_server.access.models import Role, ServiceAccount, User
from scutum_server.infra.refs import Candidate
from scutum_server.infra.store import Store

ORG_CANDIDATES = """
SELECT id, name, 'org ' || name AS label FROM orgs
WHERE (%(scope)s::text IS NULL OR id = %(scope)s) AND (id = %(ref)s OR name = %(ref)s
    OR starts_with(id, %(part)s::text) OR right(id, length(%(part)s::text)) = %(part)s::text)
ORDER BY id = %(ref)s DESC, name = %(ref)s DESC, id LIMIT 11
"""
ORG_HOLD = "SELECT id FROM orgs WHERE id = %(id)s FOR SHARE"
USERS = """
SELECT u.id, u.email, u.name, u.role, o.name AS org, u.org_id, u.password_hash IS NOT NULL AS has_password,
    u.oidc_subject IS NOT NULL AS sso, CASE WHEN u.disabled_at IS NULL THEN 'active' ELSE 'disabled' END AS state,
    u.last_login_at, u.created_at, u.updated_at
FROM users u LEFT JOIN orgs o ON o.id = u.org_id
WHERE (%(scope)s::text IS NULL OR u.org_id = %(scope)s) AND (%(id)s::text IS NULL OR u.id = %(id)s)
    AND (%(after)s::text IS NULL OR u.id > %(after)s) AND (%(role)s::text IS NULL OR u.role = %(role)s)
    AND (%(org_id)s::text IS NULL OR u.org_id = %(org_id)s)
ORDER BY u.id LIMIT %(limit)s
"""
USER_CANDIDATES = """
SELECT id, email AS name, email AS label FROM users
WHERE (%(scope)s::text IS NULL OR org_id = %(scope)s) AND (id = %(ref)s OR email_key = lower(%(ref)s)
    OR starts_with(id, %(part)s::text) OR right(id, length(%(part)s::text)) = %(part)s::text)
ORDER BY id = %(ref)s DESC, email_key = lower(%(ref)s) DESC, id LIMIT 11
"""
USER_INSERT = """
INSERT INTO users (id, org_id, email, email_key, name, role, password_hash, oidc_issuer, oidc_subject)
VALUES (%(id)s, %(org_id)s, %(email)s, %(email_key)s, %(name)s, %(role)s, %(password_hash)s, %(oidc_issuer)s,
    %(oidc_subject)s)
ON CONFLICT (email_key) DO NOTHING RETURNING id
"""
USER_LOCK = """
SELECT id FROM users WHERE id = %(id)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) FOR UPDATE
"""
USER_UPDATE = """
UPDATE users SET name = %(name)s, role = %(role)s, org_id = %(org_id)s, updated_at = now(),
    disabled_at = CASE WHEN %(disabled)s THEN coalesce(disabled_at, now()) END
WHERE id = %(id)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) RETURNING id
"""
USER_HASH = """
UPDATE users SET password_hash = %(hash)s, updated_at = now()
WHERE id = %(id)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) RETURNING id
"""
USER_DELETE = """
DELETE FROM users WHERE id = %(id)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) RETURNING id
"""
# One at a time counts the owners of an org: of two who demote each other at once, the second finds itself the last.
OWNERS_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('scutum-owners ' || coalesce(%(org_id)s::text, ''), 0))"
OWNERS = """
SELECT id FROM users WHERE role = 'owner' AND disabled_at IS NULL AND org_id IS NOT DISTINCT FROM %(org_id)s
"""
SERVICE_ACCOUNTS = """
SELECT a.id, a.name, a.role, o.name AS org, a.org_id, a.hint, a.expires_at, a.revoked_at, a.last_login_at,
    CASE WHEN a.revoked_at IS NOT NULL THEN 'revoked' WHEN a.expires_at <= now() THEN 'expired' ELSE 'active' END
        AS state,
    CASE WHEN a.previous_valid_until > now() THEN a.previous_valid_until END AS previous_valid_until,
    a.created_at, a.updated_at
FROM service_accounts a LEFT JOIN orgs o ON o.id = a.org_id
WHERE (%(scope)s::text IS NULL OR a.org_id = %(scope)s) AND (%(id)s::text IS NULL OR a.id = %(id)s)
    AND (%(after)s::text IS NULL OR a.id > %(after)s) AND (%(role)s::text IS NULL OR a.role = %(role)s)
    AND (%(org_id)s::text IS NULL OR a.org_id = %(org_id)s)
ORDER BY a.id LIMIT %(limit)s
"""
SERVICE_ACCOUNT_CANDIDATES = """
SELECT a.id, a.name, a.name || coalesce(' in org ' || o.name, '') AS label, a.revoked_at IS NULL AS live
FROM service_accounts a LEFT JOIN orgs o ON o.id = a.org_id
WHERE (%(scope)s::text IS NULL OR a.org_id = %(scope)s) AND (a.id = %(ref)s OR a.name = %(ref)s
    OR starts_with(a.id, %(part)s::text) OR right(a.id, length(%(part)s::text)) = %(part)s::text)
ORDER BY a.id = %(ref)s DESC, a.name = %(ref)s DESC, a.revoked_at IS NULL DESC, a.id LIMIT 11
"""
SERVICE_ACCOUNT_INSERT = """
INSERT INTO service_accounts (id, org_id, name, role, hash, hint, expires_at)
VALUES (%(id)s, %(org_id)s, %(name)s, %(role)s, %(hash)s, %(hint)s, %(expires_at)s)
ON CONFLICT (org_id, name) WHERE revoked_at IS NULL DO NOTHING RETURNING id
"""
SERVICE_ACCOUNT_LOCK = """
SELECT id FROM service_accounts WHERE id = %(id)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) FOR UPDATE
"""
SERVICE_ACCOUNT_UPDATE = """
UPDATE service_accounts SET name = %(name)s, role = %(role)s, expires_at = %(expires_at)s, updated_at = now()
WHERE id = %(id)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) RETURNING id
"""
SERVICE_ACCOUNT_REVOKE = """
UPDATE service_accounts SET revoked_at = now(), previous_hash = NULL, updated_at = now()
WHERE id = %(id)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) RETURNING id
"""
SERVICE_ACCOUNT_ROTATE = """
UPDATE service_accounts SET previous_hash = CASE WHEN %(overlap)s > 0 THEN hash END,
    previous_valid_until = CASE WHEN %(overlap)s > 0 THEN now() + make_interval(secs => %(overlap)s) END,
    hash = %(hash)s, hint = %(hint)s, updated_at = now()
WHERE id = %(id)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) RETURNING id
"""
SERVICE_ACCOUNT_DELETE = """
DELETE FROM service_accounts WHERE id = %(id)s AND (%(scope)s::text IS NULL OR org_id = %(scope)s) RETURNING id
"""


class AccessStore(Store):
    async def org_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(ORG_CANDIDATES, ref, "org")

    async def hold_org(self, org_id: str) -> bool:
        """Keeps the org from being deleted until the transaction ends; False when it is gone."""
        return bool(await self._rows(ORG_HOLD, {"id": org_id}))

    async def users(self, limit: int, after: str | None, role: Role | None, org_id: str | None) -> list[User]:
        params = {"id": None, "limit": limit, "after": after, "role": role, "org_id": org_id}
        return [User(**row) for row in await self._rows(USERS, params)]

    async def user(self, user_id: str) -> User | None:
        params = {"id": user_id, "limit": 1, "after": None, "role": None, "org_id": None}
        rows = await self._rows(USERS, params)
        return User(**rows[0]) if rows else None

    async def user_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(USER_CANDIDATES, ref, "user")

    async def insert_user(self, **fields: Any) -> bool:
        """False when somebody has this address, in whatever org; `oidc_issuer` and `oidc_subject` may be left out."""
        return bool(await self._rows(USER_INSERT, {"oidc_issuer": None, "oidc_subject": None} | fields))

    async def lock_user(self, user_id: str) -> bool:
        return bool(await self._rows(USER_LOCK, {"id": user_id}))

    async def update_user(self, user: User) -> None:
        params = {
            "id": user.id, "name": user.name, "role": user.role, "org_id": user.org_id,
            "disabled": user.state == "disabled",
        }  # fmt: skip
        await self._rows(USER_UPDATE, params)

    async def set_password(self, user_id: str, hashed: str) -> None:
        await self._rows(USER_HASH, {"id": user_id, "hash": hashed})

    async def delete_user(self, user_id: str) -> None:
        await self._rows(USER_DELETE, {"id": user_id})

    async def owners(self, org_id: str | None) -> list[str]:
        """Who owns the org (None: the install) and is not disabled; nobody else counts until the transaction ends."""
        await self._conn.execute(OWNERS_LOCK, {"org_id": org_id})
        return [row["id"] for row in await self._rows(OWNERS, {"org_id": org_id})]

    async def service_accounts(
        self, limit: int, after: str | None, role: Role | None, org_id: str | None
    ) -> list[ServiceAccount]:
        params = {"id": None, "limit": limit, "after": after, "role": role, "org_id": org_id}
        return [ServiceAccount(**row) for row in await self._rows(SERVICE_ACCOUNTS, params)]

    async def service_account(self, account_id: str) -> ServiceAccount | None:
        params = {"id": account_id, "limit": 1, "after": None, "role": None, "org_id": None}
        rows = await self._rows(SERVICE_ACCOUNTS, params)
        return ServiceAccount(**rows[0]) if rows else None

    async def service_account_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(SERVICE_ACCOUNT_CANDIDATES, ref, "sa")

    async def insert_service_account(self, **fields: Any) -> bool:
        """False when the org has a live service account of this name."""
        return bool(await self._rows(SERVICE_ACCOUNT_INSERT, fields))

    async def lock_service_account(self, account_id: str) -> bool:
        return bool(await self._rows(SERVICE_ACCOUNT_LOCK, {"id": account_id}))

    async def update_service_account(self, account: ServiceAccount) -> bool:
        """False when the org has another live one of this name: the transaction is then lost."""
        params = {"id": account.id, "name": account.name, "role": account.role, "expires_at": account.expires_at}
        try:
            await self._rows(SERVICE_ACCOUNT_UPDATE, params)
        except UniqueViolation:
            return False
        return True

    async def revoke_service_account(self, account_id: str) -> None:
        await self._rows(SERVICE_ACCOUNT_REVOKE, {"id": account_id})

    async def rotate_service_account(self, account_id: str, digest: bytes, hint: str, overlap: int) -> None:
        """`overlap` is the time in seconds for which the former token still opens; 0 for none."""
        await self._rows(SERVICE_ACCOUNT_ROTATE, {"id": account_id, "hash": digest, "hint": hint, "overlap": overlap})

    async def delete_service_account(self, account_id: str) -> None:
        await self._rows(SERVICE_ACCOUNT_DELETE, {"id": account_id})
