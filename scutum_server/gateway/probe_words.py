"""What the failure of a test call means, in words for whoever has to mend it."""

from __future__ import annotations

import re
import ssl
from typing import Any

import msgspec
from msgspec import Struct

from scutum_server.errors import UpstreamError
from scutum_server.gateway.models import Failure, Target
from scutum_server.upstream.errors import ForwardProxyFailed, UpstreamBadAnswer, UpstreamTimeout

_LONGEST_REPLY = 200
PROXY_HINT = "See settings.proxy of the provider, and UPSTREAM_PROXY in config/.env."
INSTALL = "On the gateway's host: scutum install --with litellm"
TIMEOUT_HINT = "Is the server overloaded, or is a firewall dropping packets?"


class CallError(Exception):
    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.failure = Failure(code, message, hint)


def explained(error: UpstreamError, target: Target) -> CallError:
    cause, url = error.__context__, target.provider.base_url
    if isinstance(error, ForwardProxyFailed):
        return CallError("proxy_failed", error.detail, PROXY_HINT)
    if error.code == "litellm_missing":
        return CallError(error.code, "The LiteLLM library, which calls this provider, is not installed here.", INSTALL)
    if target.provider.kind == "litellm":
        return _explained_by_library(error, target)
    if isinstance(error, UpstreamTimeout):
        return CallError("timeout", error.detail, TIMEOUT_HINT)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return CallError(
            "tls_failed", error.detail, "Set settings.ca_bundle to the authority's PEM file, or renew the certificate."
        )
    if isinstance(cause, ssl.SSLError):
        return CallError("tls_failed", error.detail, "Does this port speak TLS? Else use http:// in base_url.")
    if isinstance(cause, ConnectionRefusedError):
        return CallError(
            "connection_refused",
            f"Nothing listens at {url}.",
            "Start the server, or correct host and port in base_url.",
        )
    if isinstance(error, UpstreamBadAnswer):
        return CallError(
            _other_format(target, "").failure.code, error.detail, f"Is this the address of {_server(target)}?"
        )
    return CallError(error.code, error.detail, error.hint)


def _explained_by_library(error: UpstreamError, target: Target) -> CallError:
    """What the process with the library said: it made the connection, so there is no cause to look at here."""
    region = target.provider.settings.get("region")
    said = error.detail
    if "name cannot be resolved" in said:
        hint = (
            "Check this host's DNS." if region is None else f"Is there a region “{region}”? Else check this host's DNS."
        )
        return CallError("dns_failed", said, hint)
    if "certificate" in said or "TLS" in said:
        return CallError("tls_failed", said, "Is there a proxy on the way that opens TLS? See UPSTREAM_PROXY.")
    if "connection refused" in said:
        hint = "Start the server, or correct host and port in base_url."
        return CallError("connection_refused", f"Nothing listens at {target.provider.base_url}.", hint)
    if isinstance(error, UpstreamTimeout):
        return CallError("timeout", said, TIMEOUT_HINT)
    if isinstance(error, UpstreamBadAnswer):
        return CallError("bad_answer", said, "Is base_url the address of this vendor's API?")
    return CallError(error.code, said, error.hint)


class _Details(Struct):
    message: str | None = None
    code: str | int | None = None


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


def reply_of(status: int, body: bytes, target: Target) -> str:
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
        return "1 model on offer" if len(answer.data) == 1 else f"{len(answer.data)} models on offer"
    return f"{len(answer.data)} embedding"


def _server(target: Target) -> str:
    return "a server of Anthropic's API" if target.provider.kind == "anthropic" else "an OpenAI-compatible server"


def _other_format(target: Target, message: str) -> CallError:
    """`message` names the kind of server at its `{}`."""
    if target.provider.kind == "anthropic":
        return CallError(
            "not_anthropic", message.replace("{}", _server(target), 1), "base_url goes without /v1 or /v1/messages."
        )
    return CallError("not_openai", message.replace("{}", _server(target), 1), "base_url usually ends in /v1.")


