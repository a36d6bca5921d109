"""What a licence says, what its tier includes, and the ways in which one is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from scutum_server.errors import InvalidInput, ScutumError

Tier = Literal["trial", "team", "business", "enterprise"]
Feature = int | bool | None
"""A count (None: without bound) or whether it is included."""
SEVEN_YEARS: Final = 2557

TIERS: Final[Mapping[Tier, Mapping[str, Feature]]] = {
    "trial": {
        "max_admins": 5, "mcp_servers": 3, "workflows": True, "sso": False, "sre_agent": False,
        "cost_predictor": True, "budget_webhook": True, "audit_retention_days": 30,
    },
    "team": {
        "max_admins": 10, "mcp_servers": 10, "workflows": True, "sso": False, "sre_agent": False,
        "cost_predictor": True, "budget_webhook": True, "audit_retention_days": 90,
    },
    "business": {
        "max_admins": 50, "mcp_servers": 50, "workflows": True, "sso": True, "sre_agent": True,
        "cost_predictor": True, "budget_webhook": True, "audit_retention_days": 365,
    },
    "enterprise": {
        "max_admins": None, "mcp_servers": None, "workflows": True, "sso": True, "sre_agent": True,
        "cost_predictor": True, "budget_webhook": True, "audit_retention_days": SEVEN_YEARS,
    },
}  # fmt: skip
UNLICENSED: Final[Mapping[str, Feature]] = {
    "max_admins": 5, "mcp_servers": 0, "workflows": False, "sso": False, "sre_agent": False,
    "cost_predictor": False, "budget_webhook": False, "audit_retention_days": 30,
}  # fmt: skip
"""What an install without a licence that can be verified has."""
_AGENT_TIERS: Final = frozenset({"business", "enterprise"})


class Claims(Struct, frozen=True, kw_only=True):
    """A licence as it was signed; times are in seconds since 1970. `features` differ from the tier's own."""

    iss: str
    jti: str
    sub: str
    email: str
    company: str
    tier: Tier
    iat: int
    exp: int
    nbf: int | None = None
    features: dict[str, Feature] = {}

    @property
    def issued_at(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.iat, dt.UTC)

    @property
    def expires_at(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.exp, dt.UTC)

    @property
    def valid_from(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(max(self.iat, self.nbf or 0), dt.UTC)

    def all_features(self) -> dict[str, Feature]:
        """The tier's, with what the licence says otherwise.

        Neither the SRE agent below Business nor a shorter retention for Enterprise can be said otherwise.
        """
        found = {**TIERS[self.tier], **self.features}
        if self.tier not in _AGENT_TIERS:
            found["sre_agent"] = False
        if self.tier == "enterprise":
            found["audit_retention_days"] = SEVEN_YEARS
        return found


class Licence(Struct, frozen=True, kw_only=True):
    """What this install is licensed for at the moment; the first eleven fields are `GET /api/v1/license`.

    `days_remaining` counts begun days and is 0 once expired. `error` says in one sentence what is wrong and what to do.
    """

    present: bool
    valid: bool
    expired: bool
    tier: Tier | None
    customer_email: str | None
    company: str | None
    issued_at: dt.datetime | None
    expires_at: dt.datetime | None
    days_remaining: int | None
    features: dict[str, Feature]
    error: str | None
    fingerprint: str | None = None
    """Of the token: tells licences apart in what was told of them."""

    def allows(self, feature: str) -> bool:
        """Whether the feature may be used; the data plane never asks."""
        return self.valid and bool(self.features.get(feature))

    def shows(self, feature: str) -> bool:
        """Whether what the feature has made may still be read: an expired licence keeps that."""
        return bool(self.features.get(feature))

    def bound(self, feature: str) -> int | None:
        """The number that the feature is bounded by, None without bound; an expired licence keeps its own."""
        value = self.features.get(feature, 0)
        return None if value is None else int(value)


class Activation(Struct, frozen=True, kw_only=True):
    """A licence that was activated here; the one with no `superseded_at` is in force."""

    id: str
    license_id: str
    issuer: str
    tier: str
    customer_email: str
    company: str
    issued_at: dt.datetime
    expires_at: dt.datetime
    features: dict[str, Feature]
    source: str
    activated_by: str
    activated_at: dt.datetime
    superseded_at: dt.datetime | None

    @property
    def state(self) -> Literal["active", "superseded"]:
        return "active" if self.superseded_at is None else "superseded"


class LicenceRefused(InvalidInput):
    """A token that is no licence for this install, now; `code` says why."""

    code = "license_refused"


class UpgradeRequired(ScutumError):
    """The feature belongs to another tier."""

    code = "upgrade_required"
    status = 402
