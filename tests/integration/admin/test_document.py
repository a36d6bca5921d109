"""The OpenAPI document: every example is what it says, and the real application keeps to it whatever it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from scutum_server.admin import openapi
from scutum_server.admin.app import routes
from tests.fixtures.admin_server import AdminServer, running_admin
from tests.fixtures.servers import Postgres, Valkey

DOCUMENT = json.loads(openapi.render(routes()))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
FIXED = settings(
    max_examples=5, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
NOUNS = {"orgs", "units", "teams", "keys", "providers", "models", "aliases", "limits", "budgets", "settings", "users", "service-accounts"}
ENDS_THE_SESSION = {"POST /api/v1/auth/logout", "PUT /api/v1/auth/password"}
# A reference of the right form mostly leads to nothing, and a name may be taken: that is no fault of the document. And
# its check of authentication repeats the call with the headers that are given here; test_sessions.py asks every route.
# On the wire, a parameter that is a list of one text is the text: what must be refused is in test_bad_input.py.
LENIENT = schemathesis.checks.CHECKS.get_by_names(["positive_data_acceptance", "negative_data_rejection", "ignored_auth"])


def bodies() -> list[tuple[str, dict, dict]]:
    """Operation, media type object with schema and example, of every JSON body in the document."""
    found = []
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            label = f"{method.upper()} {path}"
            for body in (operation.get("requestBody", {}), *(answer for status, answer in operation["responses"].items() if status != "default")):
                found += [(label, media) for kind, media in body.get("content", {}).items() if kind == "application/json" and media.get("schema")]
    return found


def test_every_body_has_an_example_that_its_schema_allows() -> None:
    assert len(bodies()) > 90
    for label, media in bodies():
        assert "example" in media, label
        schema = {**media["schema"], "components": DOCUMENT["components"]}
        errors = [str(error.message) for error in jsonschema_rs.validator_for(schema, validate_formats=True).iter_errors(media["example"])]
        assert errors == [], (label, media["example"], errors)


def test_every_change_can_be_tried_guarded_and_repeated() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items() if path.startswith("/api/v1/") else ():
            named = {(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", [])}
            if path.split("/")[3] not in NOUNS or path.endswith("/test"):
                continue
            changes = method != "get"
            assert (("query", "dry_run") in named) == changes, (method, path)
            assert (("header", "Idempotency-Key") in named) == (changes and method == "post"), (method, path)
            assert (("header", "If-Match") in named) == (changes and "{" in path), (method, path)
            assert operation["responses"]["default"]["content"].keys() == {"application/problem+json"}


@pytest.fixture(scope="module")
def server(postgres: Postgres, valkey: Valkey) -> Iterator[AdminServer]:
    name = postgres.clone()
    with running_admin(postgres.app(name), valkey.settings()) as it:
        yield it
    postgres.drop(name)


def keeps_to_the_document(server: AdminServer, label: str, mode: GenerationMode, limits: settings) -> None:
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    @limits
    def check(case: schemathesis.Case) -> None:
        answer = case.call(base_url=server.url, headers=server.headers)
        case.validate_response(answer, excluded_checks=LENIENT)

    check()


@pytest.mark.parametrize("label", sorted(OPERATIONS.keys() - ENDS_THE_SESSION))
def test_answers_keep_to_the_document(server: AdminServer, label: str) -> None:
    keeps_to_the_document(server, label, GenerationMode.POSITIVE, FIXED)
    operation = OPERATIONS[label]
    if operation.body or operation.query:
        keeps_to_the_document(server, label, GenerationMode.NEGATIVE, FIXED)
