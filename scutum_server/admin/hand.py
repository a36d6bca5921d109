"""Who carries out the plan of a configuration file, by the rules of every domain."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from scutum_server.access.adoption import AdoptingAccounts
from scutum_server.access.service import UserService
from scutum_server.admin.changes import Changes
from scutum_server.declarative.form import DEFAULT_ORG, SECTIONS
from scutum_server.declarative.models import Change, Fault, Identity, InvalidFile, Plan, State
from scutum_server.declarative.planning import SECRET
from scutum_server.declarative.store import DeclarativeStore
from scutum_server.errors import Conflict, ScutumError
from scutum_server.gateway import service as gateway
from scutum_server.gateway.outgoing import PASSWORD
from scutum_server.gateway.providers import ProviderService
from scutum_server.gateway.service import AliasService, ModelService
from scutum_server.gateway.settings import KNOWN, SettingService
from scutum_server.gateway.store import GatewayStore
from scutum_server.identity.adoption import Adopted, AdoptionService, Refused
from scutum_server.identity.org_store import OrgStore
from scutum_server.identity.orgs import OrgService, TeamService, UnitService
from scutum_server.identity.service import KeyService
from scutum_server.identity.store import IdentityStore
from scutum_server.infra.crypto import SecretBox
from scutum_server.infra.db import Connection
from scutum_server.limits.service import BudgetService, LimitService
from scutum_server.limits.store import LimitStore
from scutum_server.upstream.options import Routing

Fields = dict[str, Any]
SETTINGS: Final = {key: known.default for key, known in KNOWN.items()}
"""The settings that a file may have, and what they are when it says nothing."""


class Hand:
    """Works inside the connection's transaction; what it changes is noted in `changes`."""

    def __init__(
        self,
        conn: Connection,
        box: SecretBox,
        changes: Changes,
        clock: Callable[[], dt.datetime],
        accounts: tuple[UserService, AdoptingAccounts],
    ) -> None:
        self._users, self._service_accounts = accounts
        store, orgs, limits = GatewayStore(conn), OrgStore(conn), LimitStore(conn)
        self._box = box
        self._changes = changes
        self._gateway = store
        self._declared = DeclarativeStore(conn)
        self._orgs = OrgService(orgs, changes)
        self._units = UnitService(orgs, self._orgs, changes)
        self._teams = TeamService(orgs, self._orgs, self._units, changes)
        self._settings = SettingService(store, changes)
        identity = IdentityStore(conn)
        self._keys = KeyService(identity, self._teams, changes, self._settings, clock)
        self._adoption = AdoptionService(identity, changes)
        self._providers = ProviderService(store, box, changes, follows=False)
        self._models = ModelService(store, changes, follows=False)
        self._aliases = AliasService(store, changes)
        self._limits = LimitService(limits, changes)
        self._budgets = BudgetService(limits, changes, clock)
        self._ids: dict[str, dict[Identity, str]] = {}
        self._secrets: Mapping[str, str] = {}

    async def same_secret(self, provider_id: str, secret: str) -> bool:
        """Whether the provider holds this very key."""
        target = await self._gateway.target(await self._providers.get(provider_id))
        return target.wrapped_key is not None and self._box.unwrap(target.wrapped_key, provider_id) == secret

    async def perform(self, changes: Plan, state: State, secrets: Mapping[str, str]) -> None:
        """Makes every change in its order; raises InvalidFile with the place of the object that cannot be."""
        self._ids = {name: {identity: live.id for identity, live in found.items()} for name, found in state.items()}
        self._secrets = secrets
        for (section, action), group in itertools.groupby(changes.changes, lambda one: (one.section, one.action)):
            if (section, action) == ("keys", "create"):
                await self._adopt(list(group))
                continue
            act = _ACTS[section, action]
            for change in group:
                try:
                    await act(self, change)
                except ScutumError as error:
                    raise _placed(change, error) from error
        if {change.section for change in changes.changes} & {"providers", "models", "aliases"}:
            await gateway.realign(self._gateway, self._changes)

    def _id(self, section: str, *identity: str) -> str:
        return self._ids[section][identity]

    def _made(self, change: Change, object_id: str) -> None:
        self._ids.setdefault(change.section, {})[change.identity] = object_id

    def _own(self, change: Change) -> str:
        return self._ids[change.section][change.identity]

    async def create_org(self, change: Change) -> None:
        self._made(change, (await self._orgs.create(change.identity[0], _new(change).get("time_zone"))).id)

    async def update_org(self, change: Change) -> None:
        await self._orgs.update(self._own(change), _new(change))

    async def delete_org(self, change: Change) -> None:
        await self._orgs.delete(self._own(change))

    async def create_unit(self, change: Change) -> None:
        org, name = change.identity
        self._made(change, (await self._units.create(name, self._id("orgs", org))).id)

    async def delete_unit(self, change: Change) -> None:
        await self._units.delete(self._own(change))

    async def create_team(self, change: Change) -> None:
        org, name = change.identity
        unit = _new(change).get("unit")
        unit_id = self._id("units", org, unit) if unit else None
        self._made(change, (await self._teams.create(name, self._id("orgs", org), unit_id)).id)

    async def update_team(self, change: Change) -> None:
        unit = _new(change)["unit"]
        unit_id = self._id("units", change.identity[0], unit) if unit else None
        await self._teams.update(self._own(change), {"unit": unit_id})

    async def delete_team(self, change: Change) -> None:
        await self._teams.delete(self._own(change))

    async def create_provider(self, change: Change) -> None:
        fields = _new(change)
        _no_password(fields)
        reference = fields.pop(SECRET, None)
        given = fields | {"name": change.identity[0], SECRET: self._secrets.get(reference or "")}
        made = await self._providers.create(given, keyless=True)
        self._made(change, made.id)
        if reference is not None:
            await self._declared.refer(made.id, reference)

    async def update_provider(self, change: Change) -> None:
        fields = _new(change)
        _no_password(fields)
        if "kind" in fields:
            raise Conflict("A provider's kind does not change.", hint="Make another provider, and delete this one.")
        if "settings" in fields:
            fields["settings"] = _patch(change.fields["settings"][0] or {}, fields["settings"] or {})
        if SECRET in fields:
            reference = fields.pop(SECRET).partition(" (")[0]
            await self._declared.refer(self._own(change), reference)
            fields[SECRET] = self._secrets[reference]
        await self._providers.update(self._own(change), fields)

    async def delete_provider(self, change: Change) -> None:
        await self._providers.delete(self._own(change), cascade=False)

    async def create_model(self, change: Change) -> None:
        provider, name = change.identity
        fields = _new(change) | {"name": name, "provider": self._id("providers", provider)}
        self._made(change, (await self._models.create(fields)).id)

    async def update_model(self, change: Change) -> None:
        fields = _new(change)
        if "upstream_model" in fields:
            fields["upstream_model"] = fields["upstream_model"] or change.identity[1]
        await self._models.update(self._own(change), fields)

    async def delete_model(self, change: Change) -> None:
        await self._models.delete(self._own(change))

    async def put_alias(self, change: Change) -> None:
        name = change.identity[0]
        before = await self._gateway.alias(name)
        now = {} if before is None else _alias_fields(before)
        wanted = now | _new(change)
        if wanted.get("automatic"):
            models = [model.name for model in await self._gateway.all_models() if model.kind != "embedding"]
            targets = list(now.get("targets") or models[:1])
            if not targets:
                raise Conflict("There is no model for it to lead to.")
            await self._aliases.put(name, targets, Routing(automatic=True))
            return
        wanted = {field: wanted.get(field) for field in SECTIONS["aliases"].fields}
        defaults = {field: SECTIONS["aliases"].fields[field].default for field in wanted}
        routing = {
            field: defaults[field] if value is None else value
            for field, value in wanted.items()
            if field not in {"targets", "automatic"}
        }
        await self._aliases.put(name, wanted["targets"] or [], msgspec.convert(routing, Routing))

    async def delete_alias(self, change: Change) -> None:
        await self._aliases.delete(change.identity[0])

    async def _adopt(self, group: list[Change]) -> None:
        wanted = []
        for change in group:
            org, team, name = change.identity
            fields = _new(change)
            expires = fields.get("expires_at")
            wanted.append(
                Adopted(
                    team_id=self._id("teams", org, team),
                    team=team,
                    org_id=self._id("orgs", org),
                    name=name,
                    sha256=fields["sha256"],
                    hint=fields.get("hint") or "",
                    fields=fields,
                    expires_at=dt.datetime.fromisoformat(expires) if expires else None,
                )
            )
        made = await self._adoption.adopt(wanted)
        if isinstance(made, Refused):
            raise _placed(group[made.place], made.error)
        for change, key_id in zip(group, made, strict=True):
            self._made(change, key_id)

    async def update_key(self, change: Change) -> None:
        fields, key_id = _new(change), self._own(change)
        digest, hint = fields.pop("sha256", None), fields.pop("hint", None)
        if digest is not None:
            await self._adoption.rehash(await self._keys.get(key_id), digest, hint)
        if fields:
            await self._keys.update(key_id, _times(fields))

    async def revoke_key(self, change: Change) -> None:
        await self._keys.revoke(self._own(change))

    def _target(self, change: Change) -> Fields:
        """Whom a limit or a budget is for, by ids."""
        named = dict(zip(SECTIONS[change.section].identity, change.identity, strict=True))
        org, team = named.get("org") or DEFAULT_ORG, named.get("team", "")
        found: Fields = {"scope": named["scope"]}
        if named.get("key"):
            found["key"] = self._id("keys", org, team, named["key"])
        elif team:
            found["team"] = self._id("teams", org, team)
        elif named.get("unit"):
            found["unit"] = self._id("units", org, named["unit"])
        elif named["scope"] == "org":
            found["org"] = self._id("orgs", org)
        for name in ("user", "model", "period"):
            if named.get(name):
                found[name] = named[name]
        return found

    async def create_limit(self, change: Change) -> None:
        fields = {"on_failure": "closed"} | _new(change)
        self._made(change, (await self._limits.create(self._target(change) | fields)).id)

    async def update_limit(self, change: Change) -> None:
        await self._limits.update(self._own(change), _new(change))

    async def delete_limit(self, change: Change) -> None:
        await self._limits.delete(self._own(change))

    async def create_budget(self, change: Change) -> None:
        defaults = {name: field.default for name, field in SECTIONS["budgets"].fields.items() if not field.required}
        made = await self._budgets.create(self._target(change) | defaults | _new(change))
        self._made(change, made.budget.id)

    async def update_budget(self, change: Change) -> None:
        await self._budgets.update(self._own(change), _new(change))

    async def delete_budget(self, change: Change) -> None:
        await self._budgets.delete(self._own(change))

    async def create_user(self, change: Change) -> None:
        fields = _new(change)
        fields["org"] = self._id("orgs", fields["org"]) if fields.get("org") else None
        disabled = fields.pop("disabled", False)
        made = await self._users.create(fields | {"email": change.identity[0]}, None)
        if disabled:
            await self._users.update(made.id, {"disabled": True}, None)

    async def update_user(self, change: Change) -> None:
        fields = _new(change)
        if "org" in fields:
            fields["org"] = self._id("orgs", fields["org"]) if fields["org"] else None
        await self._users.update(self._own(change), fields, None)

    async def delete_user(self, change: Change) -> None:
        await self._users.delete(self._own(change))

    async def create_service_account(self, change: Change) -> None:
        org, name = change.identity
        fields = _times(_new(change)) | {"name": name, "org": self._id("orgs", org) if org else None}
        await self._service_accounts.adopt(fields, bytes.fromhex(fields["sha256"]), fields.get("hint"))

    async def update_service_account(self, change: Change) -> None:
        fields = _times(_new(change))
        digest, hint = fields.pop("sha256", None), fields.pop("hint", None)
        if digest is not None:
            await self._service_accounts.rehash(self._own(change), bytes.fromhex(digest), hint)
        if fields:
            await self._service_accounts.update(self._own(change), fields)

    async def revoke_service_account(self, change: Change) -> None:
        await self._service_accounts.revoke(self._own(change))

    async def put_setting(self, change: Change) -> None:
        await self._settings.put(change.identity[0], _new(change)["value"])

    async def reset_setting(self, change: Change) -> None:
        await self._settings.put(change.identity[0], SETTINGS[change.identity[0]])


