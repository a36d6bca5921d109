"""Organisations, teams, keys and sessions of the control plane."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from msgspec import Struct

from scutum_server.errors import Conflict, InvalidInput, NotFound, ScutumError, Unauthenticated

KeyState = Literal["active", "expired", "revoked"]
Role = Literal["owner", "admin", "operator", "approver", "viewer"]
ROLES: tuple[Role, ...] = ("owner", "admin", "operator", "approver", "viewer")


class Org(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    time_zone: str
    created_at: dt.datetime
    updated_at: dt.datetime


class Unit(Struct, frozen=True, kw_only=True):
    """A part of an org that teams belong to, such as a department."""

    id: str
    name: str
    org: str
    org_id: str
    created_at: dt.datetime
    updated_at: dt.datetime


class Team(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    org: str
    org_id: str
    unit: str | None
    unit_id: str | None
    created_at: dt.datetime
    updated_at: dt.datetime


class Key(Struct, frozen=True, kw_only=True):
    """A client key without its secret; an `allowed_*` of None means everything."""

    id: str
    name: str
    team: str
    team_id: str
    org_id: str
    hint: str
    owner: str | None
    allowed_models: list[str] | None
    allowed_routes: list[str] | None
    allowed_ips: list[str] | None
    metadata: dict[str, Any]
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    previous_valid_until: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime
    state: KeyState


class IssuedKey(Struct, frozen=True):
    """A key and its plaintext, which exists only in this answer."""

    key: Key
    plaintext: str


class Actor(Struct, frozen=True):
    """Who does something in the control plane."""

    id: str
    kind: str
    email: str | None = None


class Principal(Struct, frozen=True):
    """Somebody with a role: in one org, or (`org_id` None) in the whole install."""

    actor: Actor
    role: Role
    org_id: str | None = None


class Token(Struct, frozen=True):
    access_token: str
    expires_in: int


class OrgNotFound(NotFound):
    code = "org_not_found"


class UnitNotFound(NotFound):
    code = "unit_not_found"


class TeamNotFound(NotFound):
    code = "team_not_found"


class KeyNotFound(NotFound):
    code = "key_not_found"


class NameTaken(Conflict):
    code = "name_taken"


class OrgInUse(Conflict):
    code = "org_in_use"


class UnitInUse(Conflict):
    code = "unit_in_use"


class TeamInUse(Conflict):
    code = "team_in_use"


class KeyRevoked(Conflict):
    code = "key_revoked"


class BadField(InvalidInput):
    code = "invalid_field"


class InvalidCredentials(Unauthenticated):
    code = "invalid_credentials"


class InvalidToken(Unauthenticated):
    code = "invalid_token"


class TooManyAttemptsError(ScutumError):
    """`retry_after` is in whole seconds."""

    code = "too_many_attempts"
    status = 429
    retryable = True

    def __init__(self, detail: str, *, retry_after: int, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.retry_after = retry_after
