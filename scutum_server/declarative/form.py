"""The form of the file: which sections it has, in which order they are made, and what an object of each may say."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct

Kind = Literal[
    "text", "number", "flag", "texts", "networks", "numbers", "time", "money", "any", "map", "price", "hash",
    "reference",
]  # fmt: skip


class Field(Struct, frozen=True, kw_only=True):
    """`default` is what it means to leave it out; a field that `keeps` leaves the live value then."""

    kind: Kind
    default: Any = None
    required: bool = False
    keeps: bool = False
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 10**18


class Section(Struct, frozen=True, kw_only=True):
    """`identity` names the fields that tell an object from others; `scopes`, which of them each scope needs."""

    noun: str
    identity: tuple[str, ...]
    fields: dict[str, Field]
    scopes: dict[str, tuple[str, ...]] | None = None
    org: bool = False
    """Whether `org` may be left out for the org `default`."""
    anywhere: bool = False
    """Whether `org` may be left out for the whole install."""


_RATE: Final = Field(kind="number", low=1, high=10**12)
_ON_FAILURE: Final = Field(kind="text", default="closed", choices=("open", "closed"))
_ROLE: Final = Field(kind="text", required=True, choices=("owner", "admin", "operator", "approver", "viewer"))
_MS: Final = Field(kind="number", low=1, high=3_600_000)

LIMIT_SCOPES: Final = {
    "global": (), "team": ("org", "team"), "key": ("org", "team", "key"), "user": ("user",), "model": ("model",),
    "team+model": ("org", "team", "model"),
}  # fmt: skip
BUDGET_SCOPES: Final = {
    "global": (), "org": ("org",), "unit": ("org", "unit"), "team": ("org", "team"), "key": ("org", "team", "key"),
    "user": ("user",),
}  # fmt: skip

SECTIONS: Final[dict[str, Section]] = {
    "orgs": Section(noun="org", identity=("name",), fields={"time_zone": Field(kind="text", default="UTC")}),
    "units": Section(noun="unit", identity=("org", "name"), fields={}, org=True),
    "teams": Section(noun="team", identity=("org", "name"), fields={"unit": Field(kind="text")}, org=True),
    "providers": Section(
        noun="provider",
        identity=("name",),
        fields={
            "kind": Field(kind="text", required=True, choices=("openai", "anthropic", "litellm", "sim")),
            "base_url": Field(kind="text"),
            "api_key": Field(kind="reference", keeps=True),
            "settings": Field(kind="map"),
        },
    ),
    "models": Section(
        noun="model",
        identity=("provider", "name"),
        fields={
            "upstream_model": Field(kind="text"),
            "kind": Field(kind="text", choices=("chat", "embedding"), keeps=True),
            "price": Field(kind="price"),
            "rpm": _RATE,
            "tpm": _RATE,
        },
    ),
    "aliases": Section(
        noun="alias",
        identity=("name",),
        fields={
            "automatic": Field(kind="flag", default=False),
            "targets": Field(kind="texts"),
            "strategy": Field(
                kind="text",
                default="ordered",
                choices=("ordered", "weighted", "least-busy", "lowest-latency", "cheapest", "usage-based"),
            ),
            "weights": Field(kind="numbers", high=1000),
            "retries": Field(kind="number", default=1, high=10),
            "first_byte_ms": _MS,
            "total_ms": _MS,
        },
    ),
    "keys": Section(
        noun="key",
        identity=("org", "team", "name"),
        org=True,
        fields={
            "sha256": Field(kind="hash", required=True),
            "hint": Field(kind="text", keeps=True),
            "owner": Field(kind="text"),
            "allowed_models": Field(kind="texts"),
            "allowed_routes": Field(kind="texts"),
            "allowed_ips": Field(kind="networks"),
            "metadata": Field(kind="map"),
            "expires_at": Field(kind="time"),
        },
    ),
    "limits": Section(
        noun="limit",
        identity=("scope", "org", "team", "key", "user", "model"),
        scopes=LIMIT_SCOPES,
        fields={
            "rpm": _RATE,
            "tpm": _RATE,
            "rpd": _RATE,
            "tpd": _RATE,
            "concurrency": _RATE,
            "burst": _RATE,
            "on_failure": _ON_FAILURE,
        },
    ),
    "budgets": Section(
        noun="budget",
        identity=("scope", "org", "unit", "team", "key", "user", "period"),
        scopes=BUDGET_SCOPES,
        fields={
            "amount_usd": Field(kind="money", required=True),
            "soft_percent": Field(kind="number", default=80, low=1, high=100),
            "output_tokens": Field(kind="number", default=4096, low=16, high=10**7),
            "on_failure": _ON_FAILURE,
        },
    ),
    "users": Section(
        noun="user",
        identity=("email",),
        fields={
            "role": _ROLE,
            "org": Field(kind="text"),
            "name": Field(kind="text"),
            "disabled": Field(kind="flag", default=False),
        },
    ),
    "service_accounts": Section(
        noun="service account",
        identity=("org", "name"),
        anywhere=True,
        fields={
            "role": _ROLE,
            "sha256": Field(kind="hash", required=True),
            "hint": Field(kind="text", keeps=True),
            "expires_at": Field(kind="time"),
        },
    ),
    "settings": Section(noun="setting", identity=("key",), fields={"value": Field(kind="any", required=True)}),
}
"""In the order in which objects are made: each after those that it refers to."""
PERIODS: Final = ("day", "week", "month")
DEFAULT_ORG: Final = "default"


def without_defaults(section: str, fields: dict[str, Any]) -> dict[str, Any]:
    """What a file would say of an object: fields in the order of the form, those at their default left out."""
    found = {}
    for name, field in SECTIONS[section].fields.items():
        value = fields.get(name)
        if value is None or value == field.default or value in ([], {}):
            continue
        found[name] = value
    return found
