"""Licences in words."""

from __future__ import annotations

import pytest

from scutum_cli.render import licenses

FIELDS = {"present": True, "valid": True, "expired": False, "tier": "team", "days_remaining": 30, "error": None, "features": {}}


@pytest.mark.parametrize(
    ("changed", "words", "reminded"),
    [
        ({}, "team, 30 days left", None),
        ({"days_remaining": 15}, "team, 15 days left", None),
        ({"days_remaining": 14}, "team, 14 days left", "expires in 14 days"),
        ({"days_remaining": 1}, "team, 1 day left", "expires in 1 day."),
        ({"valid": False, "expired": True, "days_remaining": 0, "error": "It expired."}, "team, expired", "It expired."),
        ({"valid": False, "tier": None, "days_remaining": None, "error": "Tampered."}, "not valid", "Tampered."),
        ({"present": False, "valid": False, "tier": None, "days_remaining": None, "error": "None."}, "none", "None."),
        ({"error": "The clock was set back."}, "team, 30 days left", "The clock was set back."),
    ],
)
def test_a_licence_in_one_look_and_what_is_reminded_of(changed: dict, words: str, reminded: str | None) -> None:
    item = FIELDS | changed
    assert licenses.words(item) == words
    found = licenses.reminder(item)  # type: ignore[arg-type]
    assert found is None if reminded is None else reminded in (found or "")


def test_features_are_told_in_words() -> None:
    item = FIELDS | {"features": {"max_admins": None, "mcp_servers": 3, "sso": True, "sre_agent": False, "brand_new": True}}
    assert licenses.features(item) == "admins without bound, 3 MCP servers, single sign-on, brand new"  # type: ignore[arg-type]
