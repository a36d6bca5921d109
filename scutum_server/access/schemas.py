"""Bodies of the routes for users, service accounts and sessions."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field, SecretStr, model_validator

from scutum_server.schemas import SORT, Answer, Body, ListQuery, NameFilter, Time

Role = Literal["owner", "admin", "operator", "approver", "viewer"]
Email = Annotated[str, Field(min_length=3, max_length=254)]
Password = Annotated[SecretStr, Field(max_length=1000, description="At least 12 characters.")]
Org = Annotated[str | None, Field(max_length=200, description="Id or name; null is the whole install.")]
_MAX_SECONDS = int(dt.timedelta(days=3650).total_seconds())
ExpiresIn = Annotated[int | None, Field(ge=1, le=_MAX_SECONDS, description="Seconds from now.")]


class Login(Body):
    """One of: the master key; somebody's address of mail and password; the token of a service account."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"email": "ada@example.com", "password": "correct horse battery staple"},
                {"master_key": "sk-master-…"},
                {"service_token": "sk-service-…"},
            ]
        }
    )

    master_key: Annotated[SecretStr | None, Field(max_length=1000, description="SCUTUM_API_KEY of config/.env.")] = None
    email: Annotated[str | None, Field(max_length=254)] = None
    password: Annotated[SecretStr | None, Field(max_length=1000)] = None
    service_token: Annotated[SecretStr | None, Field(max_length=1000)] = None
    device_token: Annotated[
        SecretStr | None,
        Field(max_length=4096, description="Of an earlier login: others' wrong guesses do not slow this device down."),
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> "Login":
        ways = [self.master_key is not None, self.email is not None, self.service_token is not None]
        if sum(ways) != 1 or (self.email is None) != (self.password is None):
            raise ValueError("give master_key, or email and password, or service_token")
        return self


class Refresh(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"refresh_token": "scr-…"}]})

    refresh_token: Annotated[SecretStr, Field(max_length=200)]


class PasswordChange(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"current_password": "the old one", "new_password": "four unrelated words"}]}
    )

    current_password: Annotated[SecretStr, Field(max_length=1000)]
    new_password: Password


class Session(Answer):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: Annotated[int, Field(description="Seconds that the access token opens for.")]
    refresh_token: Annotated[str, Field(description="Works once, within 15 minutes of the last request.")]
    session_expires_in: Annotated[int, Field(description="Seconds until one must log in again in any case.")]
    device_token: Annotated[str | None, Field(description="Show it at the next login from here.")] = None


class Me(Answer):
    """Whose session this is and what it may do."""

    id: str
    kind: Annotated[str, Field(examples=["user", "service-account", "admin"])]
    email: str | None
    role: Role
    org: Annotated[str | None, Field(description="The one org that the session is for; null is the whole install.")]
    permissions: list[str]
    session_id: str | None
    method: str | None
    expires_at: Time | None


OrgRef = Annotated[str | None, Field(max_length=200, description="Id or name of an org.")]


class UserQuery(ListQuery):
    sort: Annotated[
        Literal["created_at", "-created_at", "email", "-email", "last_login_at", "-last_login_at"],
        Field(description=SORT),
    ] = "created_at"
    email: NameFilter = None
    role: Role | None = None
    org: OrgRef = None
    state: Literal["active", "disabled"] | None = None


class ServiceAccountQuery(ListQuery):
    sort: Annotated[
        Literal["created_at", "-created_at", "name", "-name", "expires_at", "-expires_at"], Field(description=SORT)
    ] = "created_at"
    name: NameFilter = None
    role: Role | None = None
    org: OrgRef = None
    state: Literal["active", "expired", "revoked"] | None = None


class UserCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ada@example.com", "role": "operator"}]})

    email: Email
    role: Role
    name: Annotated[str | None, Field(max_length=200)] = None
    org: Org = None
    password: Annotated[Password | None, Field(description="Without one they come by single sign-on only.")] = None


class UserUpdate(Body):
    """Only the fields that are sent change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "admin"}, {"disabled": True}]})

    role: Role = "viewer"
    name: Annotated[str | None, Field(max_length=200)] = None
    org: Org = None
    disabled: Annotated[bool, Field(description="Ends their sessions; they cannot log in.")] = False
    password: Annotated[Password, Field(description="Ends their sessions.")] = SecretStr("")


class User(Answer):
    id: str
    email: str
    name: str | None
    role: Role
    org: str | None
    has_password: bool
    sso: Annotated[bool, Field(description="Whether they have come by single sign-on.")]
    state: Literal["active", "disabled"]
    last_login_at: Time | None
    created_at: Time
    updated_at: Time


class UserList(Answer):
    items: list[User]
    next: str | None


class SignedOut(Answer):
    sessions: Annotated[int, Field(description="How many were ended.")]


class ServiceAccountCreate(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ci", "role": "operator", "expires_in": 7776000}]}
    )

    name: Annotated[str, Field(min_length=1, max_length=100)]
    role: Role
    org: Org = None
    expires_in: ExpiresIn = None
    expires_at: AwareDatetime | None = None


class ServiceAccountUpdate(Body):
    """Only the fields that are sent change; null lets the token live for ever."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "viewer"}]})

    name: Annotated[str, Field(min_length=1, max_length=100)] = ""
    role: Role = "viewer"
    expires_in: ExpiresIn = None
    expires_at: AwareDatetime | None = None


