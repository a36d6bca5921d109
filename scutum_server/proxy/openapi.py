"""The data plane's OpenAPI document: `python -m scutum_server.proxy.openapi` prints it without a server.

It says what the gateway itself checks, and comes from the table of endpoints: a request's schema is made of the struct
that decodes it. Fields that are not named here pass to the provider, which judges them; so do the provider's answers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import msgspec

from scutum_server import __version__
from scutum_server.proxy import endpoints
from scutum_server.proxy.endpoints import Endpoint
from scutum_server.proxy.passthrough import batches as passthrough_batches
from scutum_server.proxy.passthrough import files as passthrough_files
from scutum_server.proxy.passthrough import forms as passthrough_forms
from scutum_server.proxy.pipeline import complete, count_tokens

_REF: Final = "#/components/schemas/{name}"
_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_STATUSES: Final[dict[int | str, str]] = {
    400: "The request is wrong: `code` and `param` say where.",
    401: "No valid API key.",
    403: "The API key may not do this.",
    404: "No such model, or nothing at this path.",
    405: "The path takes other methods: see `Allow`.",
    408: "The request did not arrive in time.",
    413: "The body is larger than the gateway takes.",
    415: "The body is compressed.",
    429: "A limit or budget is reached, or too many invalid keys came from this address: see `Retry-After`.",
    431: "The request's head is larger than 64 KiB.",
    502: "The provider cannot be reached, or gave no proper answer.",
    503: "Not now: starting, draining, in maintenance, or every provider behind the name is resting.",
    504: "The provider did not answer in time.",
    "default": "The provider's own refusal, with its status, in the format of this path.",
}
_HEADERS: Final[dict[str, tuple[str, str]]] = {
    "x-request-id": ("The request's id, a UUIDv7.", "string"),
    "x-scutum-model": ("The deployment that answered.", "string"),
    "x-scutum-provider": ("The provider that answered.", "string"),
    "x-scutum-attempts": ("The calls that were made, in order, with what came of each.", "string"),
    "x-scutum-cache": ("`hit`, `miss` or `bypass`.", "string"),
    "x-scutum-cost": ("US dollars; a stream tells it in a comment before its end.", "string"),
    "x-scutum-overhead-ms": ("What the gateway itself took.", "number"),
    "x-scutum-simulated": ("`true` when no real model was asked.", "string"),
    "x-scutum-dropped": ("Fields that the provider's format has no word for, left out.", "string"),
    "x-scutum-estimated": ("`true` when tokens were counted by the gateway's own rule.", "string"),
    "retry-after": ("When to try again: seconds, or the provider's date.", "string"),
    **{
        f"x-ratelimit-{what}-{unit}": (f"The narrowest quota of {unit}: {what}.", "string")
        for unit in ("requests", "tokens")
        for what in ("limit", "remaining", "reset")
    },
    "www-authenticate": ("With 401.", "string"),
    "allow": ("With 405.", "string"),
    "request-id": ("The same as x-request-id, for clients of Anthropic's format.", "string"),
}
_ALWAYS: Final = ("x-request-id", "x-scutum-cache", "x-scutum-overhead-ms")
_ANSWERED: Final = (*_ALWAYS, *(name for name in _HEADERS if name.startswith(("x-scutum", "x-ratelimit"))))
_ON_STATUS: Final[dict[int | str, tuple[str, ...]]] = {
    401: ("www-authenticate",),
    405: ("allow",),
    429: ("retry-after",),
    503: ("retry-after",),
}


def routes() -> Iterator[tuple[str, Endpoint]]:
    """Every path of the API with its endpoint; ids in braces."""
    for path, endpoint in endpoints.BY_PATH.items():
        yield path.decode(), endpoint
    yield f"{endpoints.MODEL_PREFIX.decode()}{{model}}", endpoints.MODEL
    for name, methods in endpoints.OBJECTS.items():
        for endpoint in methods.values():
            yield f"/v1/{name.decode().replace('*', '{id}')}", endpoint


def document() -> dict[str, Any]:
    """The document as OpenAPI 3.1 has it."""
    described = list(routes())
    requests = {endpoint.decoder.type for _, endpoint in described if _takes_json(endpoint)}
    told = [_plain(each) for each in sorted(requests, key=lambda each: str(each.__name__))]
    _, schemas = msgspec.json.schema_components(told, ref_template=_REF, schema_hook=lambda _: {"description": "Any."})
    paths: dict[str, dict[str, Any]] = {}
    for path, endpoint in described:
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(path, endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Scutum",
            "version": __version__,
            "description": "OpenAI's and Anthropic's APIs, in front of any provider. Named are the fields that the "
            "gateway itself reads and checks; all others pass to the provider as they are.",
        },
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": paths | _operators_paths(),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
            "headers": {
                name: {"description": text, "schema": {"type": kind}} for name, (text, kind) in _HEADERS.items()
            },
            "responses": _refusals("Error", ()) | _refusals("AnthropicError", ("request-id",)),
            "schemas": schemas | _FURTHER,
        },
    }


def _plain(request: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The same fields without defaults, of which JSON Schema could not tell those that are bytes."""
    fields: list[Any] = [
        (each.encode_name, each.type)
        if each.required
        else (each.encode_name, each.type, msgspec.field(default_factory=msgspec.Raw))
        for each in msgspec.structs.fields(request)
    ]
    return msgspec.defstruct(request.__name__, fields, namespace={"__doc__": request.__doc__}, kw_only=True)


