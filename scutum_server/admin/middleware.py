"""Around every request: its id, its size, and an answer even when everything else fails. Plain ASGI."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scutum_server.admin import problems
from scutum_server.errors import InvalidInput, ScutumError, TooLarge, WrongType
from scutum_server.infra.ids import uuid7

MAX_BODY = 1024 * 1024
MAX_CONFIG = 40 * 1024 * 1024
"""Of a request that carries the whole configuration as a file."""
_CONFIG = "/api/v1/config/"


class _GoneError(Exception):
    """The client left before it had sent its request."""


class Envelope:
    """Reads the whole body (1 MB at most) before the application runs, so that only one place counts bytes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid7())
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers["cache-control"] = "no-store"
            await send(message)

        answer: Response
        try:
            _check_address(scope)
            body = await _read(scope, receive)
            if body:
                _check_type(scope)
            await self._app(scope, _replay(body, receive), send_with_id)
            return
        except _GoneError:
            return
        except ScutumError as error:
            answer = problems.known(error, request_id)
        except Exception as error:  # noqa: BLE001 -- the last resort: rendered and logged
            answer = problems.internal(error, request_id, scope["method"], scope["path"])
        if not started:
            await answer(scope, receive, send_with_id)


def _check_address(scope: Scope) -> None:
    if "\0" in scope["path"] or b"%00" in scope.get("query_string", b"") or len(scope["path"]) > 2000:
        raise InvalidInput("The address holds characters that no name has.", code="invalid_address")


def _check_type(scope: Scope) -> None:
    kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        raise WrongType("The body is not sent as JSON.", hint="Send it with the header Content-Type: application/json")


async def _read(scope: Scope, receive: Receive) -> bytes:
    most = MAX_CONFIG if scope["path"].startswith(_CONFIG) else MAX_BODY
    too_large = TooLarge(f"Such a request to the control plane has {most // 1024 // 1024} MB at most.")
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and int(length) > most:
        raise too_large
    chunks, total, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        chunks.append(message.get("body", b""))
        total += len(chunks[-1])
        more = message.get("more_body", False)
        if total > most:
            raise too_large
    return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    delivered = False

    async def replay() -> Message:
        nonlocal delivered
        if delivered:
            return await receive()
        delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
