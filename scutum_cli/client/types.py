"""The admin API's bodies, generated from its OpenAPI document by tests/tools/generate_client_types.py."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict



class Alias(TypedDict):
    automatic: bool
    first_byte_ms: int | None
    name: str
    resolves_to: str | None
    retries: int
    strategy: Literal['ordered', 'weighted', 'least-busy', 'lowest-latency', 'cheapest', 'usage-based']
    targets: list[str]
    total_ms: int | None
    updated_at: str
    weights: list[int] | None


class AliasList(TypedDict):
    items: list[Alias]
    next: str | None


Target: TypeAlias = str


Weight: TypeAlias = int


class AliasPut(TypedDict):
    first_byte_ms: NotRequired[int | None]
    retries: NotRequired[int]
    strategy: NotRequired[Literal['ordered', 'weighted', 'least-busy', 'lowest-latency', 'cheapest', 'usage-based']]
    targets: list[Target]
    total_ms: NotRequired[int | None]
    weights: NotRequired[list[Weight] | None]


class Archive(TypedDict):
    """
    A month's rows, or some of them, as one Parquet file in an object store.
    """

    bytes: int | None
    dropped_at: str | None
    error: str | None
    first_at: str | None
    id: str
    key: str
    last_at: str | None
    locked_until: str | None
    month: str
    part: int
    rows: int | None
    sha256: str | None
    started_at: str
    state: str
    store_url: str
    table: str
    verified_at: str | None
    version: str | None


class ArchiveCheck(TypedDict):
    detail: str | None
    ok: bool


class ArchiveList(TypedDict):
    items: list[Archive]
    next: str | None


class ArchiveMonth(TypedDict):
    """
    A month in the database. `rows` is an estimate, `bytes` with indexes.
    """

    bytes: int
    due: bool
    due_at: str
    month: str
    rows: int
    table: str


class ArchiveProbe(TypedDict):
    """
    What the object store does with a locked object, as tried out.
    """

    enforced: bool
    reason: str
    url: str


class ArchiveRetention(TypedDict):
    """
    Days that rows stay in the database.
    """

    confirmed: int
    days: int
    licensed: int
    to_confirm: int | None
    wanted: int | None


class ArchiveRetentionConfirm(TypedDict):
    days: int


class ArchiveRun(TypedDict):
    months: list[ArchiveMonth]
    queued: bool
    running: bool


class ArchiveStatus(TypedDict):
    at: str
    lock_compliance: bool
    lock_days: int
    months: list[ArchiveMonth]
    other_roots: list[str]
    problem: str | None
    retention: ArchiveRetention
    running: bool
    url: str | None


class AuditKey(TypedDict):
    """
    A public key of the checkpoints.
    """

    id: str
    pem: str
    retired_at: str | None


class AuditKeyList(TypedDict):
    items: list[AuditKey]
    next: NotRequired[str | None]


class AuditLog(TypedDict):
    action: str
    actor_email: str | None
    actor_id: str
    actor_kind: str
    diff: dict[str, Any]
    id: str
    ip: str | None
    org_id: str
    outcome: str
    request_id: str | None
    resource_id: str
    resource_type: str
    seq: int
    source: str
    timestamp: str


class AuditLogCount(TypedDict):
    count: int


class AuditLogList(TypedDict):
    items: list[AuditLog]
    next: str | None


class AuditTask(TypedDict):
    """
    Something that the keeper of the audit trail does, in the background.
    """

    created_at: str
    finished_at: str | None
    id: str
    kind: str
    org_id: str | None
    progress: dict[str, Any]
    result: dict[str, Any] | None
    started_at: str | None
    state: str


class AuditTaskList(TypedDict):
    items: list[AuditTask]
    next: str | None


class Breaker(TypedDict):
    """
    Half-open waits for a request to try whether the provider is well again.
    """

    reason: str | None
    retry_at: str | None
    state: Literal['closed', 'open', 'half-open']


class Budget(TypedDict):
    amount_usd: str
    created_at: str
    forecast_usd: str | None
    id: str
    key: str | None
    key_id: str | None
    left_usd: str
    on_failure: Literal['open', 'closed']
    org: str | None
    org_id: str | None
    output_tokens: int
    period: Literal['day', 'week', 'month']
    refusing: bool | None
    reserved_usd: str | None
    runs_out_at: str | None
    scope: Literal['global', 'org', 'unit', 'team', 'key', 'user']
    since: str
    soft_percent: int
    spent_usd: str
    state: Literal['ok', 'soft', 'hard']
    team: str | None
    team_id: str | None
    time_zone: str
    unit: str | None
    unit_id: str | None
    until: str
    updated_at: str
    user: str | None


class BudgetCreate(TypedDict):
    """
    A scope needs the field of its name; global needs none.
    """

    amount_usd: str
    key: NotRequired[str | None]
    on_failure: NotRequired[Literal['open', 'closed']]
    org: NotRequired[str | None]
    output_tokens: NotRequired[int]
    period: Literal['day', 'week', 'month']
    scope: Literal['global', 'org', 'unit', 'team', 'key', 'user']
    soft_percent: NotRequired[int]
    team: NotRequired[str | None]
    unit: NotRequired[str | None]
    user: NotRequired[str | None]


class BudgetList(TypedDict):
    items: list[Budget]
    next: str | None


class BudgetUpdate(TypedDict):
    """
    Only the fields that are sent change.
    """

    amount_usd: NotRequired[str]
    on_failure: NotRequired[Literal['open', 'closed']]
    output_tokens: NotRequired[int]
    soft_percent: NotRequired[int]


class CatalogModel(TypedDict):
    cached_usd: str | None
    can: list[str]
    context: int | None
    input_usd: str | None
    kind: str | None
    model: str
    name: str | None
    output_usd: str | None
    provider: str


class CatalogModelList(TypedDict):
    items: list[CatalogModel]
    next: str | None
    source: str


class Checkpoint(TypedDict):
    """
    A signed statement that the row `seq` of an org's chain had this hash.
    """

    count: int
    hash: str
    key_id: str
    org_id: str
    seq: int
    signature: str
    signed_at: str
    timestamp: str


class CheckpointList(TypedDict):
    items: list[Checkpoint]
    next: str | None


class Checks(TypedDict):
    archives: str
    audit: str
    database: str
    jobs: str
    partitions: str
    redis: str
    spend_rejects: str
    traces: str
    worker: str


class ConfigApply(TypedDict):
    expected: NotRequired[str | None]
    file: str
    prune: NotRequired[bool]
    secrets: NotRequired[dict[str, str]]


class ConfigCounts(TypedDict):
    create: int
    delete: int
    update: int


class ConfigDiff(TypedDict):
    file: str
    prune: NotRequired[bool]


class ConfigFile(TypedDict):
    file: str


class ConfigValue(TypedDict):
    after: Any
    before: Any


class FieldError(TypedDict):
    column: NotRequired[int | None]
    field: str
    line: NotRequired[int | None]
    message: str


class GivenCheckpoint(TypedDict):
    """
    A copy that was kept elsewhere.
    """

    count: int
    hash: str
    key_id: str
    org_id: str
    seq: int
    signature: str
    signed_at: str
    timestamp: str


class IssuedKey(TypedDict):
    allowed_ips: list[str] | None
    allowed_models: list[str] | None
    allowed_routes: list[str] | None
    created_at: str
    expires_at: str | None
    hint: str
    id: str
    key: str
    metadata: dict[str, Any]
    name: str
    owner: str | None
    previous_valid_until: str | None
    revoked_at: str | None
    state: Literal['active', 'expired', 'revoked']
    team: str
    team_id: str
    updated_at: str


class IssuedServiceAccount(TypedDict):
    created_at: str
    expires_at: str | None
    hint: str
    id: str
    last_login_at: str | None
    name: str
    org: str | None
    previous_valid_until: str | None
    revoked_at: str | None
    role: Literal['owner', 'admin', 'operator', 'approver', 'viewer']
    state: Literal['active', 'expired', 'revoked']
    token: str
    updated_at: str


class Key(TypedDict):
    allowed_ips: list[str] | None
    allowed_models: list[str] | None
    allowed_routes: list[str] | None
    created_at: str
    expires_at: str | None
    hint: str
    id: str
    metadata: dict[str, Any]
    name: str
    owner: str | None
    previous_valid_until: str | None
    revoked_at: str | None
    state: Literal['active', 'expired', 'revoked']
    team: str
    team_id: str
    updated_at: str


AllowedIp: TypeAlias = str


AllowedModel: TypeAlias = str


AllowedRoute: TypeAlias = str


class KeyCreate(TypedDict):
    allowed_ips: NotRequired[list[AllowedIp] | None]
    allowed_models: NotRequired[list[AllowedModel] | None]
    allowed_routes: NotRequired[list[AllowedRoute] | None]
    expires_at: NotRequired[str | None]
    expires_in: NotRequired[int | None]
    metadata: NotRequired[dict[str, Any] | None]
    name: str
    owner: NotRequired[str | None]
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

    allowed_ips: NotRequired[list[AllowedIp] | None]
    allowed_models: NotRequired[list[AllowedModel] | None]
    allowed_routes: NotRequired[list[AllowedRoute] | None]
    expires_at: NotRequired[str | None]
    expires_in: NotRequired[int | None]
    metadata: NotRequired[dict[str, Any] | None]
    name: NotRequired[str]
    owner: NotRequired[str | None]


class License(TypedDict):
    company: str | None
    customer_email: str | None
    days_remaining: int | None
    error: str | None
    expired: bool
    expires_at: str | None
    features: dict[str, bool | int | None]
    issued_at: str | None
    present: bool
    tier: Literal['trial', 'team', 'business', 'enterprise'] | None
    valid: bool


class LicenseActivate(TypedDict):
    license_key: str


class LicenseActivation(TypedDict):
    activated_at: str
    activated_by: str
    company: str
    customer_email: str
    expires_at: str
    features: dict[str, bool | int | None]
    id: str
    issued_at: str
    issuer: str
    license_id: str
    source: str
    state: Literal['active', 'superseded']
    superseded_at: str | None
    tier: str


class LicenseActivationList(TypedDict):
    items: list[LicenseActivation]
    next: str | None


class LimitCreate(TypedDict):
    """
    A scope needs the fields that it names: team, key, user, model; team+model needs both; global none.
    """

    burst: NotRequired[int | None]
    concurrency: NotRequired[int | None]
    key: NotRequired[str | None]
    model: NotRequired[str | None]
    on_failure: NotRequired[Literal['open', 'closed']]
    rpd: NotRequired[int | None]
    rpm: NotRequired[int | None]
    scope: Literal['global', 'team', 'key', 'user', 'model', 'team+model']
    team: NotRequired[str | None]
    tpd: NotRequired[int | None]
    tpm: NotRequired[int | None]
    user: NotRequired[str | None]


class LimitUpdate(TypedDict):
    """
    Only the fields that are sent change; null takes a rate away.
    """

    burst: NotRequired[int | None]
    concurrency: NotRequired[int | None]
    on_failure: NotRequired[Literal['open', 'closed']]
    rpd: NotRequired[int | None]
    rpm: NotRequired[int | None]
    tpd: NotRequired[int | None]
    tpm: NotRequired[int | None]


class Login(TypedDict):
    """
    One of: the master key; somebody's address of mail and password; the token of a service account.
    """

    device_token: NotRequired[str | None]
    email: NotRequired[str | None]
    master_key: NotRequired[str | None]
    password: NotRequired[str | None]
    service_token: NotRequired[str | None]


class Me(TypedDict):
    """
    Whose session this is and what it may do.
    """

    email: str | None
    expires_at: str | None
    id: str
    kind: str
    method: str | None
    org: str | None
    permissions: list[str]
    role: Literal['owner', 'admin', 'operator', 'approver', 'viewer']
    session_id: str | None


class ModelPrice(TypedDict):
    """
    Nano-USD per token: 1 is 0.001 USD per million tokens.
    """

    cached_nano: int | None
    input_nano: int
    output_nano: int


class Org(TypedDict):
    created_at: str
    id: str
    name: str
    time_zone: str
    updated_at: str


class OrgCreate(TypedDict):
    name: str
    time_zone: NotRequired[str]


class OrgList(TypedDict):
    items: list[Org]
    next: str | None


class OrgUpdate(TypedDict):
    """
    Only the fields that are sent change.
    """

    name: NotRequired[str]
    time_zone: NotRequired[str]


class PasswordChange(TypedDict):
    current_password: str
    new_password: str


class Preset(TypedDict):
    api_key: Literal['required', 'optional', 'none']
    base_url: str | None
    base_url_example: str | None
    example_model: str
    key: str
    kind: str
    name: str
    needs: list[str]
    others: bool
    settings: dict[str, Any]
    title: str


class PresetList(TypedDict):
    items: list[Preset]
    next: str | None


class Price(TypedDict):
    """
    Nano-USD per token: 1 is 0.001 USD per million tokens.
    """

    cached_nano: NotRequired[int | None]
    input_nano: int
    output_nano: int


class ProbeError(TypedDict):
    code: str
    hint: str | None
    message: str


class Problem(TypedDict):
    """
    An error (RFC 9457).
    """

    code: str
    detail: str
    errors: NotRequired[list[FieldError]]
    hint: str | None
    request_id: str
    status: int
    title: str
    type: str


class Provider(TypedDict):
    api_key_hint: str | None
    base_url: str | None
    created_at: str
    id: str
    keys: int
    kind: Literal['openai', 'anthropic', 'litellm', 'sim']
    models: list[str]
    name: str
    settings: dict[str, Any]
    simulated: bool
    updated_at: str


class ProviderCreate(TypedDict):
    api_key: NotRequired[str | None]
    base_url: NotRequired[str | None]
    kind: Literal['openai', 'anthropic', 'sim', 'azure', 'gemini', 'vertex', 'bedrock', 'xai', 'deepseek', 'mistral', 'groq', 'together', 'ollama', 'vllm', 'litellm']
    name: str
    settings: NotRequired[dict[str, Any] | None]


class ProviderKey(TypedDict):
    created_at: str
    hint: str
    id: str


class ProviderKeyCreate(TypedDict):
    api_key: str


class ProviderKeyList(TypedDict):
    items: list[ProviderKey]
    next: str | None


class ProviderList(TypedDict):
    items: list[Provider]
    next: str | None


class ProviderUpdate(TypedDict):
    """
    Only the fields that are sent change; `settings` is merged, and null sets one back to its default.
    """

    api_key: NotRequired[str | None]
    base_url: NotRequired[str | None]
    name: NotRequired[str]
    settings: NotRequired[dict[str, Any] | None]


class RateLimit(TypedDict):
    burst: int | None
    concurrency: int | None
    created_at: str
    id: str
    key: str | None
    model: str | None
    on_failure: Literal['open', 'closed']
    rpd: int | None
    rpm: int | None
    scope: Literal['global', 'team', 'key', 'user', 'model', 'team+model']
    team: str | None
    tpd: int | None
    tpm: int | None
    updated_at: str
    user: str | None


class RateLimitList(TypedDict):
    items: list[RateLimit]
    next: str | None


class Refresh(TypedDict):
    refresh_token: str


class RoleInfo(TypedDict):
    description: str
    name: Literal['owner', 'admin', 'operator', 'approver', 'viewer']
    permissions: list[str]
    permissions_in_org: list[str]


class RoleList(TypedDict):
    items: list[RoleInfo]
    next: str | None


class Schema(TypedDict):
    current: str | None
    expected: str


class ServiceAccount(TypedDict):
    created_at: str
    expires_at: str | None
    hint: str
    id: str
    last_login_at: str | None
    name: str
    org: str | None
    previous_valid_until: str | None
    revoked_at: str | None
    role: Literal['owner', 'admin', 'operator', 'approver', 'viewer']
    state: Literal['active', 'expired', 'revoked']
    updated_at: str


class ServiceAccountCreate(TypedDict):
    expires_at: NotRequired[str | None]
    expires_in: NotRequired[int | None]
    name: str
    org: NotRequired[str | None]
    role: Literal['owner', 'admin', 'operator', 'approver', 'viewer']


class ServiceAccountList(TypedDict):
    items: list[ServiceAccount]
    next: str | None


class ServiceAccountRotate(TypedDict):
    overlap_seconds: NotRequired[int]


class ServiceAccountUpdate(TypedDict):
    """
    Only the fields that are sent change; null lets the token live for ever.
    """

    expires_at: NotRequired[str | None]
    expires_in: NotRequired[int | None]
    name: NotRequired[str]
    role: NotRequired[Literal['owner', 'admin', 'operator', 'approver', 'viewer']]


class Session(TypedDict):
    access_token: str
    device_token: NotRequired[str | None]
    expires_in: int
    refresh_token: str
    session_expires_in: int
    token_type: NotRequired[Literal['bearer']]


class Setting(TypedDict):
    default: Any
    description: str
    key: str
    updated_at: str | None
    value: Any


class SettingList(TypedDict):
    items: list[Setting]
    next: str | None


class SettingPut(TypedDict):
    value: Any


class Shipment(TypedDict):
    """
    A place off the host that checkpoints go to.
    """

    behind: int
    error: str | None
    failing_since: str | None
    shipped_at: str | None
    target: str


class ShipmentList(TypedDict):
    items: list[Shipment]
    next: NotRequired[str | None]


class SignedOut(TypedDict):
    sessions: int


class SsoBegun(TypedDict):
    authorization_url: str
    expires_in: int
    flow_token: str
    state: str


class SsoCallback(TypedDict):
    """
    What the provider sent the browser back with, and the token of the beginning.
    """

    code: NotRequired[str | None]
    error: NotRequired[str | None]
    error_description: NotRequired[str | None]
    flow_token: str
    iss: NotRequired[str | None]
    state: str


class SsoDeviceBegun(TypedDict):
    expires_in: int
    flow_token: str
    interval: int
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None


class SsoDevicePoll(TypedDict):
    flow_token: str


RedirectUri: TypeAlias = str


Scope: TypeAlias = str


class SsoRule(TypedDict):
    """
    Who is in the group has the role, in one org or in the whole install.
    """

    group: str
    org: NotRequired[str | None]
    role: Literal['owner', 'admin', 'operator', 'approver', 'viewer']


class SsoRuleShown(TypedDict):
    group: str
    org: str | None
    role: Literal['owner', 'admin', 'operator', 'approver', 'viewer']


class SsoSettings(TypedDict):
    ca_bundle: str | None
    client_id: str
    default_role: Literal['owner', 'admin', 'operator', 'approver', 'viewer'] | None
    groups_claim: str
    has_client_secret: bool
    issuer: str
    redirect_uris: list[str]
    rules: list[SsoRuleShown]
    scopes: list[str]
    updated_at: str


class SsoStart(TypedDict):
    redirect_uri: str


class Team(TypedDict):
    created_at: str
    id: str
    name: str
    org: str
    unit: str | None
    updated_at: str


class TeamCreate(TypedDict):
    name: str
    org: NotRequired[str | None]
    unit: NotRequired[str | None]


class TeamList(TypedDict):
    items: list[Team]
    next: str | None


class TeamUpdate(TypedDict):
    """
    Only the fields that are sent change; a `unit` of null takes the team out of its unit.
    """

    name: NotRequired[str]
    unit: NotRequired[str | None]


class Unit(TypedDict):
    created_at: str
    id: str
    name: str
    org: str
    updated_at: str


class UnitCreate(TypedDict):
    name: str
    org: NotRequired[str | None]


class UnitList(TypedDict):
    items: list[Unit]
    next: str | None


class UnitUpdate(TypedDict):
    """
    Only the fields that are sent change.
    """

    name: NotRequired[str]


class UsageBefore(TypedDict):
    cost_usd: str
    requests: int


class UsageChange(TypedDict):
    """
    Now less before; a percentage is null where there was nothing before.
    """

    cost_percent: float | None
    cost_usd: str
    requests: int
    requests_percent: float | None


class UsageItem(TypedDict):
    """
    Only the dimensions that were asked for are present; null where a request had none.
    """

    before: NotRequired[UsageBefore | None]
    change: NotRequired[UsageChange | None]
    cost_usd: str
    day: NotRequired[str | None]
    errors: int
    key: NotRequired[str | None]
    key_id: NotRequired[str | None]
    model: NotRequired[str | None]
    org: NotRequired[str | None]
    org_id: NotRequired[str | None]
    provider: NotRequired[str | None]
    requests: int
    requests_simulated: int
    requests_unpriced: int
    route: NotRequired[str | None]
    simulated: bool
    team: NotRequired[str | None]
    team_id: NotRequired[str | None]
    tokens_cached: int
    tokens_in: int
    tokens_out: int
    unit: NotRequired[str | None]
    unit_id: NotRequired[str | None]
    user: NotRequired[str | None]


class UsagePeriod(TypedDict):
    complete: bool
    since: str
    until: str


class UsageTotal(TypedDict):
    before: NotRequired[UsageBefore | None]
    change: NotRequired[UsageChange | None]
    cost_usd: str
    errors: int
    requests: int
    requests_simulated: int
    requests_unpriced: int
    simulated: bool
    tokens_cached: int
    tokens_in: int
    tokens_out: int


class User(TypedDict):
    created_at: str
    email: str
    has_password: bool
    id: str
    last_login_at: str | None
    name: str | None
    org: str | None
    role: Literal['owner', 'admin', 'operator', 'approver', 'viewer']
    sso: bool
    state: Literal['active', 'disabled']
    updated_at: str


class UserCreate(TypedDict):
    email: str
    name: NotRequired[str | None]
    org: NotRequired[str | None]
    password: NotRequired[str | None]
    role: Literal['owner', 'admin', 'operator', 'approver', 'viewer']


class UserList(TypedDict):
    items: list[User]
    next: str | None


class UserUpdate(TypedDict):
    """
    Only the fields that are sent change.
    """

    disabled: NotRequired[bool]
    name: NotRequired[str | None]
    org: NotRequired[str | None]
    password: NotRequired[str]
    role: NotRequired[Literal['owner', 'admin', 'operator', 'approver', 'viewer']]


Key1: TypeAlias = str


Verify = TypedDict(
    'Verify',
    {
        'checkpoints': NotRequired[list[GivenCheckpoint]],
        'from': NotRequired[str | None],
        'keys': NotRequired[list[Key1]],
        'to': NotRequired[str | None],
    },
    closed=True,
)


class ConfigChange(TypedDict):
    action: Literal['create', 'update', 'delete']
    fields: dict[str, ConfigValue]
    line: int | None
    name: str
    noun: str
    section: str


class ConfigDrift(TypedDict):
    applied: bool
    applied_at: str | None
    applied_by: str | None
    changes: list[ConfigChange]
    drifted_since: str | None
    objects: int | None
    pruned: bool | None
    sha256: str | None


class ConfigPlan(TypedDict):
    changes: list[ConfigChange]
    counts: ConfigCounts
    digest: str
    missing: list[str]
    secrets: list[str]


class Health(TypedDict):
    checks: Checks
    schema: Schema
    status: Literal['ok', 'degraded']
    version: str


class Model(TypedDict):
    breaker: NotRequired[Breaker | None]
    created_at: str
    id: str
    kind: Literal['chat', 'embedding'] | None
    name: str
    price: ModelPrice | None
    price_source: Literal['operator', 'catalogue', 'simulated', 'unknown']
    provider: str
    rpm: int | None
    tpm: int | None
    updated_at: str
    upstream_model: str


class ModelCreate(TypedDict):
    kind: NotRequired[Literal['chat', 'embedding'] | None]
    name: str
    price: NotRequired[Price | None]
    provider: NotRequired[str | None]
    rpm: NotRequired[int | None]
    tpm: NotRequired[int | None]
    upstream_model: NotRequired[str | None]


class ModelList(TypedDict):
    items: list[Model]
    next: str | None


class ModelUpdate(TypedDict):
    """
    Only the fields that are sent change; null clears `kind`, `price`, `rpm` or `tpm`.
    """

    kind: NotRequired[Literal['chat', 'embedding'] | None]
    name: NotRequired[str]
    price: NotRequired[Price | None]
    rpm: NotRequired[int | None]
    tpm: NotRequired[int | None]
    upstream_model: NotRequired[str]


class Probe(TypedDict):
    error: ProbeError | None
    latency_ms: int
    model: str | None
    ok: bool
    reply: str | None


class SsoPut(TypedDict):
    """
    Replaces what is set; without `client_secret` the one before stays for the same issuer and client.
    """

    ca_bundle: NotRequired[str | None]
    client_id: str
    client_secret: NotRequired[str | None]
    default_role: NotRequired[Literal['owner', 'admin', 'operator', 'approver', 'viewer'] | None]
    groups_claim: NotRequired[str]
    issuer: str
    redirect_uris: NotRequired[list[RedirectUri]]
    rules: NotRequired[list[SsoRule]]
    scopes: NotRequired[list[Scope]]


class UsageReport(TypedDict):
    before: NotRequired[UsagePeriod | None]
    items: list[UsageItem]
    next: str | None
    since: str
    total: UsageTotal
    until: str
    zone: str
