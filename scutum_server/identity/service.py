"""The rules of organisations, teams and keys."""

from __future__ import annotations

import datetime as dt
import ipaddress
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from scutum_server.identity.models import (
    BadField,
    IssuedKey,
    Key,
    KeyNotFound,
    KeyRevoked,
    NameTaken,
    Org,
    OrgNotFound,
    Team,
    TeamInUse,
    TeamNotFound,
)
from scutum_server.identity.store import IdentityStore
from scutum_server.infra import crypto, paging, refs
from scutum_server.infra.changes import Changes, plain
from scutum_server.infra.ids import new_id
from scutum_server.infra.paging import Page

DEFAULT = "default"
"""The org and team that the master key is charged to."""
MAX_NAME = 100
MAX_LIFETIME = dt.timedelta(days=3650)
MAX_METADATA = 16 * 1024
"""Bytes of JSON: every proxy worker keeps every key in memory."""

Clock = Callable[[], dt.datetime]


class KeyPolicy(Protocol):
    """What the operator has set for keys that do not say it themselves."""

    async def default_ttl_days(self) -> int | None: ...

    async def rotation_overlap_seconds(self) -> int: ...


def clean_name(name: str) -> str:
    """A name in composed Unicode; raises BadField for what cannot be read aloud or typed."""
    name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name) <= MAX_NAME or name != name.strip() or not name.isprintable() or name in {".", ".."}:
        raise BadField(f"A name has 1 to {MAX_NAME} printable characters and no space at its ends.", param="name")
    return name


class TeamService:
    def __init__(self, store: IdentityStore, changes: Changes) -> None:
        self._store = store
        self._changes = changes

    async def orgs(self, limit: int, cursor: str | None) -> Page[Org]:
        after = paging.decode("orgs", cursor)
        rows = await self._store.orgs(limit + 1, after[0] if after else None)
        return paging.cut("orgs", rows, limit, lambda org: (org.id,))

    async def create_org(self, name: str) -> Org:
        org = await self._store.insert_org(new_id("org"), clean_name(name))
        if org is None:
            raise NameTaken(f"There is an org “{name}” already.", param="name")
        self._changes.note("org.create", "org", org.id, org_id=org.id, after=plain(org))
        return org

    async def page(self, limit: int, cursor: str | None) -> Page[Team]:
        after = paging.decode("teams", cursor)
        rows = await self._store.teams(limit + 1, after[0] if after else None)
        return paging.cut("teams", rows, limit, lambda team: (team.id,))

    async def resolve(self, ref: str) -> str:
        """The id of the team that `ref` means; raises TeamNotFound or AmbiguousRef."""
        ref = refs.canonical(ref)
        missing = TeamNotFound(f"There is no team “{ref}”.", hint="See: scutum teams list")
        return refs.choose(ref, await self._store.team_candidates(ref), missing)

    async def get(self, ref: str) -> Team:
        team = await self._store.team(await self.resolve(ref))
        if team is None:
            raise TeamNotFound(f"There is no team “{ref}”.", hint="See: scutum teams list")
        return team

    async def create(self, name: str, org: str | None = None) -> Team:
        """Raises NameTaken when the org has a team of this name, OrgNotFound for an unknown org."""
        org = refs.canonical(org or DEFAULT)
        missing = OrgNotFound(f"There is no org “{org}”.", param="org")
        org_id = refs.choose(org, await self._store.org_candidates(org), missing)
        name, team_id = clean_name(name), new_id("team")
        if not await self._store.insert_team(team_id, org_id, name):
            raise NameTaken(f"There is a team “{name}” in this org already.", param="name")
        team = await self.get(team_id)
        self._changes.note("team.create", "team", team.id, org_id=team.org_id, after=plain(team))
        return team

    async def delete(self, ref: str) -> None:
        """Deletes a team without live keys; its revoked and expired keys go with it, its spend stays."""
        team = await self.get(ref)
        if not await self._store.lock_team(team.id):
            raise TeamNotFound(f"There is no team “{ref}”.")
        if team.name == DEFAULT and team.org == DEFAULT:
            raise TeamInUse("The master key is charged to the team “default”, so it stays.")
        live = await self._store.live_keys(team.id)
        if live:
            shown = ", ".join(live[:10]) + (", …" if len(live) > 10 else "")
            raise TeamInUse(f"Team “{team.name}” has live keys: {shown}.", hint="Revoke them first: scutum keys revoke")
        gone = await self._store.delete_team(team.id)
        for key_id in gone:
            self._changes.note("key.delete", "key", key_id, org_id=team.org_id, before={"team": team.name})
        self._changes.note("team.delete", "team", team.id, org_id=team.org_id, before=plain(team))


