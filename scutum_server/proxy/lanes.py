"""From a provider's row to the lane that calls it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from scutum_server.errors import ScutumError, UpstreamError
from scutum_server.infra.crypto import SecretBox
from scutum_server.proxy.config.snapshot import Row
from scutum_server.proxy.keyring import KeyRing, Lane, Reply, Sending
from scutum_server.upstream import native, openai
from scutum_server.upstream.anthropic import AnthropicLane
from scutum_server.upstream.litellm import LiteLLMLane, LiteLLMProcess
from scutum_server.upstream.native import ProviderMisconfigured, Traits
from scutum_server.upstream.openai import OpenAILane
from scutum_server.upstream.options import (
    AnthropicOptions,
    OpenAIOptions,
    Options,
    SimOptions,
    parse_options,
)
from scutum_server.upstream.simulator import Simulator
from scutum_server.upstream.transport import Transport
from scutum_server.wire.body import ANYTHING, decode

log = logging.getLogger(__name__)


class BrokenLane:
    """A provider that cannot be called: every call says why, and the rest of the gateway works on."""

    traits = Traits(paths=openai.PATHS)

    def __init__(self, error: UpstreamError) -> None:
        self._error = error

    async def call(self, *_: object, **__: object) -> Reply:
        raise ProviderMisconfigured(self._error.detail, code=self._error.code)

    ask = call

    async def upload(self, *_: object, **__: object) -> Sending:
        raise ProviderMisconfigured(self._error.detail, code=self._error.code)


_NOT_SIMULATED: Final = "The simulator has no such route."


class SimReply:
    """The simulator's answer in the shape of a provider's."""

    def __init__(self, status: int, body: bytes | AsyncIterator[bytes]) -> None:
        self.status = status
        self._body = body
        self._ready = asyncio.Event()
        self._stopped = False

    def header(self, name: bytes) -> bytes | None:
        if name == b"content-type":
            return b"application/json" if isinstance(self._body, bytes) else b"text/event-stream"
        return b"1" if name == b"retry-after" and self.status == 429 else None

    async def body(self, limit: int) -> bytes:
        if isinstance(self._body, bytes):
            return self._body
        return b"".join([chunk async for chunk in self._body])[:limit]

    async def pump(self, feed: Callable[[bytes], bool]) -> None:
        if isinstance(self._body, bytes):
            feed(self._body)
            return
        async for chunk in self._body:
            self._ready.clear()
            more = feed(chunk)
            if self._stopped:
                return
            if not more:
                await self._ready.wait()

    def resume(self) -> None:
        self._ready.set()

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self._stopped = True


class SimLane:
    """Calls the simulator inside this process."""

    traits = Traits(paths={native.CHAT: native.CHAT, native.EMBEDDINGS: native.EMBEDDINGS})

    def __init__(self, options: SimOptions) -> None:
        self._simulator = Simulator(options)

    async def call(self, path: str, body: bytes, *, stream: bool, fields: bytes = b"") -> Reply:  # noqa: ARG002
        request = decode(body, ANYTHING)
        if path == native.EMBEDDINGS:
            answer = await self._simulator.embeddings(request)
        else:
            answer = await self._simulator.chat(request, stream)
        return SimReply(answer.status, answer.body)

    async def ask(self, *_: object, **__: object) -> Reply:
        raise ProviderMisconfigured(_NOT_SIMULATED)

    async def upload(self, *_: object, **__: object) -> Sending:
        raise ProviderMisconfigured(_NOT_SIMULATED)


def _keys(row: Row, box: SecretBox) -> list[str | None]:
    """The provider's own key and its further ones; a single None when there is none."""
    wrapped = row["api_key_wrapped"]
    own = None if wrapped is None else box.unwrap(bytes(wrapped), row["id"])
    further = [
        box.unwrap(bytes(secret), key_id) for key_id, secret in zip(row["key_ids"], row["keys_wrapped"], strict=True)
    ]
    return [key for key in (own, *further) if key is not None] or [None]


def _lane(
    transport: Transport, litellm: LiteLLMProcess, base_url: str | None, key: str | None, options: Options
) -> Lane:
    if isinstance(options, SimOptions):
        return SimLane(options)
    if isinstance(options, OpenAIOptions):
        return OpenAILane(transport, base_url, key, options)
    if isinstance(options, AnthropicOptions):
        return AnthropicLane(transport, base_url, key, options)
    litellm.warm()
    return LiteLLMLane(litellm, base_url, key, options)


def lane_factory(transport: Transport, litellm: LiteLLMProcess, box: SecretBox) -> Callable[[Row], Lane]:
    """Makes lanes from rows of `providers`; a row that cannot be used gives a lane that says so."""

    def build(row: Row) -> Lane:
        try:
            options = parse_options(row["kind"], row["settings"])
            if isinstance(options, OpenAIOptions | AnthropicOptions) and options.proxy_secret is not None:
                options = replace(options, proxy_secret=box.unwrap_text(options.proxy_secret, f"{row['id']}/proxy"))
            lanes = [_lane(transport, litellm, row["base_url"], key, options) for key in _keys(row, box)]
            return lanes[0] if len(lanes) == 1 else KeyRing(lanes)
        except UpstreamError as error:
            reason = error
        except KeyError:
            reason = ProviderMisconfigured(f"Providers of kind {row['kind']} are not known to this release.")
        except (ScutumError, msgspec.ValidationError) as error:
            reason = ProviderMisconfigured("The provider's settings or key cannot be read by the gateway.")
            log.warning("provider %s: %s", row["id"], error)
        log.error("provider %s cannot be used: %s", row["id"], reason.detail)
        return BrokenLane(reason)

    return build
