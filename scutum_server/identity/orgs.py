"""The rules of organisations, units and teams."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from scutum_server.errors import Forbidden
from scutum_server.identity.models import (
    BadField,
    NameTaken,
    Org,
    OrgInUse,
    OrgNotFound,
    Team,
    TeamInUse,
    TeamNotFound,
    Unit,
    UnitInUse,
    UnitNotFound,
)
from scutum_server.identity.org_store import OrgStore
from scutum_server.infra import names, refs
from scutum_server.infra.changes import Changes, plain
from scutum_server.infra.ids import new_id
from scutum_server.infra.listing import Ask
from scutum_server.infra.paging import Page

DEFAULT: Final = "default"
"""The org and team that the master key is charged to."""


async def free_name(store: OrgStore, kind: str, name: str, *, org_id: str = "", but: str = "") -> str:
    """The name as it is kept; raises NameTaken when another one has it, or looks the same."""
    name = names.clean(name)
    taken = await store.taken(kind, name, org_id=org_id, but=but)
    if taken is not None:
        where = " in this org" if org_id else ""
        said = f"There is a {kind} “{taken}”{where} already" if kind != "org" else f"There is an org “{taken}” already"
        raise NameTaken(f"{said}." if taken == name else f"{said}, which looks the same.", param="name")
    return name


def _shown(listed: list[str]) -> str:
    return ", ".join(listed[:10]) + (", …" if len(listed) > 10 else "")


class OrgService:
    def __init__(self, store: OrgStore, changes: Changes, scope: str | None = None) -> None:
        self._store = store
        self._changes = changes
        self._scope = scope

    async def page(self, ask: Ask) -> Page[Org]:
        return await self._store.orgs(ask)

    async def resolve(self, ref: str, *, param: str | None = None) -> str:
        """The id of the org that `ref` means; raises OrgNotFound or AmbiguousRef."""
        ref = refs.canonical(ref)
        missing = OrgNotFound(f"There is no org “{ref}”.", hint="See: scutum orgs list", param=param)
        return refs.choose(ref, await self._store.org_candidates(ref), missing)

    async def home(self, ref: str | None) -> str:
        """The id of the org that a new object belongs to: the one named, else the session's own, else `default`.

        It stays until the transaction ends.
        """
        org_id = self._scope if ref is None and self._scope is not None else None
        org_id = org_id or await self.resolve(ref or DEFAULT, param="org")
        if not await self._store.hold_org(org_id):
            raise OrgNotFound(f"There is no org “{ref or DEFAULT}”.", param="org")
        return org_id

    async def get(self, ref: str, *, lock: bool = False) -> Org:
        org = await self._store.org(await self.resolve(ref), lock=lock)
        if org is None:
            raise OrgNotFound(f"There is no org “{ref}”.", hint="See: scutum orgs list")
        return org

    async def create(self, name: str, time_zone: str | None = None) -> Org:
        """Raises NameTaken, or Forbidden to a session that is bound to one org."""
        if self._scope is not None:
            raise Forbidden("This session is bound to one org and cannot make others.")
        name, zone = await free_name(self._store, "org", name), _zone(time_zone or "UTC")
        org_id = new_id("org")
        await self._store.insert_org(id=org_id, name=name, time_zone=zone)
        org = await self.get(org_id)
        self._changes.note("org.create", "org", org.id, org_id=org.id, after=plain(org))
        return org

    async def update(self, ref: str, fields: Mapping[str, Any]) -> Org:
        """Changes only the fields that are given. Days of limits and budgets follow the time zone within a second."""
        before = await self.get(ref, lock=True)
        self._changes.expect(before.updated_at)
        changed: dict[str, Any] = {}
        if "time_zone" in fields:
            changed["time_zone"] = _zone(fields["time_zone"])
        if "name" in fields and names.canonical(fields["name"]) != before.name:
            if before.name == DEFAULT:
                raise OrgInUse("The master key is charged to the org “default”, so it keeps its name.")
            changed["name"] = await free_name(self._store, "org", fields["name"], but=before.id)
        after = msgspec.structs.replace(before, **changed)
        if after == before:
            return before
        await self._store.update_org(after)
        if after.time_zone != before.time_zone:
            for kind, rule in await self._store.rules_of(after.id, global_too=after.name == DEFAULT):
                self._changes.touch(kind, rule)
        after = await self.get(before.id)
        self._changes.note("org.update", "org", after.id, org_id=after.id, before=plain(before), after=plain(after))
        return after

    async def delete(self, ref: str) -> None:
        """Raises OrgInUse while anything belongs to it. Its spend and its audit trail stay."""
        org = await self.get(ref, lock=True)
        self._changes.expect(org.updated_at)
        if org.name == DEFAULT:
            raise OrgInUse("The master key is charged to the org “default”, so it stays.")
        teams, units = await self._store.teams_of(org.id), await self._store.units_of(org.id)
        if teams or units:
            held = f"teams: {_shown(teams)}" if teams else f"units: {_shown(units)}"
            raise OrgInUse(f"Org “{org.name}” has {held}.", hint="Delete them first.")
        if not await self._store.delete_org(org.id):
            raise OrgInUse(f"Org “{org.name}” still has budgets, limits or accounts.", hint="Delete them first.")
        self._changes.note("org.delete", "org", org.id, org_id=org.id, before=plain(org))


class UnitService:
    def __init__(self, store: OrgStore, orgs: OrgService, changes: Changes) -> None:
        self._store = store
        self._orgs = orgs
        self._changes = changes

    async def page(self, ask: Ask, org: str | None = None) -> Page[Unit]:
        found = {"org": await self._orgs.resolve(org, param="org")} if org else {}
        return await self._store.units(msgspec.structs.replace(ask, filters={**ask.filters, **found}))

    async def resolve(self, ref: str, *, param: str | None = None) -> str:
        """The id of the unit that `ref` means; raises UnitNotFound or AmbiguousRef."""
        ref = refs.canonical(ref)
        missing = UnitNotFound(f"There is no unit “{ref}”.", hint="See: scutum units list", param=param)
        return refs.choose(ref, await self._store.unit_candidates(ref), missing)

    async def get(self, ref: str, *, lock: bool = False) -> Unit:
        unit = await self._store.unit(await self.resolve(ref), lock=lock)
        if unit is None:
            raise UnitNotFound(f"There is no unit “{ref}”.", hint="See: scutum units list")
        return unit

    async def create(self, name: str, org: str | None = None) -> Unit:
        """Raises NameTaken, or OrgNotFound."""
        org_id, unit_id = await self._orgs.home(org), new_id("unit")
        name = await free_name(self._store, "unit", name, org_id=org_id)
        await self._store.insert_unit(id=unit_id, org_id=org_id, name=name)
        unit = await self.get(unit_id)
        self._changes.note("unit.create", "unit", unit.id, org_id=unit.org_id, after=plain(unit))
        return unit

    async def update(self, ref: str, fields: Mapping[str, Any]) -> Unit:
        """Changes only the fields that are given."""
        before = await self.get(ref, lock=True)
        self._changes.expect(before.updated_at)
        if "name" not in fields or names.canonical(fields["name"]) == before.name:
            return before
        name = await free_name(self._store, "unit", fields["name"], org_id=before.org_id, but=before.id)
        await self._store.update_unit(msgspec.structs.replace(before, name=name))
        after = await self.get(before.id)
        self._changes.note(
            "unit.update", "unit", after.id, org_id=after.org_id, before=plain(before), after=plain(after)
        )
        return after

    async def delete(self, ref: str) -> None:
        """Raises UnitInUse while teams belong to it; its budgets go with it."""
        unit = await self.get(ref, lock=True)
        self._changes.expect(unit.updated_at)
        teams = await self._store.teams_of(unit.id)
        if teams:
            raise UnitInUse(
                f"Unit “{unit.name}” has teams: {_shown(teams)}.",
                hint=f"Move them first: scutum teams update {teams[0]} --unit none",
            )
        await self._store.delete_unit(unit.id)
        self._changes.note("unit.delete", "unit", unit.id, org_id=unit.org_id, before=plain(unit))


class TeamService:
    def __init__(self, store: OrgStore, orgs: OrgService, units: UnitService, changes: Changes) -> None:
        self._store = store
        self._orgs = orgs
        self._units = units
        self._changes = changes

    async def page(self, ask: Ask, org: str | None = None, unit: str | None = None) -> Page[Team]:
        found = dict(ask.filters)
        if org:
            found["org"] = await self._orgs.resolve(org, param="org")
        if unit:
            found["unit"] = await self._units.resolve(unit, param="unit")
        return await self._store.teams(msgspec.structs.replace(ask, filters=found))

    async def resolve(self, ref: str) -> str:
        """The id of the team that `ref` means; raises TeamNotFound or AmbiguousRef."""
        ref = refs.canonical(ref)
        missing = TeamNotFound(f"There is no team “{ref}”.", hint="See: scutum teams list")
        return refs.choose(ref, await self._store.team_candidates(ref), missing)

    async def get(self, ref: str, *, lock: bool = False) -> Team:
        team = await self._store.team(await self.resolve(ref), lock=lock)
        if team is None:
            raise TeamNotFound(f"There is no team “{ref}”.", hint="See: scutum teams list")
        return team

    async def hold(self, ref: str) -> Team:
        """The team, which stays until the transaction ends."""
        team = await self._store.hold_team(await self.resolve(ref))
        if team is None:
            raise TeamNotFound(f"There is no team “{ref}”.", param="team")
        return team

    async def create(self, name: str, org: str | None = None, unit: str | None = None) -> Team:
        """Raises NameTaken when the org has a team of this name, OrgNotFound, or UnitNotFound."""
        org_id, team_id = await self._orgs.home(org), new_id("team")
        unit_id = await self._unit_in(org_id, unit)
        name = await free_name(self._store, "team", name, org_id=org_id)
        await self._store.insert_team(id=team_id, org_id=org_id, unit_id=unit_id, name=name)
        team = await self.get(team_id)
        self._changes.note("team.create", "team", team.id, org_id=team.org_id, after=plain(team))
        return team

    async def update(self, ref: str, fields: Mapping[str, Any]) -> Team:
        """Changes only the fields that are given; a `unit` of null takes the team out of its unit."""
        before = await self.get(ref, lock=True)
        self._changes.expect(before.updated_at)
        changed: dict[str, Any] = {}
        if "name" in fields and names.canonical(fields["name"]) != before.name:
            if (before.name, before.org) == (DEFAULT, DEFAULT):
                raise TeamInUse("The master key is charged to the team “default”, so it keeps its name.")
            changed["name"] = await free_name(self._store, "team", fields["name"], org_id=before.org_id, but=before.id)
        if "unit" in fields:
            changed["unit_id"] = await self._unit_in(before.org_id, fields["unit"])
        after = msgspec.structs.replace(before, **changed)
        if after == before:
            return before
        await self._store.update_team(after)
        after = await self.get(before.id)
        self._changes.note(
            "team.update", "team", after.id, org_id=after.org_id, before=plain(before), after=plain(after)
        )
        return after

    async def delete(self, ref: str) -> None:
        """Deletes a team without live keys; its revoked and expired keys go with it, its spend stays."""
        team = await self.get(ref, lock=True)
        self._changes.expect(team.updated_at)
        if team.name == DEFAULT and team.org == DEFAULT:
            raise TeamInUse("The master key is charged to the team “default”, so it stays.")
        live = await self._store.live_keys(team.id)
        if live:
            raise TeamInUse(
                f"Team “{team.name}” has live keys: {_shown(live)}.", hint="Revoke them first: scutum keys revoke"
            )
        gone = await self._store.delete_team(team.id)
        for key_id in gone:
            self._changes.note("key.delete", "key", key_id, org_id=team.org_id, before={"team": team.name})
        self._changes.note("team.delete", "team", team.id, org_id=team.org_id, before=plain(team))

    async def _unit_in(self, org_id: str, ref: str | None) -> str | None:
        if ref is None:
            return None
        unit = await self._units.get(ref, lock=True)
        if unit.org_id != org_id:
            raise BadField(f"Unit “{unit.name}” belongs to another org.", param="unit")
        return unit.id


def _zone(name: str) -> str:
    """An IANA time zone; raises BadField."""
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise BadField(
            "time_zone is the name of a time zone, such as Europe/Berlin or UTC.", param="time_zone"
        ) from None
    return name
