"""The rules of keys; those of orgs, units and teams are in orgs.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from scutum_server.identity import key_fields
from scutum_server.identity.models import (
    BadField,
    IssuedKey,
    Key,
    KeyNotFound,
    KeyRevoked,
    NameTaken,
)
from scutum_server.identity.orgs import DEFAULT, TeamService
from scutum_server.identity.store import IdentityStore
from scutum_server.infra import crypto, names, refs
from scutum_server.infra.changes import Changes, plain
from scutum_server.infra.ids import new_id
from scutum_server.infra.listing import Ask
from scutum_server.infra.paging import Page

MAX_LIFETIME = dt.timedelta(days=3650)

Clock = Callable[[], dt.datetime]


class KeyPolicy(Protocol):
    """What the operator has set for keys that do not say it themselves."""

    async def default_ttl_days(self) -> int | None: ...

    async def rotation_overlap_seconds(self) -> int: ...


class KeyService:
    def __init__(
        self, store: IdentityStore, teams: TeamService, changes: Changes, policy: KeyPolicy, clock: Clock
    ) -> None:
        self._store = store
        self._teams = teams
        self._changes = changes
        self._policy = policy
        self._clock = clock

    async def page(self, ask: Ask, team: str | None = None) -> Page[Key]:
        found = {"team": await self._teams.resolve(team)} if team else {}
        return await self._store.keys(msgspec.structs.replace(ask, filters={**ask.filters, **found}))

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
        team = await self._teams.hold(fields.get("team") or DEFAULT)
        name, key_id, plaintext = (
            await self._free_name(team.id, team.name, fields["name"]),
            new_id("key"),
            crypto.new_key(),
        )
        await self._store.insert_key(
            id=key_id,
            team_id=team.id,
            name=name,
            hash=crypto.key_hash(plaintext),
            hint=_hint(plaintext),
            owner=fields.get("owner"),
            allowed_models=key_fields.texts(fields, "allowed_models"),
            allowed_routes=key_fields.routes(fields),
            allowed_ips=key_fields.networks(fields),
            metadata=key_fields.metadata(fields),
            expires_at=await self._expiry(fields),
        )
        key = await self.get(key_id)
        self._changes.note("key.create", "key", key.id, org_id=key.org_id, after=plain(key))
        return IssuedKey(key, plaintext)

    async def update(self, ref: str, fields: Mapping[str, Any]) -> Key:
        """Changes only the fields that are given; null clears one. Nothing is noted when nothing changes."""
        before = await self._live(ref)
        changed: dict[str, Any] = {}
        if "name" in fields and names.canonical(fields["name"]) != before.name:
            changed["name"] = await self._free_name(before.team_id, before.team, fields["name"], but=before.id)
        if "owner" in fields:
            changed["owner"] = fields["owner"]
        for field, parse in key_fields.LISTS.items():
            if field in fields:
                changed[field] = parse(fields)
        if "metadata" in fields:
            changed["metadata"] = key_fields.metadata(fields)
        if "expires_at" in fields or "expires_in" in fields:
            changed["expires_at"] = self._given_expiry(fields)
        after = msgspec.structs.replace(before, **changed)
        if after == before:
            return before
        await self._store.update_key(after)
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

    async def delete(self, ref: str) -> None:
        """Revokes the key and forgets it, with its limits and budgets; its spend stays."""
        key = await self._locked(ref)
        await self._store.delete_key(key.id)
        self._changes.note("key.delete", "key", key.id, org_id=key.org_id, before=plain(key))

    async def _locked(self, ref: str) -> Key:
        key = await self._store.lock_key((await self.get(ref)).id)
        if key is None:
            raise KeyNotFound(f"There is no key “{ref}”.")
        self._changes.expect(key.updated_at)
        return key

    async def _free_name(self, team_id: str, team: str, name: str, *, but: str = "") -> str:
        """The name as it is kept; raises NameTaken when a live key of the team has it, or looks the same."""
        name = names.clean(name)
        taken = await self._store.taken(team_id, name, but=but)
        if taken is not None:
            said = f"Team “{team}” has a key “{taken}” already"
            raise NameTaken(
                f"{said}." if taken == name else f"{said}, which looks the same.",
                param="name",
                hint="Rotate that one, or take another name.",
            )
        return name

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
