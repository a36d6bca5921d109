"""capabilities.json is what the tool makes of the locked packages' data."""

from __future__ import annotations

import pytest
from tests.tools.generate_capabilities import TARGET, generate


@pytest.mark.timeout(600)
@pytest.mark.xdist_group("litellm")
def test_the_file_is_what_the_locked_packages_say() -> None:
    assert TARGET.read_text() == generate(), "run: python -m tests.tools.generate_capabilities"
