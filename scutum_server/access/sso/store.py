"""The tables sso and sso_flows, and users as single sign-on finds them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from psycopg.types.json import Jsonb

from scutum_server.access.models import Role
from scutum_server.access.sso.models import Flow, Provider, Rule
from scutum_server.infra.store import Store

PROVIDER: Final = """
SELECT issuer, client_id, secret, scopes, redirect_uris, groups_claim, rules, default_role, ca_bundle, updated_at
FROM sso
"""
PROVIDER_PUT: Final = """
INSERT INTO sso (issuer, client_id, secret, scopes, redirect_uris, groups_claim, rules, default_role, ca_bundle)
VALUES (%(issuer)s, %(client_id)s, %(secret)s, %(scopes)s, %(redirect_uris)s, %(groups_claim)s, %(rules)s,
    %(default_role)s, %(ca_bundle)s)
ON CONFLICT (singleton) DO UPDATE SET issuer = excluded.issuer, client_id = excluded.client_id,
    secret = excluded.secret, scopes = excluded.scopes, redirect_uris = excluded.redirect_uris,
    groups_claim = excluded.groups_claim, rules = excluded.rules, default_role = excluded.default_role,
    ca_bundle = excluded.ca_bundle, updated_at = now()
"""
PROVIDER_DELETE: Final = "DELETE FROM sso RETURNING issuer"
FLOW_INSERT: Final = """
INSERT INTO sso_flows (id, kind, browser, nonce, secret, redirect_uri, interval_s, due_at, expires_at)
VALUES (%(id)s, %(kind)s, %(browser)s, %(nonce)s, %(secret)s, %(redirect_uri)s, %(interval)s,
    now() + make_interval(secs => %(interval)s), now() + make_interval(secs => %(lifetime)s))
"""
FLOW_SWEEP: Final = "DELETE FROM sso_flows WHERE expires_at < now()"
# One statement: a state that is shown twice at once is taken once.
FLOW_TAKE: Final = """
DELETE FROM sso_flows WHERE id = %(id)s AND kind = 'code'
RETURNING kind, browser, nonce, secret, redirect_uri, interval_s AS interval, expires_at > now() AS due
"""
FLOW_ASK: Final = """
SELECT kind, browser, nonce, secret, redirect_uri, interval_s AS interval, due_at <= now() AS due
FROM sso_flows WHERE id = %(id)s AND kind = 'device' AND expires_at > now() FOR UPDATE
"""
FLOW_WAIT: Final = """
UPDATE sso_flows SET interval_s = %(interval)s, due_at = now() + make_interval(secs => %(interval)s) WHERE id = %(id)s
"""
FLOW_END: Final = "DELETE FROM sso_flows WHERE id = %(id)s RETURNING id"
BY_SUBJECT: Final = """
SELECT id, email, role, org_id, sso_managed, disabled_at IS NULL AS active FROM users
WHERE oidc_issuer = %(issuer)s AND oidc_subject = %(subject)s FOR UPDATE
"""
# Who has a password is not taken over by whoever the provider says has the same address.
LINK: Final = """
UPDATE users SET oidc_issuer = %(issuer)s, oidc_subject = %(subject)s, updated_at = now()
WHERE email_key = %(email_key)s AND oidc_subject IS NULL AND password_hash IS NULL RETURNING id
"""
INSERT: Final = """
INSERT INTO users (id, org_id, email, email_key, name, role, oidc_issuer, oidc_subject, sso_managed)
VALUES (%(id)s, %(org_id)s, %(email)s, %(email_key)s, %(name)s, %(role)s, %(issuer)s, %(subject)s, true)
ON CONFLICT (email_key) DO NOTHING RETURNING id
"""
PLACE: Final = "UPDATE users SET role = %(role)s, org_id = %(org_id)s, updated_at = now() WHERE id = %(id)s"
ORG_THERE: Final = "SELECT id FROM orgs WHERE id = %(id)s FOR SHARE"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has come by single sign-on; `sso_managed`: their groups decide on their role."""

    id: str
    email: str
    role: Role
    org_id: str | None
    sso_managed: bool
    active: bool


class SsoStore(Store):
    async def provider(self) -> Provider | None:
        row = await self._row(PROVIDER, {})
        if row is None:
            return None
        return Provider(**row | {"rules": msgspec.convert(row["rules"], list[Rule])})

    async def put_provider(self, provider: Provider) -> None:
        fields = msgspec.structs.asdict(provider) | {"rules": Jsonb(msgspec.to_builtins(provider.rules))}
        await self._conn.execute(PROVIDER_PUT, fields)

    async def delete_provider(self) -> bool:
        return await self._row(PROVIDER_DELETE, {}) is not None

    async def insert_flow(self, flow_id: bytes, *, lifetime: int, interval: int = 0, **fields: Any) -> None:
        """`lifetime` and `interval` are in seconds."""
        params = {"browser": None, "nonce": None, "redirect_uri": None, **fields}
        await self._conn.execute(FLOW_SWEEP)
        await self._conn.execute(FLOW_INSERT, params | {"id": flow_id, "lifetime": lifetime, "interval": interval})

    async def take_flow(self, flow_id: bytes) -> Flow | None:
        """The flow of a browser, which is gone by that; `due` says that it was not too late."""
        row = await self._row(FLOW_TAKE, {"id": flow_id})
        return Flow(**row) if row else None

    async def device_flow(self, flow_id: bytes) -> Flow | None:
        """The flow of a device, locked; `due` says that the provider may be asked again."""
        row = await self._row(FLOW_ASK, {"id": flow_id})
        return Flow(**row) if row else None

    async def wait(self, flow_id: bytes, interval: int) -> None:
        await self._conn.execute(FLOW_WAIT, {"id": flow_id, "interval": interval})

    async def end_flow(self, flow_id: bytes) -> bool:
        return await self._row(FLOW_END, {"id": flow_id}) is not None

    async def known(self, issuer: str, subject: str) -> Known | None:
        row = await self._row(BY_SUBJECT, {"issuer": issuer, "subject": subject})
        return Known(**row) if row else None

    async def link(self, issuer: str, subject: str, email_key: str) -> str | None:
        """The id of the account without a password that has this address, which is theirs from now on."""
        row = await self._row(LINK, {"issuer": issuer, "subject": subject, "email_key": email_key})
        return str(row["id"]) if row else None

    async def insert(self, **fields: Any) -> bool:
        """False when somebody else has the address."""
        return await self._row(INSERT, fields) is not None

    async def place(self, user_id: str, role: Role, org_id: str | None) -> None:
        await self._conn.execute(PLACE, {"id": user_id, "role": role, "org_id": org_id})

    async def org_there(self, org_id: str) -> bool:
        return await self._row(ORG_THERE, {"id": org_id}) is not None
