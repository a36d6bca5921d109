"""The whole configuration in the terms of files, and the file that was applied last."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, LiteralString

import msgspec
from msgspec import Struct

from scutum_server.declarative.document import dollars, instant
from scutum_server.declarative.form import BUDGET_SCOPES, LIMIT_SCOPES, without_defaults
from scutum_server.declarative.models import Applied, Identity, Item, Live, Place, Sections, State
from scutum_server.infra.store import Store

ORGS: Final = "SELECT id, name, time_zone FROM orgs"
UNITS: Final = "SELECT u.id, o.name AS org, u.name FROM units u JOIN orgs o ON o.id = u.org_id"
TEAMS: Final = """
SELECT t.id, o.name AS org, t.name, u.name AS unit
FROM teams t JOIN orgs o ON o.id = t.org_id LEFT JOIN units u ON u.id = t.unit_id
"""
KEYS: Final = """
SELECT k.id, o.name AS org, t.name AS team, k.name, encode(k.hash, 'hex') AS sha256, k.hint, k.owner, k.allowed_models,
    k.allowed_routes, k.allowed_ips, k.metadata, k.expires_at
FROM api_keys k JOIN teams t ON t.id = k.team_id JOIN orgs o ON o.id = t.org_id
WHERE k.revoked_at IS NULL
"""
PROVIDERS: Final = """
SELECT p.id, p.name, p.kind, p.base_url, p.settings - 'proxy_secret' AS settings,
    p.api_key_wrapped IS NOT NULL AS has_key, r.reference
FROM providers p LEFT JOIN secret_references r ON r.provider_id = p.id
"""
MODELS: Final = """
SELECT d.id, p.name AS provider, d.name, d.upstream_model, d.settings
FROM deployments d JOIN providers p ON p.id = d.provider_id
ORDER BY d.name COLLATE "C", d.created_at, d.id
"""
ALIASES: Final = "SELECT name AS id, name, targets, settings FROM aliases"
LIMITS: Final = """
SELECT l.id, l.scope, o.name AS org, t.name AS team, k.name AS key, l.user_name AS user, l.model, l.rpm, l.tpm, l.rpd,
    l.tpd, l.concurrency, l.burst, l.on_failure
FROM limits l LEFT JOIN api_keys k ON k.id = l.key_id LEFT JOIN teams t ON t.id = coalesce(l.team_id, k.team_id)
    LEFT JOIN orgs o ON o.id = t.org_id
WHERE k.revoked_at IS NULL
"""
BUDGETS: Final = """
SELECT b.id, b.scope, o.name AS org, u.name AS unit, t.name AS team, k.name AS key, b.user_name AS user, b.period,
    b.amount_nano_usd, b.soft_percent, b.output_tokens, b.on_failure
FROM budgets b LEFT JOIN units u ON u.id = b.unit_id LEFT JOIN api_keys k ON k.id = b.key_id
    LEFT JOIN teams t ON t.id = coalesce(b.team_id, k.team_id)
    LEFT JOIN orgs o ON o.id = coalesce(u.org_id, t.org_id, b.org_id)
WHERE k.revoked_at IS NULL
"""
USERS: Final = """
SELECT u.id, u.email_key AS email, u.name, u.role, o.name AS org, u.disabled_at IS NOT NULL AS disabled
FROM users u LEFT JOIN orgs o ON o.id = u.org_id
"""
SERVICE_ACCOUNTS: Final = """
SELECT a.id, coalesce(o.name, '') AS org, a.name, a.role, encode(a.hash, 'hex') AS sha256, a.hint, a.expires_at
FROM service_accounts a LEFT JOIN orgs o ON o.id = a.org_id
WHERE a.revoked_at IS NULL
"""
SETTINGS: Final = "SELECT key AS id, key, value FROM settings"
LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended('scutum-config-apply', 0)) AS got"
REFER: Final = """
INSERT INTO secret_references (provider_id, reference) VALUES (%(provider_id)s, %(reference)s)
ON CONFLICT (provider_id) DO UPDATE SET reference = excluded.reference
"""
APPLIED: Final = """
SELECT sha256, pruned, objects, applied_at, applied_by, drifted_since, checked_at FROM config_applied
WHERE objects > 0
"""
CONTENT: Final = "SELECT content FROM config_applied"
REMEMBER: Final = """
INSERT INTO config_applied (content, sha256, pruned, objects, applied_by)
VALUES (%(content)s, %(sha256)s, %(pruned)s, %(objects)s, %(applied_by)s)
ON CONFLICT (singleton) DO UPDATE SET content = excluded.content, sha256 = excluded.sha256, pruned = excluded.pruned,
    objects = excluded.objects, applied_by = excluded.applied_by, applied_at = now()
