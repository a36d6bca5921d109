"""The OpenAPI document: `python -m scutum_server.admin.openapi` prints it without a server."""

import asyncio
import json
import sys
from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import RouteContext, iter_route_contexts

from scutum_server.admin import examples
from scutum_server.admin.answers import Transactional
from scutum_server.admin.auth import authenticate
from scutum_server.admin.wishes import MUTATIONS

_DRY_RUN = "Run everything, answer as if it were done, and change nothing."
_IF_MATCH = "The ETag of the object as you have read it, or *: 412 `stale` when it has been changed since."
_IDEMPOTENCY = "The answer is kept for 24 hours and given again to a repetition; 409 to another request with this key."
_OWN_ERRORS = ("HTTPValidationError", "ValidationError")


def document(app: FastAPI) -> dict[str, Any]:
    """The document of the application's routes, with our problems in place of the framework's validation errors."""
    found = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    transactional = {context.name for context in iter_route_contexts(app.routes) if _in_transaction(context)}
    for path in found["paths"].values():
        for method, operation in path.items():
            if operation["operationId"] in transactional:
                _add_wishes(method, operation)
            responses = operation["responses"]
            responses.pop("422", None)
            responses["default"]["content"] = {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
            _add_examples(operation, found["components"]["schemas"])
    for name in _OWN_ERRORS:
        found["components"]["schemas"].pop(name, None)
    return found


def _in_transaction(context: RouteContext) -> bool:
    return isinstance(context.original_route, Transactional)


def _add_wishes(method: str, operation: dict[str, Any]) -> None:
    """What every change can be told beside its body: no handler declares it."""
    if method.upper() not in MUTATIONS:
        return
    parameters = operation.setdefault("parameters", [])
    parameters.append(_parameter("query", "dry_run", {"type": "boolean", "default": False}, _DRY_RUN))
    if any(parameter["in"] == "path" for parameter in parameters):
        parameters.append(_parameter("header", "If-Match", {"type": "string", "maxLength": 1000}, _IF_MATCH))
    if method == "post":
        key = {"type": "string", "maxLength": 255, "pattern": "^[!-~]+$"}
        parameters.append(_parameter("header", "Idempotency-Key", key, _IDEMPOTENCY))


def _add_examples(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    bodies = [answer for status, answer in operation["responses"].items() if status != "default"]
    for body in (*bodies, operation.get("requestBody", {})):
        for media in body.get("content", {}).values():
            if media.get("schema"):
                media["example"] = examples.of(media["schema"], schemas)


def _parameter(where: str, name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"in": where, "name": name, "required": False, "schema": schema, "description": description}


def render(app: FastAPI) -> str:
    """The document as text that is the same for the same routes."""
    return json.dumps(document(app), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def mount(app: FastAPI, prefix: str) -> None:
    """Serves the document, rendered when it is first asked for: that takes half a second."""
    router = APIRouter()

    @cache
    def text() -> str:
        return render(app)

    @router.get("/openapi.json", include_in_schema=False, dependencies=[Depends(authenticate)])
    async def get_openapi_document() -> Response:
        return Response(await asyncio.to_thread(text), media_type="application/json")

    app.include_router(router, prefix=prefix)


def main() -> None:
    from scutum_server.admin.app import routes

    sys.stdout.write(render(routes()))


if __name__ == "__main__":
    main()
