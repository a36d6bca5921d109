"""What an operator may set per provider, by kind: the shape of `providers.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

Millis = Annotated[int, Meta(ge=0, le=3_600_000)]
Rate = Annotated[float, Meta(ge=0.0, le=1.0)]
Timeout = Annotated[int, Meta(ge=1, le=3_600_000)]
ApiVersion = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.\-]{1,40}$")]

ErrorKind = Literal["rate_limit", "server_error", "overloaded", "timeout", "truncated", "garbage", "refused"]
Strategy = Literal["ordered", "weighted", "least-busy", "lowest-latency", "cheapest", "usage-based"]
Weight = Annotated[int, Meta(ge=0, le=1000)]
Shape = Literal["normal", "tools", "changed"]


class Timeouts(Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds: to connect, to the first byte of the answer, between two pieces of a stream, for the whole call."""

    connect_ms: Timeout = 5_000
    first_byte_ms: Timeout = 120_000
    idle_ms: Timeout = 120_000
    total_ms: Timeout = 600_000


class BreakerOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """A deployment rests for `cooldown_ms` after `failures` failed calls within `window_ms`, if half of all failed."""

    failures: Annotated[int, Meta(ge=1, le=10_000)] = 5
    window_ms: Timeout = 30_000
    cooldown_ms: Timeout = 15_000


class Routing(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an alias goes about its targets: the shape of `aliases.settings`.

    `weights` has one number per target. `retries` counts further tries at a deployment that failed in a passing way.
    `first_byte_ms` holds for each try, `total_ms` for the whole request with all its tries. The targets of one that is
    `automatic` are chosen anew whenever models come or go; an operator who sets it ends that.
    """

    strategy: Strategy = "ordered"
    weights: tuple[Weight, ...] | None = None
    retries: Annotated[int, Meta(ge=0, le=10)] = 1
    first_byte_ms: Timeout | None = None
    total_ms: Timeout | None = None
    automatic: bool = False


class HttpOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """A server that is called over HTTP; `ca_bundle` is a PEM file for servers with a private authority.

    `proxy` is http://[USER@]HOST[:PORT] of a forward proxy, or `direct` for none whatever the gateway's own is.
    `proxy_secret` is that user's password, wrapped and in base64; no answer of the admin API has it.
    """

    timeouts: Timeouts = Timeouts()
    ca_bundle: str | None = None
    breaker: BreakerOptions = BreakerOptions()
    proxy: str | None = None
    proxy_secret: str | None = None


class OpenAIOptions(HttpOptions, frozen=True, forbid_unknown_fields=True):
    """An OpenAI-compatible server; `responses` says whether it has the Responses API: unset, OpenAI's own has it.

    With `api_version` it is Azure's: the URL names the deployment and the version, and the key is a header `api-key`.
    """

    responses: Literal["native", "translate"] | None = None
    api_version: ApiVersion | None = None


class AnthropicOptions(HttpOptions, frozen=True, forbid_unknown_fields=True):
    """A server of Anthropic's format; `max_tokens` bounds answers to OpenAI clients that set no bound of their own.

    `structured_output` says how a JSON schema for the answer is told: in the field for it, or as a tool whose input is
    the answer; unset, Anthropic's own servers have the field.
    """

    structured_output: Literal["native", "tool"] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] = 4096


class LiteLLMOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """A provider that the `litellm` library knows as `vendor`; `region` and `project` are for clouds that have them."""

    vendor: Annotated[str, Meta(pattern=r"^[a-z0-9_\-]{1,64}$")]
    region: Annotated[str, Meta(pattern=r"^[a-z0-9\-]{1,64}$")] | None = None
    project: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:\-]{1,128}$")] | None = None
    timeouts: Timeouts = Timeouts()
    breaker: BreakerOptions = BreakerOptions()


class SimOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The simulator's dials. `error_rate` is the share of calls that fail with `error_kind`."""

    latency_ms: Millis = 0
    ttft_ms: Millis = 0
    chunk_ms: Millis = 0
    error_rate: Rate = 0.0
    error_kind: ErrorKind = "server_error"
    shape: Shape = "normal"
    completion_tokens: Annotated[int, Meta(ge=1, le=100_000)] = 32
    seed: int = 0
    breaker: BreakerOptions = BreakerOptions()


Options = OpenAIOptions | AnthropicOptions | LiteLLMOptions | SimOptions
OPTIONS: dict[str, type[Options]] = {
    "openai": OpenAIOptions,
    "anthropic": AnthropicOptions,
    "litellm": LiteLLMOptions,
    "sim": SimOptions,
}


def parse_options(kind: str, settings: object) -> Options:
    """The settings of a provider of that kind; raises msgspec.ValidationError naming the wrong field."""
    return msgspec.convert(settings, OPTIONS[kind])
