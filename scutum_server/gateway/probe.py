"""One cheap real call to a provider, and what its failure means in plain words."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from scutum_server import __version__
from scutum_server.errors import InvalidInput, UpstreamError
from scutum_server.gateway.models import Failure, Probe, Target
from scutum_server.gateway.outgoing import context
from scutum_server.infra.crypto import DecryptError, SecretBox
from scutum_server.upstream.errors import ForwardProxyFailed, UpstreamBadAnswer, UpstreamTimeout
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
_LONGEST_REPLY = 200
_PROMPT = "Reply with the word ok."


class Simulate(Protocol):
    """Answers an OpenAI request of this kind (“chat”, “embedding”) in process: HTTP status and body."""

    async def __call__(self, options: SimOptions, kind: str, body: dict[str, Any]) -> tuple[int, bytes]: ...


class _CallError(Exception):
    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.failure = Failure(code, message, hint)


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
        except _CallError as error:
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
            raise _CallError("timeout", f"No answer within {LONGEST_MS // 1000} s.", _TIMEOUT_HINT) from None
        except UpstreamError as error:
            raise _explained(error, target) from None
        return _reply(status, body, target)

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
            raise _CallError(
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
            raise _CallError(error.code, error.detail, error.hint) from None
        except ValueError as error:
            raise _CallError("proxy_failed", f"settings.proxy {error}.", _PROXY_HINT) from None

    async def _over_litellm(self, target: Target, options: LiteLLMOptions, call: _Call) -> tuple[int, bytes]:
        if call.body is None:
            raise _CallError(
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
            raise _CallError(error.code, error.detail) from None
        finally:
            await process.close()
            transport.close()

    def _secret(self, target: Target) -> str | None:
        if target.wrapped_key is None:
            return None
        try:
            return self._box.unwrap(target.wrapped_key, target.provider.id)
        except DecryptError as error:
            raise _CallError(error.code, error.detail, error.hint) from None

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


_PROXY_HINT = "See settings.proxy of the provider, and UPSTREAM_PROXY in config/.env."
_INSTALL = "On the gateway's host: scutum install --with litellm"
_TIMEOUT_HINT = "Is the server overloaded, or is a firewall dropping packets?"


def _call_for(target: Target) -> _Call:
    model = target.upstream_model
    if target.provider.kind == "anthropic":
        if model is None:
            return _Call("/v1/models", None)
        messages = [{"role": "user", "content": _PROMPT}]
        return _Call("/v1/messages", {"model": model, "max_tokens": 1, "messages": messages})
    if target.model_kind == "embedding":
        return _Call("/embeddings", {"model": model, "input": "ok"})
    if model is None and target.provider.kind == "openai":
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


async def _resolve(host: str, port: int) -> None:
    try:
        await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _CallError(
            "dns_failed", f"The name {host} cannot be resolved.", "Check the spelling in base_url, and this host's DNS."
        ) from None


def _explained(error: UpstreamError, target: Target) -> _CallError:
    cause, url = error.__context__, target.provider.base_url
    if isinstance(error, ForwardProxyFailed):
        return _CallError("proxy_failed", error.detail, _PROXY_HINT)
    if error.code == "litellm_missing":
        return _CallError(
            error.code, "The LiteLLM library, which calls this provider, is not installed here.", _INSTALL
        )
    if isinstance(error, UpstreamTimeout):
        return _CallError("timeout", error.detail, _TIMEOUT_HINT)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _CallError(
            "tls_failed", error.detail, "Set settings.ca_bundle to the authority's PEM file, or renew the certificate."
        )
    if isinstance(cause, ssl.SSLError):
        return _CallError("tls_failed", error.detail, "Does this port speak TLS? Else use http:// in base_url.")
    if isinstance(cause, ConnectionRefusedError):
        return _CallError(
            "connection_refused",
            f"Nothing listens at {url}.",
            "Start the server, or correct host and port in base_url.",
        )
    if isinstance(error, UpstreamBadAnswer):
        return _CallError(
            _other_format(target, "").failure.code, error.detail, f"Is this the address of {_server(target)}?"
        )
    return _CallError(error.code, error.detail, error.hint)


class _Details(Struct):
    message: str | None = None


class _Message(Struct):
    content: str | None = None


class _Choice(Struct):
    message: _Message | None = None


class _Block(Struct):
    text: str | None = None


class _Answer(Struct):
    """What completions, messages, embeddings, model lists and errors have in common with one another."""

    content: list[_Block] | None = None
    choices: list[_Choice] | None = None
    data: list[dict[str, Any]] | None = None
    error: _Details | str | None = None


def _reply(status: int, body: bytes, target: Target) -> str:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError:
        answer = _Answer()
    if status >= 300:
        raise _refusal(status, answer, target)
    theirs = target.provider.kind == "anthropic"
    if answer.choices and not theirs:
        message = answer.choices[0].message
        return ((message.content if message else None) or "")[:_LONGEST_REPLY]
    if answer.content is not None and theirs:
        return "".join(block.text or "" for block in answer.content)[:_LONGEST_REPLY]
    if answer.data is None:
        raise _other_format(target, "The server answered, but not as {} does.")
    if target.model is None:
        return f"{len(answer.data)} models on offer"
    return f"{len(answer.data)} embedding"


def _server(target: Target) -> str:
    return "a server of Anthropic's API" if target.provider.kind == "anthropic" else "an OpenAI-compatible server"


def _other_format(target: Target, message: str) -> _CallError:
    """`message` names the kind of server at its `{}`."""
    if target.provider.kind == "anthropic":
        return _CallError(
            "not_anthropic", message.replace("{}", _server(target), 1), "base_url goes without /v1 or /v1/messages."
        )
    return _CallError("not_openai", message.replace("{}", _server(target), 1), "base_url usually ends in /v1.")


def _path(target: Target, path: str) -> str:
    """The base URL's path; Anthropic's format has its version in every call's path, so a trailing one is taken off."""
    return path.removesuffix("/v1") if target.provider.kind == "anthropic" else path


def _refusal(status: int, answer: _Answer, target: Target) -> _CallError:
    said = answer.error.message if isinstance(answer.error, _Details) else answer.error
    quoted = f" It says: {_printable(said)}" if said else ""
    if status in {401, 403}:
        hint = "Set another key: scutum providers update --api-key-stdin"
        what = "refuses the key" if target.wrapped_key else "asks for a key, and none is set"
        return _CallError("unauthorized", f"The provider {what} ({status}).{quoted}", hint)
    if status == 404 and answer.error is not None and target.model is not None:
        what = f"The provider does not know the model “{target.upstream_model}”.{quoted}"
        return _CallError("model_not_found", what, "Correct the model's upstream_model.")
    if status in {404, 405}:
        return _other_format(target, f"There is no API at this address ({status}) as {{}} has it.{quoted}")
    if 300 <= status < 400:
        return _CallError("redirected", f"The server redirects ({status}).", "Use the address that it redirects to.")
    if status == 429:
        return _CallError(
            "rate_limited", f"The provider limits this account (429).{quoted}", "Check quota and billing."
        )
    if status >= 500:
        return _CallError("provider_error", f"The provider fails ({status}).{quoted}", "Try again later.")
    kindless = target.model is not None and target.model_kind is None
    embed_hint = "If this model makes embeddings, set its kind to embedding." if kindless else None
    return _CallError("provider_refused", f"The provider refuses the call ({status}).{quoted}", embed_hint)


def _printable(text: str) -> str:
    """A provider's words, cut and without control characters."""
    return "".join(character if character.isprintable() else " " for character in text[:300])