class ServiceAccountRotate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: Annotated[int, Field(ge=0, le=30 * 86400, description="How long the former token opens.")] = 0


class ServiceAccount(Answer):
    id: str
    name: str
    role: Role
    org: str | None
    hint: Annotated[str, Field(description="Beginning and end of the token.")]
    state: Literal["active", "expired", "revoked"]
    expires_at: Time | None
    revoked_at: Time | None
    previous_valid_until: Annotated[Time | None, Field(description="Until when the token before still opens.")]
    last_login_at: Time | None
    created_at: Time
    updated_at: Time


class IssuedServiceAccount(ServiceAccount):
    token: Annotated[str, Field(description="The token itself: shown only here and now.")]


class ServiceAccountList(Answer):
    items: list[ServiceAccount]
    next: str | None


class SsoStart(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"redirect_uri": "https://console.example/callback"}]})

    redirect_uri: Annotated[str, Field(min_length=1, max_length=500, description="One of the settings' redirect_uris.")]


class SsoBegun(Answer):
    authorization_url: Annotated[str, Field(description="Where to send the browser.")]
    state: Annotated[str, Field(description="Comes back with the browser.")]
    flow_token: Annotated[str, Field(description="Stays with whoever began, and is shown at the end.")]
    expires_in: Annotated[int, Field(description="Seconds.")]


class SsoCallback(Body):
    """What the provider sent the browser back with, and the token of the beginning."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"state": "…", "code": "…", "flow_token": "…", "iss": "https://id.example"}]}
    )

    state: Annotated[str, Field(min_length=1, max_length=200)]
    flow_token: Annotated[SecretStr, Field(max_length=200)]
    code: Annotated[str | None, Field(max_length=4096)] = None
    iss: Annotated[str | None, Field(max_length=500)] = None
    error: Annotated[str | None, Field(max_length=200)] = None
    error_description: Annotated[str | None, Field(max_length=2000)] = None


class SsoDeviceBegun(Answer):
    user_code: Annotated[str, Field(description="What to type in.")]
    verification_uri: Annotated[str, Field(description="Where to type it in.")]
    verification_uri_complete: Annotated[str | None, Field(description="The same with the code in it.")]
    flow_token: Annotated[str, Field(description="Asks whether they have.")]
    expires_in: Annotated[int, Field(description="Seconds.")]
    interval: Annotated[int, Field(description="Seconds between two questions.")]


class SsoDevicePoll(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"flow_token": "…"}]})

    flow_token: Annotated[SecretStr, Field(max_length=200)]


class SsoRule(Body):
    """Who is in the group has the role, in one org or in the whole install."""

    group: Annotated[str, Field(min_length=1, max_length=200)]
    role: Role
    org: Org = None


class SsoPut(Body):
    """Replaces what is set; without `client_secret` the one before stays for the same issuer and client."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "issuer": "https://id.example",
                    "client_id": "scutum",
                    "redirect_uris": ["https://console.example/callback"],
                    "rules": [{"group": "platform", "role": "owner"}],
                }
            ]
        }
    )

    issuer: Annotated[str, Field(min_length=1, max_length=500, description="Exactly as the provider calls itself.")]
    client_id: Annotated[str, Field(min_length=1, max_length=500)]
    client_secret: Annotated[SecretStr | None, Field(max_length=1000)] = None
    scopes: list[Annotated[str, Field(max_length=100)]] = Field(
        default_factory=lambda: ["openid", "email", "profile"], max_length=20
    )
    redirect_uris: list[Annotated[str, Field(max_length=500)]] = Field(default_factory=list, max_length=20)
    groups_claim: Annotated[str, Field(min_length=1, max_length=100, description="Which claim lists the groups.")] = (
        "groups"
    )
    rules: list[SsoRule] = Field(default_factory=list, max_length=200, description="The first that fits counts.")
    default_role: Annotated[Role | None, Field(description="Of those whom no rule fits; null shuts them out.")] = None
    ca_bundle: Annotated[str | None, Field(max_length=500, description="A file of authorities on the host.")] = None


class SsoRuleShown(Answer):
    group: str
    role: Role
    org: str | None


class SsoSettings(Answer):
    issuer: str
    client_id: str
    has_client_secret: bool
    scopes: list[str]
    redirect_uris: list[str]
    groups_claim: str
    rules: list[SsoRuleShown]
    default_role: Role | None
    ca_bundle: str | None
    updated_at: Time


class RoleInfo(Answer):
    name: Role
    description: str
    permissions: Annotated[list[str], Field(description="What it may do in the whole install.")]
    permissions_in_org: Annotated[list[str], Field(description="What an account of one org may do with it.")]


class RoleList(Answer):
    items: list[RoleInfo]
    next: str | None
