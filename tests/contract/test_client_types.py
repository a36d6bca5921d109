"""The client's types are those of the admin API's OpenAPI document."""

from __future__ import annotations

from tests.tools import generate_client_types as tool


def test_the_generated_types_are_up_to_date() -> None:
    fresh = tool.generate(tool.document())
    assert tool.TARGET.read_text() == fresh, "run: python -m tests.tools.generate_client_types"


def test_a_changed_document_is_drift() -> None:
    changed = tool.document().replace('"tokens_in"', '"tokens_inward"')
    assert tool.generate(changed) != tool.TARGET.read_text()


def test_the_client_knows_what_the_server_sorts_and_filters_by() -> None:
    assert tool.LISTS.read_text() == tool.lists(tool.document()), "run: python -m tests.tools.generate_client_types"
