"""What the library's exceptions mean: the provider's own refusal, or that it could not be asked."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Final

_PREFIX: Final = re.compile(r"^(?:litellm\.\w+: )*(?:\w*(?:Exception|Error)(?: -|:) )*")
_LONGEST: Final = 2000


class LaneError(Exception):
    """The provider could not be asked; `code` is one of the gateway's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unsupported(LaneError):
    """The provider has no way to be asked this."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__("unsupported_by_provider", message)
        self.field = field


class Refusal:
    """The provider's own answer: its status, words, and for how long it wants to be left alone."""

    def __init__(self, status: int, message: str, kind: str | None, retry_after: str | None) -> None:
        self.status = status
        self.message = message
        self.kind = kind
        self.retry_after = retry_after


def explained(error: BaseException, secrets: Sequence[str]) -> LaneError | Refusal:
    """Never shows a secret of the account, whatever the library put into its message."""
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, LaneError):
            return each
    response = next((found for each in chain if (found := _response(each)) is not None), None)
    message, kind = _words(str(getattr(error, "message", None) or error), response)
    for secret in secrets:
        message = message.replace(secret, "…")
    if response is None:
        reached = _reach(chain)
        if reached is not None:
            return reached
    names = {type(each).__name__ for each in chain}
    if names & {"Timeout", "TimeoutException", "ReadTimeout"}:
        return LaneError("upstream_timeout", "The provider did not answer in time.")
    if "UnsupportedParamsError" in names:
        return LaneError("unsupported_by_provider", message)
    status = getattr(error, "status_code", None)
    status = getattr(response, "status_code", None) or status
    # Without an answer of the provider's, these are the library's words for one that it could not read.
    unread = response is None and (status == 422 or "APIConnectionError" in names)
    if unread or not isinstance(status, int) or not 300 <= status <= 599:
        return LaneError("upstream_bad_answer", f"The provider's answer cannot be read ({type(error).__name__}).")
    return Refusal(status, message, kind, _retry_after(error, response))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _response(error: BaseException) -> Any:
    """The HTTP answer that an exception carries; the library makes some up, which have no content."""
    response = getattr(error, "response", None)
    made_up = response is None or not getattr(response, "content", b"")
    return None if made_up or getattr(response, "status_code", 200) < 300 else response


def _reach(chain: Sequence[BaseException]) -> LaneError | None:
    """How connecting failed, or None when that was not it."""
    for each in chain:
        name = type(each).__name__
        if isinstance(each, ssl.SSLCertVerificationError):
            return LaneError(
                "upstream_unreachable", f"The provider's certificate is not trusted: {each.verify_message}."
            )
        if isinstance(each, ssl.SSLError):
            return LaneError("upstream_unreachable", f"The provider does not speak TLS with us: {each.reason}.")
        if isinstance(each, socket.gaierror) or "DNS" in name:
            return LaneError("dns_failed", "The provider's name cannot be resolved.")
        if "ConnectTimeout" in name or "ConnectionTimeout" in name:
            return LaneError("upstream_timeout", "The provider did not accept a connection in time.")
        if isinstance(each, TimeoutError):
            return LaneError("upstream_timeout", "The provider did not answer in time.")
        if isinstance(each, ConnectionResetError) or name in {"RemoteProtocolError", "ServerDisconnectedError"}:
            return LaneError("upstream_disconnected", "The provider closed the connection without an answer.")
        if isinstance(each, OSError) and each.errno:
            return LaneError("upstream_unreachable", f"The provider cannot be reached: {socket_reason(each)}.")
    if any(
        type(each).__name__ in {"ConnectError", "ClientConnectorError", "EndpointConnectionError"} for each in chain
    ):
        return LaneError("upstream_unreachable", "The provider cannot be reached.")
    return None


def socket_reason(error: OSError) -> str:
    """The system's word for it, without the address."""
    return os.strerror(error.errno or 0).lower()


def _words(message: str, response: Any) -> tuple[str, str | None]:
    """The provider's own message and type where its error is JSON, else the library's without its prefixes."""
    texts = [getattr(response, "text", ""), message[message.find("{") :] if "{" in message else ""]
    for text in texts:
        found = _error_in(text)
        if found is not None:
            return found
    return _PREFIX.sub("", message).partition("\n")[0][:_LONGEST], None


def _error_in(text: str) -> tuple[str, str | None] | None:
    try:
        document, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, TypeError):
        return None
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return None
    error = document.get("error", document)
    said = error.get("message") or error.get("Message") if isinstance(error, dict) else error
    if not isinstance(said, str) or not said:
        return None
    kind = error.get("status") or error.get("type") if isinstance(error, dict) else None
    return said[:_LONGEST], kind if isinstance(kind, str) else None


def _retry_after(error: BaseException, response: Any) -> str | None:
    for headers in (getattr(response, "headers", None), getattr(error, "litellm_response_headers", None)):
        value = headers.get("retry-after") if headers is not None else None
        if value is not None:
            return str(value)
    return None
