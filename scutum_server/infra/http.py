"""A small HTTP client for the control plane's rare questions to others: no redirects, bounded time, bounded answers."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

_SECONDS: Final = 10.0
_MOST: Final = 512 * 1024
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Reply(Struct, frozen=True):
    status: int
    body: bytes


class UnreachableError(Exception):
    """Nothing useful came back; the text says why, in words, without any secret."""


def safe(url: str) -> bool:
    """Whether secrets may be sent there: https, or http on this host."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not parts.hostname or port == 0 or parts.username or not url.isascii() or not url.isprintable():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


async def ask(
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    ca_bundle: str | None = None,
) -> Reply:
    """One request on a connection of its own; raises UnreachableError."""
    return await asyncio.to_thread(_ask, method, url, form, dict(headers or {}), ca_bundle)


def _ask(
    method: str, url: str, form: Mapping[str, str] | None, headers: dict[str, str], ca_bundle: str | None
) -> Reply:
    if not safe(url):
        raise UnreachableError("its address is not https")
    parts = urlsplit(url)
    body = urlencode(form).encode() if form is not None else None
    if body is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    headers["accept"] = "application/json"
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, ca_bundle)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        read = answer.read(_MOST + 1)
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(_reason(error)) from None
    finally:
        connection.close()
    if len(read) > _MOST:
        raise UnreachableError("its answer is too long")
    return Reply(answer.status, read)


def _connection(scheme: str, host: str, port: int | None, ca_bundle: str | None) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=_SECONDS)
    if ca_bundle is not None and not Path(ca_bundle).is_file():
        raise UnreachableError("the file of authorities is not there")
    try:
        context = ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError):
        raise UnreachableError("the file of authorities cannot be read") from None
    return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__
