"""Routes for organisations, teams and keys; the composition root puts the services into the request."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, status

from scutum_server.identity import models, schemas
from scutum_server.identity.service import KeyService, TeamService
from scutum_server.infra.paging import Page
from scutum_server.schemas import Cursor, Limit

router = APIRouter(tags=["identity"])


async def _teams(request: Request) -> TeamService:
    service: TeamService = request.state.teams
    return service


async def _keys(request: Request) -> KeyService:
    service: KeyService = request.state.keys
    return service


Teams = Annotated[TeamService, Depends(_teams)]
Keys = Annotated[KeyService, Depends(_keys)]


def _issued(issued: models.IssuedKey) -> dict[str, Any]:
    return msgspec.structs.asdict(issued.key) | {"key": issued.plaintext}


@router.get("/orgs", response_model=schemas.OrgList)
async def list_orgs(teams: Teams, limit: Limit = 100, cursor: Cursor = None) -> Page[models.Org]:
    """Organisations, oldest first."""
    return await teams.orgs(limit, cursor)


@router.get("/teams", response_model=schemas.TeamList)
async def list_teams(teams: Teams, limit: Limit = 100, cursor: Cursor = None) -> Page[models.Team]:
    """Teams, oldest first."""
    return await teams.page(limit, cursor)


@router.post("/teams", response_model=schemas.Team, status_code=status.HTTP_201_CREATED)
async def create_team(teams: Teams, body: schemas.TeamCreate) -> models.Team:
    """Creates a team; 409 `name_taken` when the org has one of this name."""
    return await teams.create(body.name, body.org)


@router.get("/teams/{ref:path}", response_model=schemas.Team)
async def get_team(teams: Teams, ref: str) -> models.Team:
    """One team, by id, name, or a unique beginning or end of the id."""
    return await teams.get(ref)


@router.delete("/teams/{ref:path}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_team(teams: Teams, ref: str) -> None:
    """Deletes a team; 409 `team_in_use` while it has live keys. Its spend stays in the reports."""
    await teams.delete(ref)


@router.get("/keys", response_model=schemas.KeyList)
async def list_keys(
    keys: Keys,
    limit: Limit = 100,
    cursor: Cursor = None,
    team: Annotated[str | None, Query(max_length=200, description="Only the keys of this team.")] = None,
) -> Page[models.Key]:
    """Keys without their secrets, oldest first."""
    return await keys.page(limit, cursor, team)


@router.post("/keys", response_model=schemas.IssuedKey, status_code=status.HTTP_201_CREATED)
async def create_key(keys: Keys, body: schemas.KeyCreate) -> dict[str, Any]:
    """Creates a key; its secret is in this answer only."""
    return _issued(await keys.create(body.model_dump(exclude_unset=True)))


@router.post("/keys/{ref:path}/revoke", response_model=schemas.Key)
async def revoke_key(keys: Keys, ref: str) -> models.Key:
    """Revokes a key for good, at every proxy within a second."""
    return await keys.revoke(ref)


@router.post("/keys/{ref:path}/rotate", response_model=schemas.IssuedKey)
async def rotate_key(keys: Keys, ref: str, body: schemas.KeyRotate | None = None) -> dict[str, Any]:
    """Gives a key a new secret; the former one opens for `overlap_seconds` more."""
    return _issued(await keys.rotate(ref, body.overlap_seconds if body else None))


@router.get("/keys/{ref:path}", response_model=schemas.Key)
async def get_key(keys: Keys, ref: str) -> models.Key:
    """One key, by id, name, or a unique beginning or end of the id."""
    return await keys.get(ref)


@router.patch("/keys/{ref:path}", response_model=schemas.Key)
async def update_key(keys: Keys, ref: str, body: schemas.KeyUpdate) -> models.Key:
    """Changes the fields that are sent; null clears one."""
    return await keys.update(ref, body.model_dump(exclude_unset=True))
