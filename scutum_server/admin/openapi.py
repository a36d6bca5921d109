"""The OpenAPI document: `python -m scutum_server.admin.openapi` prints it without a server."""

import json
import sys
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.openapi.utils import get_openapi

from scutum_server.admin.auth import authenticate

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
    for path in found["paths"].values():
        for operation in path.values():
            responses = operation["responses"]
            responses.pop("422", None)
            responses["default"]["content"] = {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
    for name in _OWN_ERRORS:
        found["components"]["schemas"].pop(name, None)
    return found


def render(app: FastAPI) -> str:
    """The document as text that is the same for the same routes."""
    return json.dumps(document(app), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def mount(app: FastAPI, prefix: str) -> None:
    """Serves the document, rendered once."""
    text = render(app)
    router = APIRouter()

    @router.get("/openapi.json", include_in_schema=False, dependencies=[Depends(authenticate)])
    async def get_openapi_document() -> Response:
        return Response(text, media_type="application/json")

    app.include_router(router, prefix=prefix)


def main() -> None:
    from scutum_server.admin.app import routes

    sys.stdout.write(render(routes()))


if __name__ == "__main__":
    main()