"""
# The row stays until the worker has told that there is no drift any more.
FORGET: Final = "UPDATE config_applied SET content = '{}', objects = 0, pruned = false"
DRIFTED: Final = """
UPDATE config_applied SET checked_at = now(),
    drifted_since = CASE WHEN %(drifted)s THEN coalesce(drifted_since, now()) END
"""
LOCK_APPLIED: Final = "SELECT sha256, pruned, drifted_since FROM config_applied FOR UPDATE"
MARK: Final = "SELECT coalesce(sum(seq), 0)::text AS mark FROM audit_heads"

DEFAULT_URLS: Final = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
_ITEMS: Final = msgspec.json.Encoder()
_SECTIONS: Final = msgspec.json.Decoder()


def usual_reference(provider: str) -> str:
    """Where a provider's key is looked for when nobody has said it: `env:OPENAI_API_KEY`."""
    return "env:" + "".join(letter if letter.isalnum() else "_" for letter in provider).upper() + "_API_KEY"


class Held(Struct, frozen=True, kw_only=True):
    """A file whose state is to hold; that of one that was forgotten is empty."""

    sha256: str
    pruned: bool
    drifted_since: dt.datetime | None


class DeclarativeStore(Store):
    """Reads and writes inside the connection's transaction; never commits."""

    async def state(self, defaults: Mapping[str, Any]) -> State:
        """Everything that a file can manage; `defaults` are the settings that there are."""
        state: State = {}
        state["orgs"] = await self._read("orgs", ORGS, lambda row: (row["name"],))
        state["units"] = await self._read("units", UNITS, lambda row: (row["org"], row["name"]))
        state["teams"] = await self._read("teams", TEAMS, lambda row: (row["org"], row["name"]))
        state["providers"] = await self._read("providers", PROVIDERS, lambda row: (row["name"],))
        state["models"] = await self._read("models", MODELS, lambda row: (row["provider"], row["name"]))
        state["aliases"] = await self._read("aliases", ALIASES, lambda row: (row["name"],))
        state["keys"] = await self._read("keys", KEYS, lambda row: (row["org"], row["team"], row["name"]))
        state["limits"] = await self._read("limits", LIMITS, _limit_identity)
        state["budgets"] = await self._read("budgets", BUDGETS, _budget_identity)
        state["users"] = await self._read("users", USERS, lambda row: (row["email"],))
        accounts = await self._read("service_accounts", SERVICE_ACCOUNTS, lambda row: (row["org"], row["name"]))
        state["service_accounts"] = accounts
        stored = await self._rows(SETTINGS, {})
        state["settings"] = {
            (row["key"],): Live(id=row["key"], fields={"value": row["value"]})
            for row in stored
            if row["key"] in defaults and row["value"] != defaults[row["key"]]
        }
        return state

    async def _read(self, section: str, query: LiteralString, identity: Any) -> dict[Identity, Live]:
        found = {}
        for row in await self._rows(query, {}):
            key = identity(row)
            tidy = _TIDY.get(section)
            fields = row if tidy is None else tidy(row)
            found[key] = Live(id=row["id"], fields=without_defaults(section, fields))
        return found

    async def lock(self) -> bool:
        """Until the transaction ends; False when somebody else is applying a file."""
        return bool((await self._rows(LOCK, {}))[0]["got"])

    async def refer(self, provider_id: str, reference: str) -> None:
        await self._conn.execute(REFER, {"provider_id": provider_id, "reference": reference})

    async def applied(self) -> Applied | None:
        rows = await self._rows(APPLIED, {})
        return Applied(**rows[0]) if rows else None

    async def content(self) -> Sections:
        """The objects of the file that was applied last, without their places."""
        rows = await self._rows(CONTENT, {})
        return decode_sections(rows[0]["content"]) if rows else {}

    async def remember(self, sections: Sections, *, sha256: str, pruned: bool, applied_by: str) -> None:
        content = encode_sections(sections)
        objects = sum(len(items) for items in sections.values())
        params = {"content": content, "sha256": sha256, "pruned": pruned, "objects": objects, "applied_by": applied_by}
        await self._conn.execute(REMEMBER, params)

    async def forget(self) -> None:
        await self._conn.execute(FORGET)

    async def lock_applied(self) -> Held | None:
        """What the worker compares with, None when no file was ever applied; nobody else looks meanwhile."""
        rows = await self._rows(LOCK_APPLIED, {})
        return Held(**rows[0]) if rows else None

    async def note_drift(self, *, drifted: bool) -> None:
        await self._conn.execute(DRIFTED, {"drifted": drifted})

    async def mark(self) -> str:
        """Another one after every change that was made through the control plane."""
        return str((await self._rows(MARK, {}))[0]["mark"])


