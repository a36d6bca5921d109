"""Bodies of the routes for licences."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr

from scutum_server.schemas import Answer, Body, Time

Features = Annotated[
    dict[str, bool | int | None],
    Field(
        description="Counts (null: without bound) and what is included.",
        examples=[{"max_admins": 50, "sso": True, "audit_retention_days": 365}],
    ),
]


class LicenseActivate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"license_key": "eyJhbGciOiJFZERTQSIs…"}]})

    license_key: Annotated[SecretStr, Field(description="The whole licence; line ends inside it do no harm.")]


class License(Answer):
    present: Annotated[bool, Field(description="Whether a licence was activated here.")]
    valid: Annotated[bool, Field(description="Whether it is genuine and its time has come and not passed.")]
    expired: bool
    tier: Literal["trial", "team", "business", "enterprise"] | None
    customer_email: str | None
    company: str | None
    issued_at: Time | None
    expires_at: Time | None
    days_remaining: Annotated[int | None, Field(description="Days begun; 0 once it has expired.")]
    features: Features
    error: Annotated[str | None, Field(description="What is wrong and what to do, in one sentence or two.")]


class LicenseActivation(Answer):
    id: str
    license_id: Annotated[str, Field(description="The issuer's name for this licence.")]
    issuer: str
    tier: str
    customer_email: str
    company: str
    issued_at: Time
    expires_at: Time
    features: Features
    source: Annotated[str, Field(description="`seed`: out of LICENSE_KEY at the first start.")]
    activated_by: str
    activated_at: Time
    superseded_at: Time | None
    state: Literal["active", "superseded"]


class LicenseActivationList(Answer):
    items: list[LicenseActivation]
    next: str | None
