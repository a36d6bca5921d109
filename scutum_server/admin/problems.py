"""The one place where errors become answers: application/problem+json (RFC 9457), never a traceback or a secret."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from scutum_server.admin.idempotency import Replay, on_replay
from scutum_server.errors import ScutumError

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)
_HTTP = {
    404: ("route_not_found", "There is no such route.", "See GET /api/v1/openapi.json."),
    415: ("unsupported_media_type", "The body is not JSON.", "Send it with: Content-Type: application/json"),
    405: ("method_not_allowed", "This route does not know this method.", "See the header Allow."),
}


def problem(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    *,
    hint: str | None = None,
    errors: list[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer for an error; `errors` lists wrong fields as {"field", "message"}."""
    body: dict[str, Any] = {
        "type": f"urn:scutum:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
        "request_id": request_id,
    }
    if errors:
        body["errors"] = errors
    return Response(msgspec.json.encode(body), status, dict(headers or {}), MEDIA_TYPE)


def internal(error: Exception, request_id: str, method: str, path: str) -> Response:
    """What nobody expected: the details go to the log alone."""
    _log.error("unexpected error", exc_info=error, extra={"request_id": request_id, "method": method, "path": path})
    return problem(
        500,
        "internal_error",
        "Something went wrong inside the control plane.",
        request_id,
        hint=f"Look for request {request_id} in: scutum logs admin",
    )


def known(error: ScutumError, request_id: str) -> Response:
    """An error that the house raised on purpose."""
    headers = {}
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    elif error.status == 503:
        headers["Retry-After"] = "1"
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    errors = getattr(error, "errors", None)
    if errors is None and error.param:
        errors = [{"field": error.param, "message": error.detail}]
    return problem(error.status, error.code, error.detail, request_id, hint=error.hint, errors=errors, headers=headers)


def request_id_of(request: Request) -> str:
    request_id: str = request.state.request_id
    return request_id


def _field(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location[1:]) or str(location[0])


def _wrong_field(error: Mapping[str, Any]) -> dict[str, str]:
    field = _field(tuple(error["loc"]))
    if error["type"] == "extra_forbidden":
        return {"field": field, "message": "is not a known field"}
    if error["type"] == "missing":
        return {"field": field, "message": "is missing"}
    return {"field": field, "message": str(error["msg"]).removeprefix("Value error, ")}


async def _on_known(request: Request, error: ScutumError) -> Response:
    return known(error, request_id_of(request))


async def _on_invalid(request: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return problem(400, "invalid_json", "The body is not JSON.", request_id_of(request))
    errors = [_wrong_field(item) for item in found[:20]]
    first = errors[0]
    return problem(
        422, "invalid_request", f"`{first['field']}`: {first['message']}.", request_id_of(request), errors=errors
    )


async def _on_http(request: Request, error: HTTPException) -> Response:
    status = error.status_code
    fallback = ("invalid_request", "The request cannot be read.", None)
    code, detail, hint = _HTTP.get(status, fallback)
    return problem(status, code, detail, request_id_of(request), hint=hint, headers=error.headers)


def install(app: FastAPI) -> None:
    app.add_exception_handler(ScutumError, _on_known)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_invalid)  # type: ignore[arg-type]
    app.add_exception_handler(Replay, on_replay)
    app.add_exception_handler(HTTPException, _on_http)  # type: ignore[arg-type]