def encode_sections(sections: Sections) -> str:
    plain = {name: [[list(item.identity), item.fields] for item in items.values()] for name, items in sections.items()}
    return _ITEMS.encode(plain).decode()


def decode_sections(content: str) -> Sections:
    nowhere = Place(0, 0)
    found: Sections = {}
    for name, items in _SECTIONS.decode(content).items():
        found[name] = {}
        for identity, fields in items:
            key = tuple(identity)
            found[name][key] = Item(identity=key, fields=fields, place=nowhere, places={})
    return found


def _scoped(row: dict[str, Any], scopes: Mapping[str, tuple[str, ...]], names: tuple[str, ...]) -> Identity:
    wanted = scopes[row["scope"]]
    return tuple(row[name] or "" if name in wanted or name in {"scope", "period"} else "" for name in names)


def _limit_identity(row: dict[str, Any]) -> Identity:
    return _scoped(row, LIMIT_SCOPES, ("scope", "org", "team", "key", "user", "model"))


def _budget_identity(row: dict[str, Any]) -> Identity:
    return _scoped(row, BUDGET_SCOPES, ("scope", "org", "unit", "team", "key", "user", "period"))


def _provider(row: dict[str, Any]) -> dict[str, Any]:
    fields = dict(row)
    if fields["base_url"] == DEFAULT_URLS.get(fields["kind"]):
        fields["base_url"] = None
    if fields.pop("has_key"):
        fields["api_key"] = fields["reference"] or usual_reference(fields["name"])
    return fields


def _model(row: dict[str, Any]) -> dict[str, Any]:
    settings = row["settings"]
    price = settings.get("price")
    return {
        "upstream_model": None if row["upstream_model"] == row["name"] else row["upstream_model"],
        "kind": settings.get("kind"),
        "price": {name: value for name, value in price.items() if value is not None} if price else None,
        "rpm": settings.get("rpm"),
        "tpm": settings.get("tpm"),
    }


def _alias(row: dict[str, Any]) -> dict[str, Any]:
    settings = row["settings"]
    return {"automatic": True} if settings.get("automatic") else {"targets": row["targets"], **settings}


def _key(row: dict[str, Any]) -> dict[str, Any]:
    return row if row["expires_at"] is None else {**row, "expires_at": instant(row["expires_at"])}


def _budget(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "amount_usd": dollars(Decimal(row["amount_nano_usd"]) / 10**9)}


_TIDY: Final = {
    "providers": _provider,
    "models": _model,
    "aliases": _alias,
    "keys": _key,
    "service_accounts": _key,
    "budgets": _budget,
}
