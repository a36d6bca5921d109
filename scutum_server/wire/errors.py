"""Errors in the client's wire format: the one place where the proxy renders them."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from scutum_server.errors import ScutumError

Shape = Literal["openai", "responses", "anthropic"]
"""How a client wants to be told; `responses` differs from `openai` inside streams only."""

_TYPES: Final = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    405: "invalid_request_error", 408: "timeout_error", 413: "invalid_request_error", 429: "rate_limit_error",
    431: "invalid_request_error", 504: "timeout_error",
}  # fmt: skip
_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error",
    504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip
_RETRY_AFTER: Final = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,9})?|[A-Za-z]{3,9},[ A-Za-z0-9:-]{1,50}")
"""Seconds, or a date."""
_KNOWN_TO_ANTHROPIC: Final = frozenset({*_ANTHROPIC_TYPES.values(), "api_error"})


def shape_of(path: bytes) -> Shape:
    """What a client of this path expects, for refusals that come before any endpoint is known."""
    return "anthropic" if path.startswith(b"/v1/messages") else "openai"


class ProviderError(ScutumError):
    """The provider's own refusal, on its way to the client; `provider_status` is what the provider answered."""

    def __init__(
        self,
        status: int,
        kind: str,
        shown: dict[str, Any] | None = None,
        retry_after: bytes | None = None,
        *,
        theirs: int | None = None,
    ) -> None:
        super().__init__(f"The provider answered with status {status}.", code=kind)
        self.status = status
        self.provider_status = status if theirs is None else theirs
        self.shown = shown or {}
        # What a client of Anthropic's format tells its errors apart by; OpenAI's has no place for it.
        self.details: dict[str, Any] | None = None
        self.retry_after = retry_after if retry_after and _RETRY_AFTER.fullmatch(retry_after) else None


def render(error: ScutumError, shape: Shape = "openai", request_id: str = "") -> bytes:
    """The body that tells a client of `error`."""
    return msgspec.json.encode(_document(error, shape, request_id))


def event_of(error: ScutumError, shape: Shape, request_id: str = "") -> bytes:
    """The last event of a stream that failed after it had begun."""
    if shape == "responses":
        shown = {"type": "error", "code": error.code, "message": error.detail, "param": error.param}
        return b"event: error\ndata: %b\n\n" % msgspec.json.encode(shown)
    named = b"event: error\n" if shape == "anthropic" else b""
    return b"%bdata: %b\n\n" % (named, render(error, shape, request_id))


def _document(error: ScutumError, shape: Shape, request_id: str) -> dict[str, Any]:
    if isinstance(error, ProviderError):
        shown = error.shown
    else:
        kind = _TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
        shown = {"message": error.detail, "type": kind, "param": error.param, "code": error.code}
    if shape != "anthropic":
        return {"error": shown}
    kind = str(shown.get("type"))
    if kind not in _KNOWN_TO_ANTHROPIC:
        kind = _ANTHROPIC_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    told = {"type": kind, "message": shown.get("message"), "code": shown.get("code")}
    if isinstance(error, ProviderError) and error.details is not None:
        told["details"] = error.details
    return {"type": "error", "error": told, "request_id": request_id or None}


def body_of(status: int, message: str, code: str, param: str | None = None) -> bytes:
    """The body for a refusal that comes before any endpoint is known, in OpenAI's shape."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


def provider_error(provider: str, status: int, body: bytes, retry_after: bytes | None) -> ProviderError:
    """What a client is told when a provider answered with `status` (300 or more), whichever format it speaks.

    The provider's own message, type, param and code are kept, so that clients which act on them still can. Not so when
    it refused our credentials: the client's own key is fine, and the message may show a part of ours.
    """
    if status in {401, 403}:
        message = (
            f"The provider {provider} refused the gateway's credentials: its key must be set anew by the operator."
        )
        return ProviderError(502, "upstream_auth_failed", _ours(message, "upstream_auth_failed"), theirs=status)
    if status < 400:
        what = "a redirect" if status >= 300 else "no whole answer"
        message = f"The provider {provider} answered with {what} (status {status}), which is of no use here."
        return ProviderError(502, "upstream_bad_answer", _ours(message, "upstream_bad_answer"), theirs=status)
    kind = "upstream_rate_limited" if status == 429 else "upstream_rejected" if status < 500 else "upstream_error"
    theirs = error_in(body)
    shown = {
        "message": theirs["message"] or f"The provider {provider} answered with status {status}.",
        "type": theirs["type"] or _TYPES.get(status, "api_error"),
        "param": theirs["param"],
        "code": theirs["code"] or kind,
    }
    error = ProviderError(status, kind, shown, retry_after)
    details = _error_object(body).get("details")
    error.details = details if isinstance(details, dict) else None
    return error


def stream_error(provider: str, event: bytes) -> ProviderError:
    """A stream that began with an error, `event` is its data: what an honest provider would have answered instead."""
    status = 429 if b"rate_limit" in event else 502
    return provider_error(provider, status, event, None)


def _ours(message: str, code: str) -> dict[str, Any]:
    return {"message": message, "type": "api_error", "param": None, "code": code}


def error_in(body: bytes) -> dict[str, str | None]:
    """`message`, `type`, `param` and `code` of an error in OpenAI's or Anthropic's shape, None where absent."""
    found = _error_object(body)
    return {name: _text(found.get(name)) for name in ("message", "type", "param", "code")}


def _error_object(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}
    error = document.get("error", document) if isinstance(document, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _text(value: object) -> str | None:
    return value[:2000] if isinstance(value, str) and value else None
