"""Bodies of the routes for providers, models, aliases and settings."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr

from scutum_server.schemas import Answer, Body, Time

Name = Annotated[str, Field(min_length=1, max_length=200)]
Url = Annotated[str, Field(max_length=2000, description="With /v1 for the kind openai, without for anthropic.")]
Secret = Annotated[SecretStr, Field(max_length=8192, description="Kept encrypted; never shown again.")]
Settings = Annotated[
    dict[str, Any], Field(description="Time-outs, CA bundle and what the kind has, or the simulator's dials.")
]
Nano = Annotated[int, Field(ge=0, le=10**12)]


class ProviderCreate(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "local", "kind": "openai", "base_url": "http://127.0.0.1:8000/v1", "api_key": "sk-…"}]
        }
    )

    name: Name
    kind: Literal["openai", "anthropic", "sim"]
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
    kind: Literal["openai", "anthropic", "sim"]
    base_url: str | None
    api_key_hint: Annotated[str | None, Field(description="Beginning and end of the key, or null without one.")]
    settings: Annotated[dict[str, Any], Field(description="What the operator has set; the rest is default.")]
    models: Annotated[list[str], Field(description="Names of the models that it serves.")]
    simulated: bool
    created_at: Time


class ProviderList(Answer):
    items: list[Provider]
    next: str | None


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
    provider: Annotated[Name, Field(description="Id or name.")]
    upstream_model: Annotated[Name | None, Field(description="The provider's name for it; default: the same.")] = None
    kind: Literal["chat", "embedding"] | None = None
    price: Annotated[Price | None, Field(description="Overrides the catalogue.")] = None


class ModelUpdate(Body):
    """Only the fields that are sent change; null clears `kind` or `price`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"price": {"input_nano": 250, "output_nano": 2000}}]})

    name: Name = Field(default="", min_length=1, max_length=200)
    upstream_model: Name = Field(default="", min_length=1, max_length=200)
    kind: Literal["chat", "embedding"] | None = None
    price: Price | None = None


class Model(Answer):
    id: str
    name: str
    provider: str
    upstream_model: str
    kind: Literal["chat", "embedding"] | None
    price: ModelPrice | None
    created_at: Time


class ModelList(Answer):
    items: list[Model]
    next: str | None


class AliasPut(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"targets": ["gpt-5-mini", "sim"]}]})

    targets: Annotated[list[Name], Field(min_length=1, max_length=50, description="Names of models, best first.")]


class Alias(Answer):
    name: str
    targets: list[str]
    resolves_to: Annotated[str | None, Field(description="The first target that exists.")]


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
