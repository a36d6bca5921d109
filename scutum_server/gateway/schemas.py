"""Bodies of the routes for providers, models, aliases and settings."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr

from scutum_server.schemas import SORT, Answer, Body, ListQuery, NameFilter, Time

Name = Annotated[str, Field(min_length=1, max_length=200)]
Url = Annotated[str, Field(max_length=2000, description="With /v1 for the kind openai, without for anthropic.")]
Secret = Annotated[SecretStr, Field(max_length=16384, description="Kept encrypted; never shown again.")]
Settings = Annotated[
    dict[str, Any], Field(description="Time-outs, CA bundle and what the kind has, or the simulator's dials.")
]
Nano = Annotated[int, Field(ge=0, le=10**12)]


PresetName = Literal[
    "openai", "anthropic", "sim", "azure", "gemini", "vertex", "bedrock", "xai", "deepseek", "mistral", "groq",
    "together", "ollama", "vllm", "litellm",
]  # fmt: skip
Strategy = Literal["ordered", "weighted", "least-busy", "lowest-latency", "cheapest", "usage-based"]
PerMinute = Annotated[int, Field(ge=1, le=10**12)]
Milliseconds = Annotated[int, Field(ge=1, le=3_600_000)]
Weight = Annotated[int, Field(ge=0, le=1000)]


ByName = Annotated[Literal["created_at", "-created_at", "name", "-name"], Field(description=SORT)]


class ProviderQuery(ListQuery):
    sort: ByName = "created_at"
    name: NameFilter = None
    kind: Literal["openai", "anthropic", "litellm", "sim"] | None = None


class ModelQuery(ListQuery):
    sort: ByName = "created_at"
    name: NameFilter = None
    provider: Annotated[str | None, Field(max_length=200, description="Id or name of a provider.")] = None
    kind: Literal["chat", "embedding"] | None = None


class AliasQuery(ListQuery):
    sort: Annotated[Literal["name", "-name"], Field(description=SORT)] = "name"
    name: NameFilter = None


class SettingQuery(ListQuery):
    sort: Annotated[Literal["key", "-key"], Field(description=SORT)] = "key"
    key: NameFilter = None


class ProviderCreate(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "local", "kind": "openai", "base_url": "http://127.0.0.1:8000/v1", "api_key": "sk-…"}]
        }
    )

    name: Name
    kind: Annotated[PresetName, Field(description="A preset's name; see GET /provider-presets.")]
    base_url: Url | None = None
    api_key: Secret | None = None
    settings: Settings | None = None


class ProviderUpdate(Body):
    """Only the fields that are sent change; `settings` is merged, and null sets one back to its default."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"settings": {"latency_ms": 200}}]})

    name: Name = Field(default="", min_length=1, max_length=200)
    base_url: Url | None = None
    api_key: Annotated[Secret | None, Field(description="Null removes the key.")] = None
    settings: Settings | None = None


class Provider(Answer):
    id: str
    name: str
    kind: Literal["openai", "anthropic", "litellm", "sim"]
    base_url: str | None
    api_key_hint: Annotated[str | None, Field(description="Beginning and end of the key, or null without one.")]
    settings: Annotated[dict[str, Any], Field(description="What the operator has set; the rest is default.")]
    models: Annotated[list[str], Field(description="Names of the models that it serves.")]
    keys: Annotated[int, Field(description="How many keys its calls are shared out between.")]
    simulated: bool
    created_at: Time
    updated_at: Time


class ProviderList(Answer):
    items: list[Provider]
    next: str | None


class ProviderKeyCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"api_key": "sk-…"}]})

    api_key: Secret


class ProviderKey(Answer):
    id: str
    hint: Annotated[str, Field(description="Beginning and end of the key.")]
    created_at: Time


class ProviderKeyList(Answer):
    items: list[ProviderKey]
    next: str | None


class Preset(Answer):
    name: Annotated[str, Field(description="For `kind` when a provider is added.")]
    title: str
    kind: str
    base_url: Annotated[str | None, Field(description="Null: the vendor's own, unless `needs` names it.")]
    base_url_example: str | None
    needs: Annotated[list[str], Field(description="What must be given beside the key: `base_url`, or a setting.")]
    api_key: Literal["required", "optional", "none"]
    key: Annotated[str, Field(description="What is taken as a key, in words.")]
    others: Annotated[bool, Field(description="Other servers speak this too; with their base_url no key is required.")]
    settings: dict[str, Any]
    example_model: str


class PresetList(Answer):
    items: list[Preset]
    next: str | None


