"""What each role may do: every route of the real application, asked by every role, against the table in the guide."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from scutum_server.access.models import ROLES
from scutum_server.admin import app as composition
from scutum_server.admin import auth, openapi, permissions
from scutum_server.admin.scope import unit_of_work
from scutum_server.errors import SettingsError
from tests.fixtures.access_guide import written
from tests.integration.admin.conftest import API, Admin


def routes(admin: Admin) -> list[tuple[str, str, str]]:
    """Name, method and a path that leads to nothing that exists, of every route that needs a session."""
    found = []
    for context in iter_route_contexts(admin.app.routes):
        if isinstance(context.original_route, APIRoute) and context.name not in permissions.OPEN:
            path = re.sub(r"\{[^}]*\}", "zzzz-no-such-thing", context.path_format)
            found += [(context.name, method, path) for method in sorted(context.methods)]
    return found


async def asked(admin: Admin, role: str, org_id: str | None) -> dict[str, httpx.Response]:
    """The answer of every route to a session of this role."""
    headers = await admin.session(role, org_id)
    return {
        f"{method} {name}": await admin.http.request(method, path, headers=headers)
        # The last one ends the session.
        for name, method, path in sorted(routes(admin), key=lambda route: route[0] == "logout")
    }


@pytest.mark.parametrize("bound", [False, True], ids=["install", "org"])
@pytest.mark.parametrize("role", ROLES)
async def test_every_route_asks_for_what_the_guide_says(admin: Admin, role: str, bound: bool) -> None:
    table = written()
    org_id = (await admin.get("/orgs"))["items"][0]["id"] if bound else None
    answers = await asked(admin, role, org_id)
    assert len(answers) >= 60
    for asked_for, answer in answers.items():
        permission = permissions.ROUTES[asked_for.partition(" ")[2]]
        may = table[permission][role] and (not bound or table[permission]["one org"])
        assert (answer.status_code != 403) == may, (asked_for, answer.text)
        assert answer.status_code < 500 and answer.status_code != 401, (asked_for, answer.text)
        if not may:
            assert answer.json()["code"] == "forbidden" and answer.json()["hint"]
    refused = sum(answer.status_code == 403 for answer in answers.values())
    rows = admin.audit("auth.forbid")
    assert len(rows) == refused
    assert {(row["outcome"], row["actor_kind"], row["org_id"]) for row in rows} <= {
        ("denied", "service-account", org_id or "global")
    }


VERIFYING = {("approver", "verify_audit_logs"), ("approver", "verify_archive")}


async def test_a_viewer_and_an_approver_change_nothing(admin: Admin) -> None:
    """Independent of the table: whatever is not a GET is refused, but what is about one's own session.

    An approver may have the audit trail and archives verified: that reads, and takes too long for a GET. So does a
    comparison of configurations, which takes a body.
    """
    for role in ("viewer", "approver"):
        for asked_for, answer in (await asked(admin, role, None)).items():
            method, _, name = asked_for.partition(" ")
            reads = method == "GET" or name == "diff_config" or (role, name) in VERIFYING
            if not reads and permissions.ROUTES[name] != "session":
                assert answer.status_code == 403, asked_for


def test_an_application_with_a_route_that_has_no_permission_does_not_start() -> None:
    app = composition.routes()
    openapi.mount(app, API)
    permissions.verify(app, (auth.authenticate, unit_of_work))

    @app.get("/api/v1/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(SettingsError) as caught:
        permissions.verify(app, (auth.authenticate, unit_of_work))
    assert "forgotten: no line in ROUTES" in caught.value.detail
    assert "forgotten: nobody is authenticated" in caught.value.detail


def test_a_line_without_a_route_does_not_start_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(permissions.ROUTES, "list_unicorns", "unicorns.read")
    app = composition.routes()
    openapi.mount(app, API)
    with pytest.raises(SettingsError, match="list_unicorns: there is no such route"):
        permissions.verify(app, (auth.authenticate, unit_of_work))
