"""Routes for users and service accounts; the composition root puts the services into the request."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, status
from pydantic import SecretStr

from scutum_server.access import models, passwords, schemas
from scutum_server.access.passwords import Passwords
from scutum_server.access.service import ServiceAccountService, UserService
from scutum_server.infra.paging import Page
from scutum_server.schemas import Body

router = APIRouter(tags=["access"])


async def _users(request: Request) -> UserService:
    service: UserService = request.state.users
    return service


async def _service_accounts(request: Request) -> ServiceAccountService:
    service: ServiceAccountService = request.state.service_accounts
    return service


async def _passwords(request: Request) -> Passwords:
    found: Passwords = request.app.state.passwords
    return found


Users = Annotated[UserService, Depends(_users)]
ServiceAccounts = Annotated[ServiceAccountService, Depends(_service_accounts)]
Hasher = Annotated[Passwords, Depends(_passwords)]


async def _hashed(hasher: Passwords, fields: dict[str, Any], email: str) -> str | None:
    """The hash of the password among the fields, which is taken out of them."""
    given = fields.pop("password", None)
    if not isinstance(given, SecretStr):
        return None
    return await hasher.hash(passwords.clean(given.get_secret_value(), email))


def _issued(issued: models.IssuedAccount) -> dict[str, Any]:
    return msgspec.structs.asdict(issued.account) | {"token": issued.plaintext}


def _sent(body: Body) -> dict[str, Any]:
    return body.model_dump(exclude_unset=True)


@router.get("/users", response_model=schemas.UserList)
async def list_users(users: Users, query: Annotated[schemas.UserQuery, Query()]) -> Page[models.User]:
    """People, oldest first."""
    return await users.page(query.ask("org"), query.org)


@router.post("/users", response_model=schemas.User, status_code=status.HTTP_201_CREATED)
async def create_user(users: Users, hasher: Hasher, body: schemas.UserCreate) -> models.User:
    """Lets somebody in; 409 `name_taken` when somebody has the address, 403 `role_too_high` above one's own role."""
    fields = _sent(body)
    return await users.create(fields, await _hashed(hasher, fields, body.email))


@router.post("/users/{ref}/sign-out", response_model=schemas.SignedOut)
async def sign_out_user(users: Users, ref: str) -> dict[str, int]:
    """Ends every session of somebody, at once in all processes."""
    return {"sessions": await users.sign_out(ref)}


@router.get("/users/{ref}", response_model=schemas.User)
async def get_user(users: Users, ref: str) -> models.User:
    """Somebody, by id, address of mail, or a unique beginning or end of the id."""
    return await users.get(ref)


@router.patch("/users/{ref}", response_model=schemas.User)
async def update_user(users: Users, hasher: Hasher, ref: str, body: schemas.UserUpdate) -> models.User:
    """Changes the fields that are sent; 409 `last_owner` for what would leave nobody as owner."""
    fields = _sent(body)
    email = (await users.get(ref)).email
    return await users.update(ref, fields, await _hashed(hasher, fields, email))


@router.delete("/users/{ref}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_user(users: Users, ref: str) -> None:
    """Shuts somebody out for good, with all their sessions; what they did stays on the audit trail."""
    await users.delete(ref)


@router.get("/service-accounts", response_model=schemas.ServiceAccountList)
async def list_service_accounts(
    accounts: ServiceAccounts, query: Annotated[schemas.ServiceAccountQuery, Query()]
) -> Page[models.ServiceAccount]:
    """Programs that use the control plane, oldest first, without their tokens."""
    return await accounts.page(query.ask("org"), query.org)


@router.post("/service-accounts", response_model=schemas.IssuedServiceAccount, status_code=status.HTTP_201_CREATED)
async def create_service_account(accounts: ServiceAccounts, body: schemas.ServiceAccountCreate) -> dict[str, Any]:
    """Lets a program in; its token is in this answer only."""
    return _issued(await accounts.create(_sent(body)))


@router.post("/service-accounts/{ref}/rotate", response_model=schemas.IssuedServiceAccount)
async def rotate_service_account(
    accounts: ServiceAccounts, ref: str, body: schemas.ServiceAccountRotate | None = None
) -> dict[str, Any]:
    """Gives it a new token; the former one opens for `overlap_seconds` more."""
    return _issued(await accounts.rotate(ref, body.overlap_seconds if body else 0))


@router.post("/service-accounts/{ref}/revoke", response_model=schemas.ServiceAccount)
async def revoke_service_account(accounts: ServiceAccounts, ref: str) -> models.ServiceAccount:
    """Revokes its token and its sessions for good, at once."""
    return await accounts.revoke(ref)


@router.get("/service-accounts/{ref}", response_model=schemas.ServiceAccount)
async def get_service_account(accounts: ServiceAccounts, ref: str) -> models.ServiceAccount:
    """One service account, by id, name, or a unique beginning or end of the id."""
    return await accounts.get(ref)


@router.patch("/service-accounts/{ref}", response_model=schemas.ServiceAccount)
async def update_service_account(
    accounts: ServiceAccounts, ref: str, body: schemas.ServiceAccountUpdate
) -> models.ServiceAccount:
    """Changes the fields that are sent; they hold at once in its open sessions too."""
    return await accounts.update(ref, _sent(body))


@router.delete("/service-accounts/{ref}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_service_account(accounts: ServiceAccounts, ref: str) -> None:
    """Deletes a service account with its sessions; what it did stays on the audit trail."""
    await accounts.delete(ref)
