"""The admin API's bodies, generated from its OpenAPI document by tests/tools/generate_client_types.py."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict



class Alias(TypedDict):
    name: str
    targets: list[str]
    resolves_to: str | None


class AliasList(TypedDict):
    items: list[Alias]
    next: str | None


Target: TypeAlias = str


class AliasPut(TypedDict):
    targets: list[Target]


class AuditLog(TypedDict):
    timestamp: str
    id: str
    org_id: str
    seq: int
    actor_id: str
    actor_kind: str
    actor_email: str | None
    ip: str | None
    action: str
    resource_type: str
    resource_id: str
    diff: dict[str, Any]
    request_id: str | None
    outcome: str
    source: str


class AuditLogList(TypedDict):
    items: list[AuditLog]
    next: str | None


class IssuedKey(TypedDict):
    id: str
    name: str
    team: str
    team_id: str
    hint: str
    owner: str | None
    allowed_models: list[str] | None
    allowed_routes: list[str] | None
    allowed_ips: list[str] | None
    metadata: dict[str, Any]
    expires_at: str | None
    revoked_at: str | None
    previous_valid_until: str | None
    state: Literal['active', 'expired', 'revoked']
    created_at: str
    key: str


class Key(TypedDict):
    id: str
    name: str
    team: str
    team_id: str
    hint: str
    owner: str | None
    allowed_models: list[str] | None
    allowed_routes: list[str] | None
    allowed_ips: list[str] | None
    metadata: dict[str, Any]
    expires_at: str | None
    revoked_at: str | None
    previous_valid_until: str | None
    state: Literal['active', 'expired', 'revoked']
    created_at: str


AllowedModel: TypeAlias = str


AllowedRoute: TypeAlias = str


AllowedIp: TypeAlias = str


class KeyCreate(TypedDict):
    owner: NotRequired[str | None]
    allowed_models: NotRequired[list[AllowedModel] | None]
    allowed_routes: NotRequired[list[AllowedRoute] | None]
    allowed_ips: NotRequired[list[AllowedIp] | None]
    metadata: NotRequired[dict[str, Any] | None]
    expires_in: NotRequired[int | None]
    expires_at: NotRequired[str | None]
    name: str
    team: NotRequired[str | None]


class KeyList(TypedDict):
    items: list[Key]
    next: str | None


class KeyRotate(TypedDict):
    overlap_seconds: NotRequired[int | None]


class KeyUpdate(TypedDict):
    """
    Only the fields that are sent change; null clears one.
    """

    owner: NotRequired[str | None]
    allowed_models: NotRequired[list[AllowedModel] | None]
    allowed_routes: NotRequired[list[AllowedRoute] | None]
    allowed_ips: NotRequired[list[AllowedIp] | None]
    metadata: NotRequired[dict[str, Any] | None]
    expires_in: NotRequired[int | None]
    expires_at: NotRequired[str | None]
    name: NotRequired[str]


class ModelPrice(TypedDict):
    """
    Nano-USD per token: 1 is 0.001 USD per million tokens.
    """

    input_nano: int
    output_nano: int
    cached_nano: int | None


class Org(TypedDict):
    id: str
    name: str
    time_zone: str
    created_at: str


class OrgList(TypedDict):
    items: list[Org]
    next: str | None


class Price(TypedDict):
    """
    Nano-USD per token: 1 is 0.001 USD per million tokens.
    """

    input_nano: int
    output_nano: int
    cached_nano: NotRequired[int | None]


class ProbeError(TypedDict):
    code: str
    message: str
    hint: str | None


class Provider(TypedDict):
    id: str
    name: str
    kind: Literal['openai', 'sim']
    base_url: str | None
    api_key_hint: str | None
    settings: dict[str, Any]
    models: list[str]
    simulated: bool
    created_at: str


class ProviderCreate(TypedDict):
    name: str
    kind: Literal['openai', 'sim']
    base_url: NotRequired[str | None]
    api_key: NotRequired[str | None]
    settings: NotRequired[dict[str, Any] | None]


class ProviderList(TypedDict):
    items: list[Provider]
    next: str | None


class ProviderUpdate(TypedDict):
    """
    Only the fields that are sent change; `settings` is merged, and null sets one back to its default.
    """

    name: NotRequired[str]
    base_url: NotRequired[str | None]
    api_key: NotRequired[str | None]
    settings: NotRequired[dict[str, Any] | None]


class Setting(TypedDict):
    key: str
    value: Any
    default: Any
    description: str
    updated_at: str | None


class SettingList(TypedDict):
    items: list[Setting]
    next: NotRequired[str | None]


class SettingPut(TypedDict):
    value: Any


class Team(TypedDict):
    id: str
    name: str
    org: str
    created_at: str


class TeamCreate(TypedDict):
    name: str
    org: NotRequired[str | None]


class TeamList(TypedDict):
    items: list[Team]
    next: str | None


class UsageItem(TypedDict):
    """
    Only the dimensions that were asked for are present; null where a request had none.
    """

    requests: int
    errors: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_usd: str
    simulated: bool
    model: NotRequired[str | None]
    provider: NotRequired[str | None]
    team: NotRequired[str | None]
    team_id: NotRequired[str | None]
    key: NotRequired[str | None]
    key_id: NotRequired[str | None]


class UsageTotal(TypedDict):
    requests: int
    errors: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_usd: str
    simulated: bool


class ValidationError(TypedDict):
    loc: list[str | int]
    msg: str
    type: str
    input: NotRequired[Any]
    ctx: NotRequired[dict[str, Any]]


class HTTPValidationError(TypedDict):
    detail: NotRequired[list[ValidationError]]


class Model(TypedDict):
    id: str
    name: str
    provider: str
    upstream_model: str
    kind: Literal['chat', 'embedding'] | None
    price: ModelPrice | None
    created_at: str


class ModelCreate(TypedDict):
    name: str
    provider: str
    upstream_model: NotRequired[str | None]
    kind: NotRequired[Literal['chat', 'embedding'] | None]
    price: NotRequired[Price | None]


class ModelList(TypedDict):
    items: list[Model]
    next: str | None


class ModelUpdate(TypedDict):
    """
    Only the fields that are sent change; null clears `kind` or `price`.
    """

    name: NotRequired[str]
    upstream_model: NotRequired[str]
    kind: NotRequired[Literal['chat', 'embedding'] | None]
    price: NotRequired[Price | None]


class Probe(TypedDict):
    ok: bool
    latency_ms: int
    model: str | None
    reply: str | None
    error: ProbeError | None


class UsageReport(TypedDict):
    items: list[UsageItem]
    total: UsageTotal
    since: str
    until: str
    next: str | None
