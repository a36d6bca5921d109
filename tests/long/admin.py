"""The admin API for longer: a thousand who want one name, and ever new requests made from its document.

    python -m pytest tests/long/admin.py

About five minutes.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from schemathesis.generation import GenerationMode
from tests.fixtures.admin_server import AdminServer
from tests.integration.admin.conftest import Admin, admin
from tests.integration.admin.test_bad_input import one_gets_the_name
from tests.integration.admin.test_document import ENDS_THE_SESSION, OPERATIONS, keeps_to_the_document, server

__all__ = ["admin", "server"]
LONG = settings(
    max_examples=100, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("noun", ["teams", "keys", "providers", "orgs"])
async def test_of_a_thousand_who_want_a_name_one_gets_it(admin: Admin, noun: str) -> None:
    await one_gets_the_name(admin, noun, 1000)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", sorted(OPERATIONS.keys() - ENDS_THE_SESSION))
def test_answers_keep_to_the_document(server: AdminServer, label: str, mode: GenerationMode) -> None:
    keeps_to_the_document(server, label, mode, LONG)