Act = Callable[[Hand, Change], Awaitable[None]]
_ACTS: Final[dict[tuple[str, str], Act]] = {
    ("orgs", "create"): Hand.create_org,
    ("orgs", "update"): Hand.update_org,
    ("orgs", "delete"): Hand.delete_org,
    ("units", "create"): Hand.create_unit,
    ("units", "delete"): Hand.delete_unit,
    ("teams", "create"): Hand.create_team,
    ("teams", "update"): Hand.update_team,
    ("teams", "delete"): Hand.delete_team,
    ("providers", "create"): Hand.create_provider,
    ("providers", "update"): Hand.update_provider,
    ("providers", "delete"): Hand.delete_provider,
    ("models", "create"): Hand.create_model,
    ("models", "update"): Hand.update_model,
    ("models", "delete"): Hand.delete_model,
    ("aliases", "create"): Hand.put_alias,
    ("aliases", "update"): Hand.put_alias,
    ("aliases", "delete"): Hand.delete_alias,
    ("keys", "update"): Hand.update_key,
    ("keys", "delete"): Hand.revoke_key,
    ("limits", "create"): Hand.create_limit,
    ("limits", "update"): Hand.update_limit,
    ("limits", "delete"): Hand.delete_limit,
    ("budgets", "create"): Hand.create_budget,
    ("budgets", "update"): Hand.update_budget,
    ("budgets", "delete"): Hand.delete_budget,
    ("users", "create"): Hand.create_user,
    ("users", "update"): Hand.update_user,
    ("users", "delete"): Hand.delete_user,
    ("service_accounts", "create"): Hand.create_service_account,
    ("service_accounts", "update"): Hand.update_service_account,
    ("service_accounts", "delete"): Hand.revoke_service_account,
    ("settings", "create"): Hand.put_setting,
    ("settings", "update"): Hand.put_setting,
    ("settings", "delete"): Hand.reset_setting,
}


