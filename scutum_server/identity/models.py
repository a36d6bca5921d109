"""Organisations, teams, keys and sessions of the control plane."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from msgspec import Struct

from scutum_server.errors import Conflict, InvalidInput, NotFound

KeyState = Literal["active", "expired", "revoked"]


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
