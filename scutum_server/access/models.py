"""Who uses the control plane: people, service accounts, their roles and their sessions."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from msgspec import Struct

from scutum_server.errors import Conflict, Forbidden, InvalidInput, NotFound, ScutumError, Unauthenticated

Role = Literal["owner", "admin", "operator", "approver", "viewer"]
ROLES: tuple[Role, ...] = ("owner", "admin", "operator", "approver", "viewer")
"""From the one that may do most to the one that may do least: nobody gives a role before their own."""
Method = Literal["master_key", "password", "service_token", "sso"]
UserState = Literal["active", "disabled"]
ServiceAccountState = Literal["active", "expired", "revoked"]


def above(role: Role, other: Role) -> bool:
    """Whether `role` may do more than `other`."""
    return ROLES.index(role) < ROLES.index(other)


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


MASTER = Actor("master", "admin")
INTERNAL = Principal(Actor("internal", "service"), "operator")
"""Another process of this install, known by INTERNAL_SERVICE_KEY."""


class User(Struct, frozen=True, kw_only=True):
    """Somebody; `org` None is the whole install. Never the password's hash."""

    id: str
    email: str
    name: str | None
    role: Role
    org: str | None
    org_id: str | None
    has_password: bool
    sso: bool
    state: UserState
    last_login_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime


class ServiceAccount(Struct, frozen=True, kw_only=True):
    """A program that uses the control plane; `hint` is beginning and end of its token."""

    id: str
    name: str
    role: Role
    org: str | None
    org_id: str | None
    hint: str
    state: ServiceAccountState
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    previous_valid_until: dt.datetime | None
    last_login_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime


class IssuedAccount(Struct, frozen=True):
    """A service account and its token, which exists only in this answer."""

    account: ServiceAccount
    plaintext: str


class Session(Struct, frozen=True, kw_only=True):
    """An open session and whose it is, as of now: a changed role holds at once."""

    id: str
    principal: Principal
    method: Method
    created_at: dt.datetime
    expires_at: dt.datetime


class Grant(Struct, frozen=True, kw_only=True):
    """What a login or a refresh hands out; times in seconds from now."""

    access_token: str
    expires_in: int
    refresh_token: str
    session_expires_in: int
    device_token: str | None = None


class UserNotFound(NotFound):
    code = "user_not_found"


class ServiceAccountNotFound(NotFound):
    code = "service_account_not_found"


class SessionNotFound(NotFound):
    code = "session_not_found"


class OrgNotFound(NotFound):
    code = "org_not_found"


class NameTaken(Conflict):
    code = "name_taken"


class LastOwner(Conflict):
    code = "last_owner"


class AccountRevoked(Conflict):
    code = "service_account_revoked"


class RoleTooHigh(Forbidden):
    code = "role_too_high"


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


class SeatsTaken(ScutumError):
    """The licence has a number of those who administer the install."""

    code = "too_many_admins"
    status = 402