def _refusal(status: int, answer: _Answer, target: Target) -> CallError:
    """The status decides, but where vendors use one for different things their words do."""
    error = answer.error
    said = (error.message if isinstance(error, _Details) else error) or ""
    code = (error.code if isinstance(error, _Details) and isinstance(error.code, str) else "") or ""
    quoted = f" It says: {_printable(said)}" if said else ""
    words = f"{code} {said}".lower()
    name = target.provider.name
    if status in {401, 403} and not _ABOUT_MODEL.search(words):
        what = "refuses the key" if target.wrapped_key else "asks for a key, and none is set"
        if _ABOUT_REGION.search(words):
            return CallError("region_refused", f"The provider refuses this region ({status}).{quoted}", _REGION_HINT)
        return CallError("unauthorized", f"The provider {what} ({status}).{quoted}", _key_hint(name))
    if status == 400 and _ABOUT_KEY.search(words):
        return CallError("unauthorized", f"The provider refuses the key ({status}).{quoted}", _key_hint(name))
    if status == 402 or (status == 429 and _ABOUT_MONEY.search(words)):
        what = f"The provider's account has no credit or quota left ({status}).{quoted}"
        return CallError("quota_exhausted", what, "Look at the account's billing page at the vendor.")
    missing = status == 404 and error is not None
    if target.model is not None and (missing or (status in {400, 403} and _ABOUT_MODEL.search(words))):
        what = "does not let this account use" if status == 403 else "does not know"
        sentence = f"The provider {what} the model “{target.upstream_model}”.{quoted}"
        return CallError("model_not_found", sentence, _model_hint(target))
    return _plain_refusal(status, quoted, target)


def _plain_refusal(status: int, quoted: str, target: Target) -> CallError:
    if status in {404, 405}:
        return _other_format(target, f"There is no API at this address ({status}) as {{}} has it.{quoted}")
    if 300 <= status < 400:
        return CallError("redirected", f"The server redirects ({status}).", "Use the address that it redirects to.")
    if status == 429:
        hint = "Wait a minute and test again; if it stays, look at the account's limits at the vendor."
        return CallError("rate_limited", f"The provider limits this account (429).{quoted}", hint)
    if status >= 500:
        return CallError("provider_error", f"The provider fails ({status}).{quoted}", "Try again later.")
    kindless = target.model is not None and target.model_kind is None
    embed_hint = "If this model makes embeddings, set its kind to embedding." if kindless else None
    return CallError("provider_refused", f"The provider refuses the call ({status}).{quoted}", embed_hint)


_ABOUT_KEY = re.compile(r"api[ _-]?key|credential|authenticat")
_ABOUT_MONEY = re.compile(r"insufficient_quota|quota|billing|credit|balance|payment")
_ABOUT_MODEL = re.compile(
    r"model_not_found|model[^.]{0,80}(?:not exist|not found|invalid|unknown|not supported|access)|access to the model|"
    r"on-demand throughput"
)
_ABOUT_REGION = re.compile(r"country|region|territory|location is not supported")
_REGION_HINT = "Call it from where the vendor serves, through a forward proxy: scutum providers update NAME --proxy URL"


def _key_hint(name: str) -> str:
    return f"Set another key: scutum providers update {name} --api-key-stdin < FILE"


def _model_hint(target: Target) -> str:
    vendor, settings = target.provider.settings.get("vendor"), target.provider.settings
    command = f"scutum models update {target.model} --upstream-model ID"
    if vendor == "bedrock":
        where = settings.get("region")
        return f"Has the account access to it in {where}? Many models want an inference profile's id: {command}"
    if settings.get("api_version") is not None:
        return f"Azure knows models by the names of your deployments: {command}"
    return f"Correct its id there: {command}"


def _printable(text: str) -> str:
    """A provider's words, cut and without control characters."""
    return "".join(character if character.isprintable() else " " for character in text[:300])
