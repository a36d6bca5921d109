"""One cheap real call to a provider, and what its failure means in plain words."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from scutum_server import __version__
from scutum_server.errors import InvalidInput, UpstreamError
from scutum_server.gateway.models import Probe, Target
from scutum_server.gateway.outgoing import context
from scutum_server.gateway.probe_words import PROXY_HINT, TIMEOUT_HINT, CallError, explained, reply_of
from scutum_server.infra.crypto import DecryptError, SecretBox
from scutum_server.upstream.forward_proxy import ForwardProxy, Outgoing, refused
from scutum_server.upstream.litellm import LiteLLMLane, LiteLLMProcess, Place
from scutum_server.upstream.native import CHAT, EMBEDDINGS
from scutum_server.upstream.options import (
    HttpOptions,
    LiteLLMOptions,
    OpenAIOptions,
    SimOptions,
    Timeouts,
    parse_options,
)
from scutum_server.upstream.transport import Transport

LONGEST_MS = 30_000
"""A person waits for the answer: a test never uses a provider's full time-outs."""
_MAX_ANSWER = 4 * 1024 * 1024
_PROMPT = "Reply with the word ok."


class Simulate(Protocol):
    """Answers an OpenAI request of this kind (“chat”, “embedding”) in process: HTTP status and body."""

    async def __call__(self, options: SimOptions, kind: str, body: dict[str, Any]) -> tuple[int, bytes]: ...


class _Call(Struct, frozen=True):
    """`body` of None is a GET."""

    path: str
    body: dict[str, Any] | None


class Prober:
    """Makes the test call that fits a provider's kind and its first model."""

    def __init__(self, box: SecretBox, simulate: Simulate, outgoing: Outgoing, litellm: Place) -> None:
        self._box = box
        self._litellm = litellm
        self._simulate = simulate
        self._outgoing = outgoing

    async def probe(self, target: Target) -> Probe:
        """Never raises for what the provider does: the failure is in the result."""
        start, reply, failure = time.perf_counter(), None, None
        try:
            reply = await self._call(target)
        except CallError as error:
            failure = error.failure
        elapsed = round((time.perf_counter() - start) * 1000)
        return Probe(ok=failure is None, latency_ms=elapsed, model=target.model, reply=reply, error=failure)

    async def _call(self, target: Target) -> str:
        call = _call_for(target)
        options = parse_options(target.provider.kind, target.provider.settings)
        try:
            async with asyncio.timeout(LONGEST_MS / 1000):
                if isinstance(options, SimOptions):
                    status, body = await self._simulate(options, target.model_kind or "chat", call.body or {})
                elif isinstance(options, LiteLLMOptions):
                    status, body = await self._over_litellm(target, options, call)
                else:
                    status, body = await self._over_http(target, options, call)
        except TimeoutError:
            raise CallError("timeout", f"No answer within {LONGEST_MS // 1000} s.", TIMEOUT_HINT) from None
        except UpstreamError as error:
            raise explained(error, target) from None
        return reply_of(status, body, target)

    async def _over_http(self, target: Target, options: HttpOptions, call: _Call) -> tuple[int, bytes]:
        parts = urlsplit(target.provider.base_url or "")
        host, tls = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        proxy = self._proxy(target, options, host)
        transport = Transport()
        try:
            if proxy is None:
                await _resolve(host, port)
            origin = transport.origin(host, port, tls=tls, ca_bundle=options.ca_bundle, proxy=proxy)
            path = _path(target, parts.path) + call.path
            if isinstance(options, OpenAIOptions) and options.api_version is not None:
                path = _azure_path(parts.path, call, options.api_version)
            payload = _request(parts.netloc, path, call.body, self._credentials(target, options))
            if proxy is not None and not tls:
                payload = proxy.whole(parts.netloc, payload)
            response = await transport.request(origin, payload, _timeouts(options.timeouts), whole=False)
            try:
                if response.status == 407 and proxy is not None:
                    raise refused(proxy)
                return response.status, await response.body(_MAX_ANSWER)
            finally:
                response.close()
        except OSError as error:
            hint = "settings.ca_bundle names a PEM file on the gateway's host."
            raise CallError(
                "bad_ca_bundle", f"The CA bundle cannot be read: {error.strerror or error}.", hint
            ) from None
        finally:
            transport.close()

    def _proxy(self, target: Target, options: HttpOptions, host: str) -> ForwardProxy | None:
        try:
            wrapped = target.proxy_secret
            password = None if wrapped is None else self._box.unwrap_text(wrapped, context(target.provider.id))
            return self._outgoing.choose(options.proxy, password, host)
        except DecryptError as error:
            raise CallError(error.code, error.detail, error.hint) from None
        except ValueError as error:
            raise CallError("proxy_failed", f"settings.proxy {error}.", PROXY_HINT) from None

    async def _over_litellm(self, target: Target, options: LiteLLMOptions, call: _Call) -> tuple[int, bytes]:
        if call.body is None:
            raise CallError(
                "model_needed",
                "This provider has no list of models to ask for, so the test needs a model.",
                f"Add one: scutum models add NAME --provider {target.provider.name}",
            )
        transport = Transport()
        process = LiteLLMProcess(transport, self._litellm)
        try:
            lane = LiteLLMLane(process, target.provider.base_url, self._secret(target), options)
            path = EMBEDDINGS if target.model_kind == "embedding" else CHAT
            response = await lane.call(lane.traits.paths[path], msgspec.json.encode(call.body), stream=False)
            try:
                return response.status, await response.body(_MAX_ANSWER)
            finally:
                response.close()
        except InvalidInput as error:
            raise CallError(error.code, error.detail) from None
        finally:
            await process.close()
            transport.close()

    def _secret(self, target: Target) -> str | None:
        if target.wrapped_key is None:
            return None
        try:
            return self._box.unwrap(target.wrapped_key, target.provider.id)
        except DecryptError as error:
            raise CallError(error.code, error.detail, error.hint) from None

    def _credentials(self, target: Target, options: HttpOptions) -> list[str]:
        """Header lines that say who calls, and in which version of a format."""
        theirs = target.provider.kind == "anthropic"
        lines = ["anthropic-version: 2023-06-01"] if theirs else []
        secret = self._secret(target)
        if secret is None:
            return lines
        if theirs:
            return [*lines, f"x-api-key: {secret}"]
        azure = isinstance(options, OpenAIOptions) and options.api_version is not None
        return [f"api-key: {secret}" if azure else f"authorization: Bearer {secret}"]


