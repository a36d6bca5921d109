"""A rollback switches code only: the previous release must read and write the schema that the next one leaves behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fixtures import previous_release

# What the data plane and finance live on; tests/long/previous_release.py runs the rest.
ESSENTIAL = (
    "tests/integration/usage/test_ingest.py::test_every_field_arrives_in_its_column",
    "tests/integration/usage/test_ingest.py::test_rollups_are_by_hour_and_dimension_and_count_errors",
    "tests/integration/admin/test_audit.py::test_the_change_and_its_row_stand_or_fall_together",
    "tests/integration/admin/test_gateway.py::test_a_provider_is_changed_field_by_field",
    "tests/integration/admin/test_gateway.py::test_a_model_is_made_changed_and_deleted",
    "tests/integration/admin/test_gateway.py::test_an_alias_points_at_models_that_exist",
    "tests/integration/admin/test_identity.py::test_a_team_is_made_found_and_deleted",
    "tests/integration/admin/test_identity.py::test_a_key_expires_is_changed_and_revoked",
    "tests/integration/admin/test_usage.py::test_a_long_window_from_rollups_is_exact_to_its_edges",
    "tests/integration/proxy/test_keys.py::test_a_key_is_charged_to_its_team_and_owner",
    "tests/integration/proxy/test_keys.py::test_a_revoked_key_stops_at_once_even_on_an_open_connection",
)


@pytest.mark.timeout(600)  # many tests in one, on a machine that may do other things
def test_the_previous_release_reads_and_writes_this_schema(tmp_path: Path) -> None:
    previous_release.unpack(tmp_path)
    done = previous_release.run(tmp_path, "-n", "0", *ESSENTIAL)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0 and passed, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    assert int(passed[1]) >= len(ESSENTIAL)
