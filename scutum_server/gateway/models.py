"""Providers, models (deployments), aliases and settings of the control plane."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from msgspec import Struct

from scutum_server.errors import Conflict, InvalidInput, NotFound
from scutum_server.upstream.options import Strategy

DEFAULT_BASE_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
ProviderKind = Literal["openai", "anthropic", "litellm", "sim"]
ModelKind = Literal["chat", "embedding"]
PriceSource = Literal["operator", "catalogue", "simulated", "unknown"]
PRIMARY = "primary"
"""The id of the key that is part of the provider itself."""


class Provider(Struct, frozen=True, kw_only=True):
    """An upstream account; its key is never here, only a hint at it. `settings` holds what the operator has set."""

    id: str
    name: str
    kind: ProviderKind
    base_url: str | None
    api_key_hint: str | None
    settings: dict[str, Any]
    models: list[str]
    keys: int
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def simulated(self) -> bool:
        return self.kind == "sim"


class ProviderKey(Struct, frozen=True, kw_only=True):
    """One of the keys between which a provider's calls are shared out."""

    id: str
    hint: str
    created_at: dt.datetime


class Price(Struct, frozen=True, kw_only=True):
    """Nano-USD per token; 1 nano-USD per token is 0.001 USD per million tokens."""

    input_nano: int
    output_nano: int
    cached_nano: int | None = None


class Model(Struct, frozen=True, kw_only=True):
    """A deployment: one callable model at one provider. A `price` of None asks the price catalogue.

    `rpm` and `tpm` are what the provider takes of it in a minute, for aliases with the strategy `usage-based`.
    """

    id: str
    name: str
    provider: str
    provider_id: str
    upstream_model: str
    kind: ModelKind | None
    price: Price | None
    rpm: int | None
    tpm: int | None
    created_at: dt.datetime
    updated_at: dt.datetime


class Breaker(Struct, frozen=True, kw_only=True):
    """`retry_at` and `reason` are set unless it is closed; half-open waits for a request to try."""

    state: Literal["closed", "open", "half-open"]
    retry_at: dt.datetime | None = None
    reason: str | None = None


class ModelState(Model, frozen=True, kw_only=True):
    """A model with its circuit breaker, None when Redis cannot be asked, and who says what it costs."""

    breaker: Breaker | None
    price_source: PriceSource


class Alias(Struct, frozen=True, kw_only=True):
    """`resolves_to` is the first target that exists, or None. The rest is `upstream.options.Routing`.

    `updated_at` is None only in one that is not stored yet.
    """

    name: str
    targets: list[str]
    strategy: Strategy
    weights: list[int] | None
    retries: int
    first_byte_ms: int | None
    total_ms: int | None
    automatic: bool
    resolves_to: str | None
    updated_at: dt.datetime | None = None


class Setting(Struct, frozen=True, kw_only=True):
    key: str
    value: Any
    default: Any
    description: str
    updated_at: dt.datetime | None


class Target(Struct, frozen=True, kw_only=True):
    """What a test call needs to know; `model` is None when the provider has none registered."""

    provider: Provider
    wrapped_key: bytes | None
    model: str | None
    upstream_model: str | None
    model_kind: ModelKind | None
    proxy_secret: str | None = None
    """The wrapped password for the provider's own forward proxy."""


class Failure(Struct, frozen=True):
    code: str
    message: str
    hint: str | None = None


class Probe(Struct, frozen=True, kw_only=True):
    """How a test call went; `latency_ms` covers connecting and the whole answer."""

    ok: bool
    latency_ms: int
    model: str | None
    reply: str | None = None
    error: Failure | None = None


class ProviderNotFound(NotFound):
    code = "provider_not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class AliasNotFound(NotFound):
    code = "alias_not_found"


class SettingNotFound(NotFound):
    code = "setting_not_found"


class ProviderKeyNotFound(NotFound):
    code = "provider_key_not_found"


class NameTaken(Conflict):
    code = "name_taken"


class ProviderInUse(Conflict):
    code = "provider_in_use"


class BadField(InvalidInput):
    code = "invalid_field"
