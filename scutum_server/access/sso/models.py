"""Single sign-on: where people are known, and what their groups make of them here."""

from __future__ import annotations

import datetime as dt
from typing import Any

from msgspec import Struct

from scutum_server.access.models import Role
from scutum_server.errors import Conflict, Forbidden, NotFound, ScutumError, Unauthenticated


class Rule(Struct, frozen=True, kw_only=True):
    """Who is in the group has the role: in one org, or (`org_id` None) in the whole install."""

    group: str
    role: Role
    org: str | None = None
    org_id: str | None = None


class Provider(Struct, frozen=True, kw_only=True):
    """An OpenID provider and our client there. `secret` is wrapped; the first rule that fits counts."""

    issuer: str
    client_id: str
    secret: bytes | None
    scopes: list[str]
    redirect_uris: list[str]
    groups_claim: str
    rules: list[Rule]
    default_role: Role | None
    ca_bundle: str | None
    updated_at: dt.datetime


class Flow(Struct, frozen=True, kw_only=True):
    """A login on its way: `secret` is wrapped, the code's verifier or the device's code."""

    kind: str
    browser: bytes | None
    nonce: str | None
    secret: bytes
    redirect_uri: str | None
    interval: int
    due: bool


class Begun(Struct, frozen=True, kw_only=True):
    """Where to send the browser; `flow_token` stays with whoever began, and is shown again at the end."""

    authorization_url: str
    state: str
    flow_token: str
    expires_in: int


class DeviceBegun(Struct, frozen=True, kw_only=True):
    """What somebody types in elsewhere; times in seconds. `flow_token` asks whether they have."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    flow_token: str
    expires_in: int
    interval: int


class Person(Struct, frozen=True, kw_only=True):
    """Somebody as the provider's signed token has them."""

    subject: str
    email: str | None
    email_verified: bool
    name: str | None
    groups: frozenset[str]


class Tokens(Struct, frozen=True):
    """What the provider hands out; `claims` are verified."""

    claims: dict[str, Any]


class SsoNotSet(NotFound):
    code = "sso_not_set"


class SsoFailed(Unauthenticated):
    """The login did not come to a good end; never tells which check it failed."""

    code = "sso_failed"


class SsoRefused(Forbidden):
    """The provider knows them, and they may not come in here."""

    code = "sso_refused"


class SsoPending(Conflict):
    code = "authorization_pending"

    def __init__(self, interval: int) -> None:
        super().__init__("They have not yet logged in elsewhere.", hint=f"Ask again in {interval} s.")
        self.retry_after = interval


class ProviderDown(ScutumError):
    code = "sso_provider_unavailable"
    status = 502
    retryable = True
