"""Bodies of the routes for organisations, teams, keys and sessions."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from scutum_server.schemas import SORT, Answer, Body, Filter, ListQuery, NameFilter, Time

Name = Annotated[str, Field(min_length=1, max_length=100)]
Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=500)]
_MAX_SECONDS = int(dt.timedelta(days=3650).total_seconds())
Seconds = Annotated[int, Field(ge=1, le=_MAX_SECONDS)]


TimeZone = Annotated[
    str, Field(min_length=1, max_length=64, description="Its days and months begin at midnight there.")
]
ByName = Annotated[Literal["created_at", "-created_at", "name", "-name"], Field(description=SORT)]
OrgRef = Annotated[str | None, Field(max_length=200, description="Id or name of an org.")]
UnitRef = Annotated[str | None, Field(max_length=200, description="Id or name of a unit.")]


class OrgQuery(ListQuery):
    sort: ByName = "created_at"
    name: NameFilter = None


class UnitQuery(ListQuery):
    sort: ByName = "created_at"
    name: NameFilter = None
    org: OrgRef = None


class TeamQuery(ListQuery):
    sort: ByName = "created_at"
    name: NameFilter = None
    org: OrgRef = None
    unit: UnitRef = None


class KeyQuery(ListQuery):
    sort: Annotated[
        Literal["created_at", "-created_at", "name", "-name", "expires_at", "-expires_at"], Field(description=SORT)
    ] = "created_at"
    name: NameFilter = None
    team: Annotated[str | None, Field(max_length=200, description="Id or name of a team.")] = None
    owner: Filter = None
    state: Literal["active", "expired", "revoked"] | None = None


class OrgCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "acme", "time_zone": "Europe/Berlin"}]})

    name: Name
    time_zone: TimeZone = "UTC"


class OrgUpdate(Body):
    """Only the fields that are sent change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"time_zone": "Europe/Berlin"}]})

    name: Name = Field(default="", min_length=1, max_length=100)
    time_zone: TimeZone = Field(default="", min_length=1, max_length=64)


class Org(Answer):
    id: str
    name: str
    time_zone: str
    created_at: Time
    updated_at: Time


class OrgList(Answer):
    items: list[Org]
    next: str | None


class UnitCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "research", "org": "acme"}]})

    name: Name
    org: Annotated[str | None, Field(max_length=200, description="Id or name; default: the org “default”.")] = None


class UnitUpdate(Body):
    """Only the fields that are sent change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "platform"}]})

    name: Name = Field(default="", min_length=1, max_length=100)


class Unit(Answer):
    id: str
    name: str
    org: str
    created_at: Time
    updated_at: Time


class UnitList(Answer):
    items: list[Unit]
    next: str | None


class TeamCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "search", "unit": "research"}]})

    name: Name
    org: Annotated[str | None, Field(max_length=200, description="Id or name; default: the org “default”.")] = None
    unit: Annotated[str | None, Field(max_length=200, description="Id or name of a unit of the org.")] = None


class TeamUpdate(Body):
    """Only the fields that are sent change; a `unit` of null takes the team out of its unit."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"unit": "research"}]})

    name: Name = Field(default="", min_length=1, max_length=100)
    unit: UnitRef = None


class Team(Answer):
    id: str
    name: str
    org: str
    unit: str | None
    created_at: Time
    updated_at: Time


class TeamList(Answer):
    items: list[Team]
    next: str | None


class _KeyFields(Body):
    owner: Annotated[str | None, Field(max_length=200)] = None
    allowed_models: Annotated[Names | None, Field(description="Null allows every model.")] = None
    allowed_routes: Annotated[Names | None, Field(description="Paths such as /v1/chat/completions.")] = None
    allowed_ips: Annotated[Names | None, Field(description="Addresses or networks in CIDR form.")] = None
    metadata: dict[str, Any] | None = None
    expires_in: Annotated[Seconds | None, Field(description="Seconds from now.")] = None
    expires_at: AwareDatetime | None = None


class KeyCreate(_KeyFields):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ci", "team": "search", "expires_in": 2592000}]})

    name: Name
    team: Annotated[str | None, Field(max_length=200, description="Id or name; default: “default”.")] = None


class KeyUpdate(_KeyFields):
    """Only the fields that are sent change; null clears one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"allowed_models": ["fast"]}]})

    name: Name = Field(default="", min_length=1, max_length=100)


class KeyRotate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: Annotated[
        int | None,
        Field(ge=0, le=30 * 86400, description="How long the former secret still opens; default: a setting, or 0."),
    ] = None


class Key(Answer):
    id: str
    name: str
    team: str
    team_id: str
    hint: Annotated[str, Field(description="Beginning and end of the secret.")]
    owner: str | None
    allowed_models: list[str] | None
    allowed_routes: list[str] | None
    allowed_ips: list[str] | None
    metadata: dict[str, Any]
    expires_at: Time | None
    revoked_at: Time | None
    previous_valid_until: Annotated[Time | None, Field(description="Until when the secret before still opens.")]
    state: Literal["active", "expired", "revoked"]
    created_at: Time
    updated_at: Time


class IssuedKey(Key):
    key: Annotated[str, Field(description="The secret itself: shown only here and now.")]


class KeyList(Answer):
    items: list[Key]
    next: str | None
