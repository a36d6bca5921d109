"""The name on the package index belongs to somebody else's project: an install never asks for it."""

from __future__ import annotations

import pytest

from tests.fixtures.index import RecordingIndex
from tests.fixtures.install import Installed

pytestmark = [pytest.mark.xdist_group("install"), pytest.mark.timeout(300)]


def test_an_install_asks_the_index_for_its_dependencies_and_never_for_itself(
    installed: Installed, index: RecordingIndex
) -> None:
    assert "psycopg" in index.asked and "circus" in index.asked and "hatchling" in index.asked
    assert not [name for name in index.asked if name.lower().startswith("scutum")]