def _new(change: Change) -> Fields:
    """What the object is to have, field by field."""
    return {name: after for name, (_, after) in change.fields.items()}


def _times(fields: Fields) -> Fields:
    expires = fields.get("expires_at")
    return fields | {"expires_at": dt.datetime.fromisoformat(expires)} if expires else fields


def _alias_fields(alias: Any) -> Fields:
    fields = msgspec.structs.asdict(alias)
    return {name: fields[name] for name in SECTIONS["aliases"].fields}


def _patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> Fields:
    """The JSON merge patch (RFC 7396) that makes one of the other."""
    patch: Fields = dict.fromkeys(before.keys() - after.keys())
    for name, value in after.items():
        former = before.get(name)
        if isinstance(value, dict) and isinstance(former, dict):
            patch[name] = _patch(former, value)
        elif former != value:
            patch[name] = value
    return patch


def _no_password(fields: Mapping[str, Any]) -> None:
    if PASSWORD in (fields.get("settings") or {}):
        raise Conflict(
            f"settings.{PASSWORD} is a secret, and a file holds none.",
            hint="Set it by itself: scutum providers update NAME --proxy URL --proxy-password-stdin",
        )


def _placed(change: Change, error: ScutumError) -> ScutumError:
    """The error of one object's rules, with its place in the file if it has one."""
    if isinstance(error, InvalidFile):
        return error
    field = (error.param or "").split(".")[0]
    place = change.places.get(field, change.place)
    where = f"{change.section} {change.name}" + (f".{error.param}" if error.param else "")
    if place is None:
        return Conflict(f"{change.noun.capitalize()} {change.name}: {error.detail}", code=error.code, hint=error.hint)
    return InvalidFile([Fault(where, error.detail, place)], hint=error.hint)
