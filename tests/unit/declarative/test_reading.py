"""What a file may be made of, and what is said about the rest, with its place."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scutum_server.declarative import document, reading, writing
from scutum_server.declarative.models import InvalidFile, Live


def faults(text: str) -> list[tuple[int | None, int | None, str, str]]:
    with pytest.raises(InvalidFile) as caught:
        document.parse(text)
    return [(one.get("line"), one.get("column"), one["field"], one["message"]) for one in caught.value.errors]


def fault(text: str) -> tuple[int | None, int | None, str, str]:
    (only,) = faults(text)
    return only


def test_every_fault_has_its_line_and_column() -> None:
    text = """version: 1
teams:
- name: search
  nit: research
- org: default
models:
- {name: a, provider: p, kind: chatty}
- name: b
  provider: p
  price: {input_nano: cheap, output_nano: 1}
keys:
- team: search
  name: ci
  sha256: sk-scutum-secret
budgets:
- {scope: team, team: search, period: month, amount_usd: lots}
"""
    assert faults(text) == [
        (4, 3, "teams[0].nit", "is not known here; did you mean unit?"),
        (5, 3, "teams[1].name", "is missing"),
        (7, 32, "models[0].kind", "is one of chat, embedding"),
        (10, 10, "models[1].price", "is a whole number from 0 to 1000000000000"),
        (14, 11, "keys[0].sha256", "is the SHA-256 of the key in 64 hexadecimal digits, never the key itself"),
        (16, 58, "budgets[0].amount_usd", "is a number of US dollars from 0 to 9000000, such as 25.50"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "begins with"),
        ("just words", 1, 1, "begins with"),
        ("teams: []", 1, 1, "is missing"),
        ("version: 2", 1, 10, "newer release"),
        ("version: one", 1, 10, "is 1 in this release"),
        ("version: 1\ntems: []", 2, 1, "did you mean teams?"),
        ("version: 1\nteams: search", 2, 8, "is a list"),
        ("version: 1\nteams:\n- search", 3, 3, "is an object"),
        ("version: 1\nteams:\n- name: a\n- name: a", 4, 3, "on line 3 already"),
        ("version: 1\nteams:\n- name: a\n  name: b", 4, 3, "is there twice"),
        ("version: 1\nteams: [", 3, 1, "not YAML"),
        ("version: 1\nteams:\n\t- name: a", 3, 1, "not YAML"),
        ("version: 1\n---\nversion: 1", 2, 1, "second document"),
        ("version: 1\nteams: &a []\nunits: *a", 2, 8, "anchors"),
        ("version: 1\nteams: !!python/object:os.system []", 2, 8, "tags"),
        ("version: 1\naliases:\n- name: fast", 3, 3, "is missing"),
        ("version: 1\naliases:\n- {name: fast, automatic: true, targets: [a]}", 3, 33, "automatic alias"),
        ("version: 1\nlimits:\n- {scope: team, team: a}", 3, 3, "at least one"),
        ("version: 1\nlimits:\n- {scope: team, rpm: 1}", 3, 3, "is needed by the scope team"),
        ("version: 1\nlimits:\n- {scope: global, user: x, rpm: 1}", 3, 19, "is not taken"),
        ("version: 1\nlimits:\n- {scope: galaxy, rpm: 1}", 3, 4, "is one of"),
        ("version: 1\nlimits:\n- {scope: global, rpm: 0}", 3, 24, "from 1 to"),
        ("version: 1\nlimits:\n- {scope: global, rpm: 1e3}", 3, 24, "whole number"),
        ("version: 1\nbudgets:\n- {scope: global, amount_usd: 1}", 3, 3, "day, week or month"),
        ("version: 1\nkeys:\n- {team: a, name: b, sha256: '" + "0" * 64 + "', expires_at: 2027-01-01}", 3, 110, "zone"),
        ("version: 1\nkeys:\n- {team: a, name: b, sha256: '" + "0" * 64 + "', allowed_ips: [10.0.0.1/8]}", 3, 111, "networks"),
        ("version: 1\nproviders:\n- {name: a, kind: openai, api_key: sk-secret-value}", 3, 36, "never the secret"),
        ("version: 1\nsettings: []", 2, 11, "names and values"),
        ("version: 1\nsettings: {keys.default_ttl_days: 0x10}", 2, 35, "plain decimal"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_is(text: str, line: int, column: int, words: str) -> None:
    found = fault(text)
    assert found[:2] == (line, column), found
    assert words in found[3] and "sk-secret" not in found[3]


def test_nesting_and_size_cannot_hurt() -> None:
    for text in ("[" * 200_000, "{a: " * 100_000, "- " * 100_000, "version: 1\nsettings: " + "[" * 5000 + "]" * 5000):
        assert "nested deeper" in fault(text)[3] or "not YAML" in fault(text)[3]
    assert "larger than" in fault("#" * (reading.MAX_FILE + 1))[3]
    assert "cannot be kept" in fault("version: 1\nteams: ['a\0b']")[3]


def test_at_most_twenty_faults_are_told() -> None:
    text = "version: 1\nteams:\n" + "- {}\n" * 100
    assert len(faults(text)) == 20


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
    | st.sampled_from(["null", "~", "yes", "on", "1e3", "1_000", "0x10", "010", "12:30", "2027-01-01", "=", "<<", "-", "1.", ".5", "+1", "0o7", "", " a "]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(VALUES)
def test_what_is_written_is_read_back_the_same(value: object) -> None:
    text = yaml.dump({"x": value}, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=1000)
    root = reading.read(text)
    assert isinstance(root, reading.Mapping)
    assert reading.plain_value(root.pairs["x"]) == value


def test_names_are_text_however_they_look() -> None:
    names = ["yes", "on", "null", "123", "1e3", "2027-01-01", "~", "tëam"]
    state = {"teams": {("default", name): Live(id="x", fields={}) for name in names}}
    found = document.parse(writing.write(state))["teams"]
    assert sorted(identity[1] for identity in found) == sorted(names)
    plain = document.parse("version: 1\nteams:\n- {org: on, name: 007}\n")["teams"]
    assert list(plain) == [("on", "007")]
