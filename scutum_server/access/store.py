"""The tables users and service_accounts."""

from __future__ import annotations

from typing import Any, Final

from psycopg.errors import UniqueViolation

from scutum_server.access.models import ServiceAccount, User
from scutum_server.infra import listing, refs
from scutum_server.infra.listing import Ask, Choice, Listing, Sort
from scutum_server.infra.paging import Page
from scutum_server.infra.refs import Candidate
from scutum_server.infra.store import Store

ORG_CANDIDATES: Final = refs.query("orgs", label="'org ' || c.name", org="id")
ORG_HOLD = "SELECT id FROM orgs WHERE id = %(id)s FOR SHARE"
_USER: Final = """u.id, u.email, u.name, u.role, o.name AS org, u.org_id, u.password_hash IS NOT NULL AS has_password,
    u.oidc_subject IS NOT NULL AS sso, CASE WHEN u.disabled_at IS NULL THEN 'active' ELSE 'disabled' END AS state,
    u.last_login_at, u.created_at, u.updated_at"""
_USER_FROM: Final = "users u LEFT JOIN orgs o ON o.id = u.org_id"
USERS: Final = Listing(
    "users",
    columns=_USER,
    source=_USER_FROM,
    id="u.id",
    scope="u.org_id = %(scope)s",
    sorts={
        "created_at": Sort("u.id"),
        "email": listing.by_text("u.email_key"),
        "last_login_at": Sort("coalesce(u.last_login_at, '-infinity')", "timestamptz"),
    },
    filters={
        "email": listing.text("u.email_key"),
        "role": listing.exact("u.role"),
        "org": listing.exact("u.org_id"),
        "state": Choice({"active": "u.disabled_at IS NULL", "disabled": "u.disabled_at IS NOT NULL"}),
    },
)
USER: Final = f"""
SELECT {_USER} FROM {_USER_FROM} WHERE u.id = %(id)s AND (%(scope)s::text IS NULL OR u.org_id = %(scope)s)
"""
USER_CANDIDATES: Final = refs.query("users", label="c.email_key", name="email_key", org="org_id")
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
ADMINISTRATORS: Final = """
SELECT id FROM users WHERE role IN ('owner', 'admin') AND disabled_at IS NULL
"""
ADMINISTRATORS_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('scutum-administrators', 0))"
KNOWS_HASH: Final = """
SELECT EXISTS (SELECT FROM service_accounts WHERE hash = %(hash)s OR previous_hash = %(hash)s) AS found
"""
_ACCOUNT: Final = """a.id, a.name, a.role, o.name AS org, a.org_id, a.hint, a.expires_at, a.revoked_at, a.last_login_at,
    CASE WHEN a.revoked_at IS NOT NULL THEN 'revoked' WHEN a.expires_at <= now() THEN 'expired' ELSE 'active' END
        AS state,
    CASE WHEN a.previous_valid_until > now() THEN a.previous_valid_until END AS previous_valid_until,
    a.created_at, a.updated_at"""
_ACCOUNT_FROM: Final = "service_accounts a LEFT JOIN orgs o ON o.id = a.org_id"
SERVICE_ACCOUNTS: Final = Listing(
    "service-accounts",
    columns=_ACCOUNT,
    source=_ACCOUNT_FROM,
    id="a.id",
    scope="a.org_id = %(scope)s",
    sorts={
        "created_at": Sort("a.id"),
        "name": listing.by_text("a.name"),
        "expires_at": Sort("coalesce(a.expires_at, 'infinity')", "timestamptz"),
    },
    filters={
        "name": listing.text("a.name"),
        "role": listing.exact("a.role"),
        "org": listing.exact("a.org_id"),
        "state": Choice(
            {
                "active": "a.revoked_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now())",
                "expired": "a.revoked_at IS NULL AND a.expires_at <= now()",
                "revoked": "a.revoked_at IS NOT NULL",
            }
        ),
    },
)
SERVICE_ACCOUNT: Final = f"""
SELECT {_ACCOUNT} FROM {_ACCOUNT_FROM} WHERE a.id = %(id)s AND (%(scope)s::text IS NULL OR a.org_id = %(scope)s)
"""
SERVICE_ACCOUNT_CANDIDATES: Final = refs.query(
    "service_accounts", label="c.name || coalesce(' in org ' || o.name, '')",
    joins="LEFT JOIN orgs o ON o.id = c.org_id", org="org_id", live="revoked_at IS NULL",
)  # fmt: skip
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

    async def users(self, ask: Ask) -> Page[User]:
        return await self._page(USERS, ask, lambda row: User(**row))

    async def user(self, user_id: str) -> User | None:
        row = await self._row(USER, {"id": user_id})
        return User(**row) if row else None

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

    async def administrators(self) -> list[str]:
        """Who administers anything in this install; one at a time counts them, until the transaction ends."""
        await self._conn.execute(ADMINISTRATORS_LOCK)
        return [row["id"] for row in await self._rows(ADMINISTRATORS, {})]

    async def knows_hash(self, digest: bytes) -> bool:
        return bool((await self._rows(KNOWS_HASH, {"hash": digest}))[0]["found"])

    async def service_accounts(self, ask: Ask) -> Page[ServiceAccount]:
        return await self._page(SERVICE_ACCOUNTS, ask, lambda row: ServiceAccount(**row))

    async def service_account(self, account_id: str) -> ServiceAccount | None:
        row = await self._row(SERVICE_ACCOUNT, {"id": account_id})
        return ServiceAccount(**row) if row else None

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
