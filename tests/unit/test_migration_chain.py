"""Migrations follow each other in one line."""

from __future__ import annotations

import re
from pathlib import Path

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"


def test_every_migration_has_a_number_of_its_own_and_follows_the_one_before() -> None:
    before = None
    for number, file in enumerate(sorted(VERSIONS.glob("[0-9]*.py")), 1):
        text = file.read_text()
        revision = re.search(r'^revision = "(\d+)"', text, re.M)
        follows = re.search(r'^down_revision = (?:"(\d+)"|None)', text, re.M)
        assert revision and follows, file.name
        assert revision[1] == f"{number:04}" == file.name[:4], file.name
        assert follows[1] == before, file.name
        before = revision[1]
