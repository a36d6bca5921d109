"""Routes for organisations, teams and keys; the composition root puts the services into the request."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, status

from scutum_server.identity import models, schemas
from scutum_server.identity.orgs import OrgService, TeamService, UnitService
from scutum_server.identity.service import KeyService
from scutum_server.infra.paging import Page

router = APIRouter(tags=["identity"])


async def _orgs(request: Request) -> OrgService:
    service: OrgService = request.state.orgs
    return service


async def _units(request: Request) -> UnitService:
    service: UnitService = request.state.units
    return service


async def _teams(request: Request) -> TeamService:
    service: TeamService = request.state.teams
    return service


async def _keys(request: Request) -> KeyService:
    service: KeyService = request.state.keys
    return service


Orgs = Annotated[OrgService, Depends(_orgs)]
Units = Annotated[UnitService, Depends(_units)]
Teams = Annotated[TeamService, Depends(_teams)]
Keys = Annotated[KeyService, Depends(_keys)]


def _issued(request: Request, issued: models.IssuedKey) -> dict[str, Any]:
    """What a dry run would have issued opens nothing, and must not look as if it did."""
    plaintext = "dry-run" if request.state.dry_run else issued.plaintext
    return msgspec.structs.asdict(issued.key) | {"key": plaintext}


@router.get("/orgs", response_model=schemas.OrgList)
async def list_orgs(orgs: Orgs, query: Annotated[schemas.OrgQuery, Query()]) -> Page[models.Org]:
    """Organisations, oldest first."""
    return await orgs.page(query.ask())


@router.post("/orgs", response_model=schemas.Org, status_code=status.HTTP_201_CREATED)
async def create_org(orgs: Orgs, body: schemas.OrgCreate) -> models.Org:
    """Creates an org; 409 `name_taken` when there is one of this name."""
    return await orgs.create(body.name, body.time_zone)


@router.get("/orgs/{ref:path}", response_model=schemas.Org)
async def get_org(orgs: Orgs, ref: str) -> models.Org:
    """One org, by id, name, or a unique beginning or end of the id."""
    return await orgs.get(ref)


@router.patch("/orgs/{ref:path}", response_model=schemas.Org)
async def update_org(orgs: Orgs, ref: str, body: schemas.OrgUpdate) -> models.Org:
    """Changes the fields that are sent; limits and budgets follow a new time zone within a second."""
    return await orgs.update(ref, body.model_dump(exclude_unset=True))


@router.delete("/orgs/{ref:path}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_org(orgs: Orgs, ref: str) -> None:
    """Deletes an org; 409 `org_in_use` while anything belongs to it. Its spend and its audit trail stay."""
    await orgs.delete(ref)


@router.get("/units", response_model=schemas.UnitList)
async def list_units(units: Units, query: Annotated[schemas.UnitQuery, Query()]) -> Page[models.Unit]:
    """Units of orgs, oldest first."""
    return await units.page(query.ask("org"), query.org)


@router.post("/units", response_model=schemas.Unit, status_code=status.HTTP_201_CREATED)
async def create_unit(units: Units, body: schemas.UnitCreate) -> models.Unit:
    """Creates a unit; 409 `name_taken` when the org has one of this name."""
    return await units.create(body.name, body.org)


@router.get("/units/{ref:path}", response_model=schemas.Unit)
async def get_unit(units: Units, ref: str) -> models.Unit:
    """One unit, by id, name, or a unique beginning or end of the id."""
    return await units.get(ref)


@router.patch("/units/{ref:path}", response_model=schemas.Unit)
async def update_unit(units: Units, ref: str, body: schemas.UnitUpdate) -> models.Unit:
    """Changes the fields that are sent."""
    return await units.update(ref, body.model_dump(exclude_unset=True))


@router.delete("/units/{ref:path}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_unit(units: Units, ref: str) -> None:
    """Deletes a unit with its budgets; 409 `unit_in_use` while teams belong to it."""
    await units.delete(ref)


@router.get("/teams", response_model=schemas.TeamList)
async def list_teams(teams: Teams, query: Annotated[schemas.TeamQuery, Query()]) -> Page[models.Team]:
    """Teams, oldest first."""
    return await teams.page(query.ask("org", "unit"), query.org, query.unit)


@router.post("/teams", response_model=schemas.Team, status_code=status.HTTP_201_CREATED)
async def create_team(teams: Teams, body: schemas.TeamCreate) -> models.Team:
    """Creates a team; 409 `name_taken` when the org has one of this name."""
    return await teams.create(body.name, body.org, body.unit)


@router.get("/teams/{ref:path}", response_model=schemas.Team)
async def get_team(teams: Teams, ref: str) -> models.Team:
    """One team, by id, name, or a unique beginning or end of the id."""
    return await teams.get(ref)


@router.patch("/teams/{ref:path}", response_model=schemas.Team)
async def update_team(teams: Teams, ref: str, body: schemas.TeamUpdate) -> models.Team:
    """Changes the fields that are sent; a `unit` of null takes the team out of its unit."""
    return await teams.update(ref, body.model_dump(exclude_unset=True))


@router.delete("/teams/{ref:path}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_team(teams: Teams, ref: str) -> None:
    """Deletes a team; 409 `team_in_use` while it has live keys. Its spend stays in the reports."""
    await teams.delete(ref)


@router.get("/keys", response_model=schemas.KeyList)
async def list_keys(keys: Keys, query: Annotated[schemas.KeyQuery, Query()]) -> Page[models.Key]:
    """Keys without their secrets, oldest first."""
    return await keys.page(query.ask("team"), query.team)


@router.post("/keys", response_model=schemas.IssuedKey, status_code=status.HTTP_201_CREATED)
async def create_key(request: Request, keys: Keys, body: schemas.KeyCreate) -> dict[str, Any]:
    """Creates a key; its secret is in this answer only."""
    return _issued(request, await keys.create(body.model_dump(exclude_unset=True)))


@router.post("/keys/{ref:path}/revoke", response_model=schemas.Key)
async def revoke_key(keys: Keys, ref: str) -> models.Key:
    """Revokes a key for good, at every proxy within a second."""
    return await keys.revoke(ref)


@router.post("/keys/{ref:path}/rotate", response_model=schemas.IssuedKey)
async def rotate_key(request: Request, keys: Keys, ref: str, body: schemas.KeyRotate | None = None) -> dict[str, Any]:
    """Gives a key a new secret; the former one opens for `overlap_seconds` more."""
    return _issued(request, await keys.rotate(ref, body.overlap_seconds if body else None))


@router.get("/keys/{ref:path}", response_model=schemas.Key)
async def get_key(keys: Keys, ref: str) -> models.Key:
    """One key, by id, name, or a unique beginning or end of the id."""
    return await keys.get(ref)


@router.patch("/keys/{ref:path}", response_model=schemas.Key)
async def update_key(keys: Keys, ref: str, body: schemas.KeyUpdate) -> models.Key:
    """Changes the fields that are sent; null clears one."""
    return await keys.update(ref, body.model_dump(exclude_unset=True))


@router.delete("/keys/{ref:path}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_key(keys: Keys, ref: str) -> None:
    """Revokes a key and forgets it, with its limits and budgets; its spend stays in the reports."""
    await keys.delete(ref)