class KeyService:
    def __init__(
        self, store: IdentityStore, teams: TeamService, changes: Changes, policy: KeyPolicy, clock: Clock
    ) -> None:
        self._store = store
        self._teams = teams
        self._changes = changes
        self._policy = policy
        self._clock = clock

    async def page(self, limit: int, cursor: str | None, team: str | None = None) -> Page[Key]:
        after = paging.decode("keys", cursor)
        team_id = await self._teams.resolve(team) if team else None
        rows = await self._store.keys(limit + 1, after[0] if after else None, team_id)
        return paging.cut("keys", rows, limit, lambda key: (key.id,))

    async def get(self, ref: str) -> Key:
        """By id at once; else by name or short form. Raises KeyNotFound or AmbiguousRef."""
        ref = refs.canonical(ref)
        missing = KeyNotFound(f"There is no key “{ref}”.", hint="See: scutum keys list")
        key = await self._store.key(ref)
        if key is None:
            key = await self._store.key(refs.choose(ref, await self._store.key_candidates(ref), missing))
        if key is None:
            raise missing
        return key

    async def create(self, fields: Mapping[str, Any]) -> IssuedKey:
        """A new key out of the fields of the HTTP body; its plaintext is in the answer only."""
        team = await self._teams.get(fields.get("team") or DEFAULT)
        if not await self._store.hold_team(team.id):
            raise TeamNotFound(f"There is no team “{team.name}”.", param="team")
        name, key_id, plaintext = clean_name(fields["name"]), new_id("key"), crypto.new_key()
        created = await self._store.insert_key(
            id=key_id,
            team_id=team.id,
            name=name,
            hash=crypto.key_hash(plaintext),
            hint=_hint(plaintext),
            owner=fields.get("owner"),
            allowed_models=_texts(fields, "allowed_models"),
            allowed_routes=_routes(fields),
            allowed_ips=_networks(fields),
            metadata=_metadata(fields),
            expires_at=await self._expiry(fields),
        )
        if not created:
            raise NameTaken(
                f"Team “{team.name}” has a key “{name}” already.",
                param="name",
                hint="Rotate that one, or take another name.",
            )
        key = await self.get(key_id)
        self._changes.note("key.create", "key", key.id, org_id=key.org_id, after=plain(key))
        return IssuedKey(key, plaintext)

    async def update(self, ref: str, fields: Mapping[str, Any]) -> Key:
        """Changes only the fields that are given; null clears one. Nothing is noted when nothing changes."""
        before = await self._live(ref)
        changed: dict[str, Any] = {}
        if "name" in fields:
            changed["name"] = clean_name(fields["name"])
        if "owner" in fields:
            changed["owner"] = fields["owner"]
        for field, parse in (("allowed_models", _models), ("allowed_routes", _routes), ("allowed_ips", _networks)):
            if field in fields:
                changed[field] = parse(fields)
        if "metadata" in fields:
            changed["metadata"] = _metadata(fields)
        if "expires_at" in fields or "expires_in" in fields:
            changed["expires_at"] = self._given_expiry(fields)
        after = msgspec.structs.replace(before, **changed)
        if after == before:
            return before
        if not await self._store.update_key(after):
            raise NameTaken(f"Team “{before.team}” has a key “{after.name}” already.", param="name")
        after = await self.get(before.id)
        self._changes.note("key.update", "key", after.id, org_id=after.org_id, before=plain(before), after=plain(after))
        return after

    async def revoke(self, ref: str) -> Key:
        """For good, within a second at every proxy. A revoked key stays revoked without another audit row."""
        before = await self._locked(ref)
        if before.state == "revoked":
            return before
        await self._store.revoke_key(before.id)
        after = await self.get(before.id)
        self._changes.note("key.revoke", "key", after.id, org_id=after.org_id, before=plain(before), after=plain(after))
        return after

    async def rotate(self, ref: str, overlap_seconds: int | None) -> IssuedKey:
        """A new secret for the same key; the former one opens for `overlap_seconds` (None: as the operator set it)."""
        before = await self._live(ref)
        overlap = await self._policy.rotation_overlap_seconds() if overlap_seconds is None else overlap_seconds
        plaintext = crypto.new_key()
        await self._store.rotate_key(before.id, crypto.key_hash(plaintext), _hint(plaintext), overlap)
        after = await self.get(before.id)
        self._changes.note("key.rotate", "key", after.id, org_id=after.org_id, before=plain(before), after=plain(after))
        return IssuedKey(after, plaintext)

    async def _locked(self, ref: str) -> Key:
        key = await self.get(ref)
        if not await self._store.lock_key(key.id):
            raise KeyNotFound(f"There is no key “{ref}”.")
        return await self.get(key.id)

    async def _live(self, ref: str) -> Key:
        key = await self._locked(ref)
        if key.state == "revoked":
            raise KeyRevoked(f"Key “{key.name}” is revoked.", hint="Create a new one: scutum keys create")
        return key

    async def _expiry(self, fields: Mapping[str, Any]) -> dt.datetime | None:
        if fields.get("expires_at") is not None or fields.get("expires_in") is not None:
            return self._given_expiry(fields)
        days = None if "expires_at" in fields or "expires_in" in fields else await self._policy.default_ttl_days()
        return None if days is None else self._clock() + dt.timedelta(days=days)

    def _given_expiry(self, fields: Mapping[str, Any]) -> dt.datetime | None:
        at, seconds = fields.get("expires_at"), fields.get("expires_in")
        if at is not None and seconds is not None:
            raise BadField("Give expires_at or expires_in, not both.", param="expires_at")
        now = self._clock()
        if seconds is not None:
            return now + dt.timedelta(seconds=seconds)
        if at is not None and not now < at <= now + MAX_LIFETIME:
            raise BadField("A key expires in the future, ten years ahead at most.", param="expires_at")
        return at


