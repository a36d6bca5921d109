"""Errors as OpenAI's wire format has them: the one place where the proxy renders them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scutum_server.errors import ScutumError

_TYPES: Final = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    405: "invalid_request_error", 408: "timeout_error", 413: "invalid_request_error", 429: "rate_limit_error",
    431: "invalid_request_error", 504: "timeout_error",
}  # fmt: skip


class ProviderError(ScutumError):
    """The provider's own refusal, on its way to the client with the provider's status."""

    def __init__(self, status: int, kind: str, body: bytes, retry_after: bytes | None) -> None:
        super().__init__(f"The provider answered with status {status}.", code=kind)
        self.status = status
        self.body = body
        self.retry_after = retry_after if retry_after and len(retry_after) < 64 else None


def render(error: ScutumError) -> bytes:
    """The body that tells a client of `error`."""
    if isinstance(error, ProviderError):
        return error.body
    return body_of(error.status, error.detail, error.code, error.param)


def body_of(status: int, message: str, code: str, param: str | None = None) -> bytes:
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


def provider_error(provider: str, status: int, body: bytes, retry_after: bytes | None) -> ProviderError:
    """What a client is told when a provider answered with `status` (300 or more).

    The provider's own message, type, param and code are kept, so that clients which act on them still can. Not so when
    it refused our credentials: the client's own key is fine, and the message may show a part of ours.
    """
    if status in {401, 403}:
        message = (
            f"The provider {provider} refused the gateway's credentials: its key must be set anew by the operator."
        )
        return ProviderError(502, "upstream_auth_failed", body_of(502, message, "upstream_auth_failed"), None)
    if status < 400:
        message = f"The provider {provider} answered with a redirect ({status}), which is not followed."
        return ProviderError(502, "upstream_bad_answer", body_of(502, message, "upstream_bad_answer"), None)
    kind = "upstream_rate_limited" if status == 429 else "upstream_rejected" if status < 500 else "upstream_error"
    theirs = _their_error(body)
    message = _text(theirs.get("message")) or f"The provider {provider} answered with status {status}."
    code = _text(theirs.get("code")) or kind
    shown = {
        "message": message,
        "type": _text(theirs.get("type")) or _TYPES.get(status, "api_error"),
        "param": _text(theirs.get("param")),
        "code": code,
    }
    return ProviderError(status, kind, msgspec.json.encode({"error": shown}), retry_after)


def _their_error(body: bytes) -> dict[str, Any]:
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
