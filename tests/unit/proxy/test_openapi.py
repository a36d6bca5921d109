"""The data plane's document: no endpoint is missing, and nothing in it leads nowhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from scutum_server import __version__
from scutum_server.proxy import app, endpoints, openapi
from scutum_server.proxy.endpoints import Endpoint

DOCUMENT: dict[str, Any] = json.loads(openapi.render())


def tabled(found: Any, path: str | None = None) -> Iterator[tuple[str | None, Endpoint]]:
    """Every endpoint in the tables of `endpoints`, with the path under which it stands, if any."""
    if isinstance(found, Endpoint):
        yield path, found
    elif isinstance(found, dict):
        for name, value in found.items():
            place = name.decode() if isinstance(name, bytes) else path
            if place is not None and not place.startswith("/"):
                place = f"/v1/{place}"
            yield from tabled(value, place)
    elif isinstance(found, list | tuple | set | frozenset):
        for value in found:
            yield from tabled(value, path)


TABLED = [each for name, value in vars(endpoints).items() if not name.startswith("_") for each in tabled(value)]


def same_path(documented: str, tabled: str) -> bool:
    """Ids are stars in the tables and named in braces in the document."""
    ours, theirs = documented.split("/"), tabled.split("/")
    return len(ours) == len(theirs) and all(
        one == other or (one.startswith("{") and other == "*") for one, other in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize(("path", "endpoint"), TABLED, ids=lambda each: getattr(each, "route", each))
def test_no_endpoint_is_missing(path: str | None, endpoint: Endpoint) -> None:
    method = endpoint.method.lower()
    told = [known for known, operations in DOCUMENT["paths"].items() if method in operations]
    if path is None:
        assert any(known.startswith(endpoint.route) for known in told)
    else:
        assert any(same_path(known, path) for known in told)


def test_the_operators_paths_are_told_and_nothing_else() -> None:
    known = {path for path in DOCUMENT["paths"] if not path.startswith("/v1/")}
    assert known == {path.decode() for path in app.OPERATORS}
    routes = {endpoint.route for _, endpoint in TABLED}
    for path in DOCUMENT["paths"].keys() - known:
        assert any(path == route or path.startswith(f"{route}/") for route in routes)


def references(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        for name, value in found.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(found, list):
        for value in found:
            yield from references(value)


def test_every_reference_leads_somewhere() -> None:
    for reference in set(references(DOCUMENT)):
        place: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_errors_are_told_in_the_format_of_the_path() -> None:
    for path, endpoint in openapi.routes():
        responses = DOCUMENT["paths"][path][endpoint.method.lower()]["responses"]
        want = "AnthropicError" if endpoint.shape == "anthropic" else "Error"
        for status, response in responses.items():
            assert status == "200" or response["$ref"].startswith(f"#/components/responses/{want}-")


def test_it_is_printed_without_a_server_and_is_always_the_same() -> None:
    done = subprocess.run([sys.executable, "-m", "scutum_server.proxy.openapi"], capture_output=True, check=True)
    assert done.stdout == openapi.render()
    assert json.loads(done.stdout)["info"]["version"] == __version__
