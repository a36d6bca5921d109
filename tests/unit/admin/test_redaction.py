"""Secrets on their way into the audit trail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scutum_server.audit.models import REDACTED, diff, redact


@pytest.mark.parametrize(
    "value",
    [
        {"api_key": "x"}, {"apiKey": "x"}, {"API_KEY": "x"}, {"password": "x"}, {"db_password": "x"}, {"clientSecret": "x"},
        {"deep": [{"Authorization": "x"}]}, {"token": "x"}, {"access_token": "x"}, {"hash": "x"}, {"private_key": {"pem": "x"}},
        {"note": "use sk-live-0123456789abcdefghij now"}, {"note": "Bearer abcdefghijkl"}, {"url": "https://u:x@host/"},
        {"note": "-----BEGIN RSA PRIVATE KEY-----\nx\n"}, {"sk-live-0123456789abcdefghij": 1}, ["ghp_" + "a" * 36],
        {"jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"}, {"aws": "AKIAIOSFODNN7EXAMPLE"},
    ],
)  # fmt: skip
def test_secrets_are_redacted_by_name_or_by_look(value: object) -> None:
    text = str(redact(value))
    assert REDACTED in text
    for secret in ("'x'", "0123456789", "abcdefghijkl", ":x@", "\nx\n", "aaaa", "eyJ", "AKIA"):
        assert secret not in text


@pytest.mark.parametrize(
    "value",
    [
        {"api_key_hint": "sk-…abcd", "hint": "a…b"}, {"tokens_in": 5, "max_tokens": 3}, {"monkey": "x", "keys": ["a"]},
        {"api_key": None}, {"name": "sk-short"}, {"url": "https://host:8000/v1"}, {"n": [1, 2.5, True, None]},
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(value: object) -> None:
    assert redact(value) == value


def test_a_diff_shows_what_changed_and_that_a_secret_did() -> None:
    assert diff({"a": 1, "b": 2, "password": "x"}, {"a": 1, "b": 3, "password": "y"}) == {
        "before": {"b": 2, "password": REDACTED}, "after": {"b": 3, "password": REDACTED},
    }  # fmt: skip
    assert diff(None, {"token": "t", "a": 1}) == {"before": None, "after": {"token": REDACTED, "a": 1}}
    assert diff({"a": 1}, {"a": 1, "b": 2}) == {"before": {"b": None}, "after": {"b": 2}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_redaction_keeps_the_shape_of_any_json_and_is_stable(value: object) -> None:
    once = redact(value)
    assert redact(once) == once
    assert type(once) is type(value)
