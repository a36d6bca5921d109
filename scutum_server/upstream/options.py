"""What an operator may set per provider, by kind: the shape of `providers.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

Millis = Annotated[int, Meta(ge=0, le=3_600_000)]
Rate = Annotated[float, Meta(ge=0.0, le=1.0)]
Timeout = Annotated[int, Meta(ge=1, le=3_600_000)]

ErrorKind = Literal["rate_limit", "server_error", "overloaded", "timeout", "truncated", "garbage", "refused"]
Shape = Literal["normal", "tools", "changed"]


class Timeouts(Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds: to connect, to the first byte of the answer, between two pieces of a stream, for the whole call."""

    connect_ms: Timeout = 5_000
    first_byte_ms: Timeout = 120_000
    idle_ms: Timeout = 120_000
    total_ms: Timeout = 600_000


class OpenAIOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenAI-compatible server; `ca_bundle` is a PEM file for servers with a private authority."""

    timeouts: Timeouts = Timeouts()
    ca_bundle: str | None = None


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


OPTIONS: dict[str, type[OpenAIOptions | SimOptions]] = {"openai": OpenAIOptions, "sim": SimOptions}


def parse_options(kind: str, settings: object) -> OpenAIOptions | SimOptions:
    """The settings of a provider of that kind; raises msgspec.ValidationError naming the wrong field."""
    return msgspec.convert(settings, OPTIONS[kind])
