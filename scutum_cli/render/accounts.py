"""Users, service accounts and roles. Never a password or a token: the API does not give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, Face, age, listed, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Me, RoleInfo, ServiceAccount, SsoSettings, User

EVERYWHERE = "(install)"
"""Where an account is that belongs to no org."""


def _org(item: Any, face: Face) -> str:
    del face
    return item["org"] or EVERYWHERE


def _ways(user: User, face: Face) -> str:
    del face
    return listed([word for word, held in (("password", user["has_password"]), ("sso", user["sso"])) if held])


def _expires(account: ServiceAccount, face: Face) -> str:
    return "never" if account["expires_at"] is None else age(account["expires_at"], face)


USERS: list[Column[User]] = [
    Column("email", "EMAIL"),
    Column("role", "ROLE"),
    Column("org", "ORG", _org),
    Column("state", "STATE"),
    Column("last_login_at", "LAST LOGIN", lambda user, face: age(user["last_login_at"], face)),
    Column("name", "NAME", extra=True),
    Column("has_password", "PASSWORD", extra=True),
    Column("sso", "SSO", extra=True),
    Column("created_at", "CREATED", lambda user, face: age(user["created_at"], face), extra=True),
    Column("id", "ID", extra=True),
]
USER_DETAILS: list[Column[User]] = [
    Column("email", "EMAIL"),
    Column("id", "ID"),
    Column("name", "NAME"),
    Column("role", "ROLE"),
    Column("org", "ORG", _org),
    Column("state", "STATE"),
    Column("has_password", "LOGS IN BY", _ways),
    Column("last_login_at", "LAST LOGIN", lambda user, face: when(user["last_login_at"], face)),
    Column("created_at", "CREATED", lambda user, face: when(user["created_at"], face)),
]
SERVICE_ACCOUNTS: list[Column[ServiceAccount]] = [
    Column("name", "NAME"),
    Column("role", "ROLE"),
    Column("org", "ORG", _org),
    Column("state", "STATE"),
    Column("hint", "TOKEN", lambda account, _: "…" + account["hint"].rpartition("…")[2], extra=True),
    Column("expires_at", "EXPIRES", _expires),
    Column("last_login_at", "LAST LOGIN", lambda account, face: age(account["last_login_at"], face)),
    Column("created_at", "CREATED", lambda account, face: age(account["created_at"], face), extra=True),
    Column("id", "ID", extra=True),
]
SERVICE_ACCOUNT_DETAILS: list[Column[ServiceAccount]] = [
    Column("name", "NAME"),
    Column("id", "ID"),
    Column("role", "ROLE"),
    Column("org", "ORG", _org),
    Column("state", "STATE"),
    Column("hint", "TOKEN"),
    Column("expires_at", "EXPIRES", lambda account, face: when(account["expires_at"], face)),
    Column("last_login_at", "LAST LOGIN", lambda account, face: when(account["last_login_at"], face)),
    Column("created_at", "CREATED", lambda account, face: when(account["created_at"], face)),
    Column("revoked_at", "REVOKED", lambda account, face: when(account["revoked_at"], face)),
    Column(
        "previous_valid_until",
        "FORMER OPENS UNTIL",
        lambda account, face: (
            when(account["previous_valid_until"], face) if account["previous_valid_until"] else NOTHING
        ),
    ),
]
ROLES: list[Column[RoleInfo]] = [
    Column("name", "ROLE"),
    Column("description", "IS FOR"),
    Column("permissions", "MAY", lambda role, _: listed(role["permissions"]), extra=True),
]
ROLE_DETAILS: list[Column[RoleInfo]] = [
    Column("name", "ROLE"),
    Column("description", "IS FOR"),
    Column("permissions", "MAY", lambda role, _: listed(role["permissions"])),
    Column("permissions_in_org", "IN ONE ORG", lambda role, _: listed(role["permissions_in_org"])),
]
ME: list[Column[Me]] = [
    Column("email", "WHO", lambda me, _: me["email"] or {"admin": "the master key"}.get(me["kind"], me["id"])),
    Column("kind", "KIND", lambda me, _: {"admin": "master key"}.get(me["kind"], me["kind"])),
    Column("id", "ID"),
    Column("role", "ROLE"),
    Column("org", "ORG", _org),
    Column("method", "LOGGED IN BY", lambda me, _: (me["method"] or NOTHING).replace("_", " ")),
    Column("expires_at", "UNTIL", lambda me, face: when(me["expires_at"], face)),
]


def _rules(sso: SsoSettings, face: Face) -> str:
    del face
    places = [(rule, f"@{rule['org']}" if rule["org"] else "") for rule in sso["rules"]]
    return listed([f"{rule['group']}={rule['role']}{place}" for rule, place in places])


SSO: list[Column[SsoSettings]] = [
    Column("issuer", "PROVIDER"),
    Column("client_id", "CLIENT"),
    Column("has_client_secret", "SECRET", lambda sso, _: "set" if sso["has_client_secret"] else "none"),
    Column("rules", "RULES", _rules),
    Column("default_role", "OTHERS", lambda sso, _: sso["default_role"] or "are refused"),
    Column("scopes", "SCOPES", lambda sso, _: listed(sso["scopes"])),
    Column("groups_claim", "GROUPS CLAIM"),
    Column("redirect_uris", "SENT BACK TO", lambda sso, _: listed(sso["redirect_uris"])),
    Column("updated_at", "CHANGED", lambda sso, face: when(sso["updated_at"], face)),
]