def _hint(plaintext: str) -> str:
    return f"{plaintext[:10]}…{plaintext[-4:]}"


def _texts(fields: Mapping[str, Any], field: str) -> list[str] | None:
    values = fields.get(field)
    if values is None:
        return None
    if not values or any(not value or not value.isprintable() or value != value.strip() for value in values):
        raise BadField(f"{field} lists at least one name; leave it out to allow everything.", param=field)
    return list(dict.fromkeys(values))


def _models(fields: Mapping[str, Any]) -> list[str] | None:
    return _texts(fields, "allowed_models")


def _routes(fields: Mapping[str, Any]) -> list[str] | None:
    routes = _texts(fields, "allowed_routes")
    if routes is not None and not all(route.startswith("/v1/") for route in routes):
        raise BadField("allowed_routes lists paths such as /v1/chat/completions.", param="allowed_routes")
    return routes


def _networks(fields: Mapping[str, Any]) -> list[str] | None:
    values = _texts(fields, "allowed_ips")
    if values is None:
        return None
    try:
        return [str(ipaddress.ip_network(value)) for value in values]
    except ValueError as error:
        raise BadField(f"allowed_ips lists addresses or networks: {error}.", param="allowed_ips") from None


def _metadata(fields: Mapping[str, Any]) -> dict[str, Any]:
    metadata = dict(fields.get("metadata") or {})
    if len(msgspec.json.encode(metadata)) > MAX_METADATA:
        raise BadField(f"metadata is larger than {MAX_METADATA // 1024} kB.", param="metadata")
    return metadata