def _operation(path: str, endpoint: Endpoint) -> dict[str, Any]:
    name = "AnthropicError" if endpoint.shape == "anthropic" else "Error"
    shown = ("request-id",) if endpoint.shape == "anthropic" else ()
    told: dict[str, Any] = {
        "operationId": f"{endpoint.method.lower()}{path.replace('/', '_').replace('{', '').replace('}', '')}",
        "responses": {"200": _response("The answer.", _content(endpoint), (*_ANSWERED, *shown))},
    }
    told["responses"] |= {str(status): {"$ref": f"#/components/responses/{name}-{status}"} for status in _STATUSES}
    for name in ("model", "id"):
        if f"{{{name}}}" in path:
            told["parameters"] = [{"name": name, "in": "path", "required": True, "schema": _TEXT}]
    body = _body(endpoint)
    if body:
        told["requestBody"] = {"required": True, "content": body}
    return told


def _takes_json(endpoint: Endpoint) -> bool:
    return endpoint.handle in {complete, count_tokens} or endpoint.wire == "images/edits"


def _body(endpoint: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if _takes_json(endpoint):
        content["application/json"] = {"schema": _named(endpoint.decoder.type.__name__)}
    elif endpoint.handle is passthrough_batches.create:
        content["application/json"] = {"schema": _named("BatchRequest")}
    if endpoint.handle is passthrough_forms.form:
        content["multipart/form-data"] = {"schema": _named("Form")}
    elif endpoint.handle is passthrough_files.upload:
        content["multipart/form-data"] = {"schema": _named("FileForm")}
    return content


def _refusals(name: str, shown: tuple[str, ...]) -> dict[str, Any]:
    content = {"application/json": {"schema": _named(name)}}
    return {
        f"{name}-{status}": _response(text, content, (*_ALWAYS, *shown, *_ON_STATUS.get(status, ())))
        for status, text in _STATUSES.items()
    }


def _content(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.handle is passthrough_files.get_content or endpoint.wire.startswith("audio/"):
        return {"*/*": {}}
    if endpoint is endpoints.MODEL or endpoint is endpoints.MODELS:
        return {"application/json": {"schema": _named("Models" if endpoint is endpoints.MODELS else "Model")}}
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if "stream" in endpoint.decoder.type.__struct_fields__:
        content["text/event-stream"] = {"schema": _TEXT}
    return content


def _response(text: str, content: dict[str, Any], headers: tuple[str, ...]) -> dict[str, Any]:
    shown = {name: {"$ref": f"#/components/headers/{name}"} for name in dict.fromkeys(headers)}
    return {"description": text, "headers": shown, "content": content}


def _named(schema: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=schema)}


def _operators_paths() -> dict[str, Any]:
    json = {"application/json": {"schema": {"type": "object"}}}
    wrong = _response(_STATUSES[405], {"application/json": {"schema": _named("Error")}}, ("allow",))

    def path(text: str, found: dict[str, Any], others: dict[str, Any], *, key: bool = False) -> dict[str, Any]:
        responses = {"200": {"description": text, "content": found}, "405": wrong, **others}
        return {"get": {"responses": responses, "security": [{"bearer": []}] if key else []}}

    no_key = _response(_STATUSES[401], {"application/json": {"schema": _named("Error")}}, ("www-authenticate",))
    not_yet = {"description": "Starting, draining, or its configuration is too old.", "content": json}
    return {
        "/health/live": path("The process runs.", json, {}),
        "/health/ready": path("It takes requests.", json, {"503": not_yet}),
        "/metrics": path(
            "Counts for Prometheus; the key is the internal service key or the master key.",
            {"text/plain": {"schema": _TEXT}},
            {"401": no_key},
            key=True,
        ),
        "/openapi.json": path("This document.", json, {}),
    }


_FURTHER: Final[dict[str, Any]] = {
    "Error": {
        "type": "object",
        "additionalProperties": False,
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "additionalProperties": False,
                "required": ["message", "type", "param", "code"],
                "properties": {"message": _TEXT, "type": _TEXT, "param": _TEXT_OR_NULL, "code": _TEXT},
            }
        },
    },
    "AnthropicError": {
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "error", "request_id"],
        "properties": {
            "type": {"const": "error"},
            "error": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type", "message", "code"],
                "properties": {"type": _TEXT, "message": _TEXT, "code": _TEXT, "details": {"type": "object"}},
            },
            "request_id": _TEXT_OR_NULL,
        },
    },
    "BatchRequest": {
        "type": "object",
        "required": ["input_file_id", "endpoint"],
        "properties": {"input_file_id": _TEXT, "endpoint": _TEXT, "metadata": {"type": ["object", "null"]}},
    },
    "Form": {
        "description": "The model comes before the file, or in the header `x-scutum-model`.",
        "type": "object",
        "properties": {"model": _TEXT},
    },
    "FileForm": {
        "description": "The purpose, and the model if it is told, come before the file.",
        "type": "object",
        "required": ["purpose", "file"],
        "properties": {"purpose": _TEXT, "model": _TEXT, "file": {"type": "string", "format": "binary"}},
    },
    "Model": {
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "object", "created", "owned_by"],
        "properties": {"id": _TEXT, "object": {"const": "model"}, "created": {"type": "integer"}, "owned_by": _TEXT},
    },
    "Models": {
        "type": "object",
        "additionalProperties": False,
        "required": ["object", "data"],
        "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _named("Model")}},
    },
}


@cache
def render() -> bytes:
    """The document as JSON, the same for the same release."""
    return msgspec.json.format(msgspec.json.encode(document(), order="sorted"), indent=2) + b"\n"


def main() -> None:
    """Prints the document."""
    sys.stdout.write(render().decode())


if __name__ == "__main__":
    main()
