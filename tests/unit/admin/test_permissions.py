"""The guide's table of permissions is the code's."""

from __future__ import annotations

from scutum_server.access.models import ROLES
from scutum_server.admin.permissions import PERMISSIONS
from tests.fixtures.access_guide import written


def test_docs_access_md_says_of_every_permission_who_has_it() -> None:
    code = {
        name: {role: role in permission.roles for role in ROLES} | {"one org": not permission.install}
        for name, permission in PERMISSIONS.items()
    }
    assert written() == code
    assert list(written()) == list(PERMISSIONS)