class CatalogModel(Answer):
    provider: Annotated[str, Field(description="A preset's name where there is one.")]
    model: Annotated[str, Field(description="For `upstream_model`.")]
    name: str | None
    kind: Annotated[str | None, Field(description="chat, embedding, image, …; null when it is not known.")]
    can: Annotated[list[str], Field(description="tools, vision, schema, reasoning, audio; empty when not known.")]
    context: Annotated[int | None, Field(description="Tokens that fit in.")]
    input_usd: Annotated[str | None, Field(description="US dollars per million tokens.")]
    cached_usd: str | None
    output_usd: str | None


class CatalogModelList(Answer):
    items: list[CatalogModel]
    next: str | None
    source: Annotated[str, Field(description="The price list and its version.")]


class ProbeError(Answer):
    code: str
    message: str
    hint: str | None


class Probe(Answer):
    ok: bool
    latency_ms: int
    model: Annotated[str | None, Field(description="The model that was called; null when its list was asked for.")]
    reply: str | None
    error: ProbeError | None


class Price(Body):
    """Nano-USD per token: 1 is 0.001 USD per million tokens."""

    model_config = ConfigDict(from_attributes=True)

    input_nano: Nano
    output_nano: Nano
    cached_nano: Nano | None = None


class ModelPrice(Answer):
    """Nano-USD per token: 1 is 0.001 USD per million tokens."""

    input_nano: int
    output_nano: int
    cached_nano: int | None


class ModelCreate(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "gpt-5-mini", "provider": "openai", "kind": "chat"}]}
    )

    name: Annotated[Name, Field(description="What clients send as `model`.")]
    provider: Annotated[
        Name | None, Field(description="Id or name; default: the one provider that the catalogue lists the model for.")
    ] = None
    upstream_model: Annotated[Name | None, Field(description="The provider's name for it; default: the same.")] = None
    kind: Literal["chat", "embedding"] | None = None
    price: Annotated[Price | None, Field(description="Overrides the catalogue.")] = None
    rpm: Annotated[PerMinute | None, Field(description="Requests that the provider takes of it a minute.")] = None
    tpm: Annotated[PerMinute | None, Field(description="Tokens that the provider takes of it a minute.")] = None


class ModelUpdate(Body):
    """Only the fields that are sent change; null clears `kind`, `price`, `rpm` or `tpm`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"price": {"input_nano": 250, "output_nano": 2000}}]})

    name: Name = Field(default="", min_length=1, max_length=200)
    upstream_model: Name = Field(default="", min_length=1, max_length=200)
    kind: Literal["chat", "embedding"] | None = None
    price: Price | None = None
    rpm: PerMinute | None = None
    tpm: PerMinute | None = None


class Breaker(Answer):
    """Half-open waits for a request to try whether the provider is well again."""

    state: Literal["closed", "open", "half-open"]
    retry_at: Time | None
    reason: Annotated[str | None, Field(description="The last failure, as x-scutum-attempts names it.")]


class Model(Answer):
    id: str
    name: str
    provider: str
    upstream_model: str
    kind: Literal["chat", "embedding"] | None
    price: ModelPrice | None
    rpm: int | None
    tpm: int | None
    price_source: Annotated[
        Literal["operator", "catalogue", "simulated", "unknown"],
        Field(description="Who says what it costs. Requests of an unknown price cost 0, and no budget holds them."),
    ]
    created_at: Time
    updated_at: Time
    breaker: Annotated[Breaker | None, Field(description="Its circuit breaker; null when Redis cannot be asked.")] = (
        None
    )


class ModelList(Answer):
    items: list[Model]
    next: str | None


class AliasPut(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"targets": ["gpt-5-mini", "sim"]}]})

    targets: Annotated[list[Name], Field(min_length=1, max_length=50, description="Names of models, best first.")]
    strategy: Annotated[Strategy, Field(description="Which of their deployments is asked first.")] = "ordered"
    weights: Annotated[
        list[Weight] | None, Field(min_length=1, max_length=50, description="For weighted: one per target.")
    ] = None
    retries: Annotated[int, Field(ge=0, le=10, description="More tries at one that failed in a passing way.")] = 1
    first_byte_ms: Annotated[Milliseconds | None, Field(description="For each try, to its first byte.")] = None
    total_ms: Annotated[Milliseconds | None, Field(description="For the request, with all tries.")] = None


class Alias(Answer):
    name: str
    targets: list[str]
    strategy: Strategy
    weights: list[int] | None
    retries: int
    first_byte_ms: int | None
    total_ms: int | None
    automatic: Annotated[bool, Field(description="Its targets are chosen by price and ability until one sets them.")]
    resolves_to: Annotated[str | None, Field(description="The first target that exists.")]
    updated_at: Time


class AliasList(Answer):
    items: list[Alias]
    next: str | None


class SettingPut(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"value": 90}]})

    value: Any


class Setting(Answer):
    key: str
    value: Any
    default: Any
    description: str
    updated_at: Time | None


class SettingList(Answer):
    items: list[Setting]
    next: str | None