def _call_for(target: Target) -> _Call:
    model = target.upstream_model
    if target.provider.kind == "anthropic":
        if model is None:
            return _Call("/v1/models", None)
        messages = [{"role": "user", "content": _PROMPT}]
        return _Call("/v1/messages", {"model": model, "max_tokens": 1, "messages": messages})
    if target.model_kind == "embedding":
        return _Call("/embeddings", {"model": model, "input": "ok"})
    if model is None and target.provider.kind != "sim":
        return _Call("/models", None)
    messages = [{"role": "user", "content": _PROMPT}]
    body: dict[str, Any] = {"model": model or "sim", "messages": messages}
    # OpenAI's own reasoning models refuse max_tokens; other servers know no other name for it.
    cap = (
        "max_completion_tokens"
        if urlsplit(target.provider.base_url or "").hostname == "api.openai.com"
        else "max_tokens"
    )
    return _Call("/chat/completions", body | {cap: 16 if cap == "max_completion_tokens" else 1})


def _timeouts(own: Timeouts) -> Timeouts:
    return Timeouts(
        connect_ms=own.connect_ms,
        first_byte_ms=min(own.first_byte_ms, LONGEST_MS),
        total_ms=min(own.total_ms, LONGEST_MS),
    )


def _azure_path(base: str, call: _Call, version: str) -> str:
    """Azure's URLs name the deployment; the list of models is the account's."""
    model = "" if call.body is None else f"/deployments/{quote(call.body['model'], safe='')}"
    return f"{base}{model}{call.path}?api-version={version}"


def _request(host: str, path: str, body: dict[str, Any] | None, credentials: list[str]) -> bytes:
    content = b"" if body is None else msgspec.json.encode(body)
    head = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"host: {host}", "accept: application/json"]
    head += ["accept-encoding: identity", f"user-agent: scutum/{__version__}", "connection: close"]
    if body is not None:
        head += ["content-type: application/json", f"content-length: {len(content)}"]
    return "\r\n".join([*head, *credentials, "", ""]).encode("latin-1") + content


def _path(target: Target, path: str) -> str:
    """The base URL's path; Anthropic's format has its version in every call's path, so a trailing one is taken off."""
    return path.removesuffix("/v1") if target.provider.kind == "anthropic" else path


async def _resolve(host: str, port: int) -> None:
    try:
        await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CallError(
            "dns_failed", f"The name {host} cannot be resolved.", "Check the spelling in base_url, and this host's DNS."
        ) from None
