"""Units that providers report, out of answers of any size."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scutum_server.wire.reported import KEPT_BYTES, Skimmer, units_in

texts = st.text(max_size=60) | st.text('\\"/ab', max_size=60)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def skim(data: bytes, size: int) -> Skimmer:
    skimmer = Skimmer()
    for start in range(0, len(data), size):
        skimmer.feed(data[start : start + size])
    return skimmer


@given(documents, st.booleans(), st.integers(1, 50))
def test_small_documents_are_kept_as_they_are(document: Any, ascii_only: bool, size: int) -> None:
    data = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert bytes(skim(data, size)._kept) == data


@given(st.text('\\"x', min_size=KEPT_BYTES + 1, max_size=KEPT_BYTES * 3), st.integers(1, 500))
def test_long_strings_leave_nothing_but_their_quotes(text: str, size: int) -> None:
    document = {"a": text, "b": [text], "usage": {"input_tokens": 3}}
    found = skim(json.dumps(document).encode(), size).document()
    assert found == {"a": "", "b": [""], "usage": {"input_tokens": 3}}


def test_events_are_read_one_by_one_and_forgotten() -> None:
    skimmer = Skimmer()
    data = b"".join(b"event: x\ndata: " + json.dumps({"n": n, "b64": "A" * 50_000}).encode() + b"\n\n" for n in range(500))
    found = []
    for start in range(0, len(data), 7000):
        skimmer.feed(data[start : start + 7000])
        found += list(skimmer.events())
        assert len(skimmer._kept) < 2 * KEPT_BYTES
    assert found == [{"n": n, "b64": ""} for n in range(500)]


def test_what_is_large_without_long_strings_is_not_kept_beyond_all_bounds() -> None:
    skimmer = skim(b"[" + b"1," * 3_000_000 + b"1]", 65536)
    assert skimmer.document() is None
    assert len(skimmer._kept) <= 1024 * 1024


@pytest.mark.parametrize(
    ("answer", "units"),
    [
        ({"usage": {"total_tokens": 9}}, {"input_tokens": 9, "output_tokens": 0}),
        ({"usage": {"type": "duration", "seconds": 7.5}}, {"audio_seconds": Decimal("7.5")}),
        ({"meta": {"tokens": {"input_tokens": 4}, "billed_units": {"search_units": 1}}}, {"input_tokens": 4, "output_tokens": 0}),
        ({"usage": {"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"image_tokens": 9, "cached_tokens": 3}}},
         {"input_tokens": 5, "output_tokens": 2, "input_image_tokens": 5, "cache_read_tokens": 3}),
        ({"usage": {"input_tokens": -1}}, None), ({"usage": {"input_tokens": 10**12}}, None),
        ({"usage": {"input_tokens": True}}, None), ({"usage": {"type": "duration", "seconds": -1}}, None),
        ({"usage": {"type": "duration", "seconds": float("nan")}}, None), ({"usage": "much"}, None), ([], None), (None, None),
        ({"meta": {"billed_units": {"search_units": 1}}}, None),
    ],
)  # fmt: skip
def test_units(answer: Any, units: Any) -> None:
    assert units_in(answer) == units


def test_an_images_output_is_images_unless_it_says_more() -> None:
    plain = units_in({"usage": {"input_tokens": 1, "output_tokens": 7}}, images=True)
    assert plain is not None and plain["output_image_tokens"] == 7
    details = {"text_tokens": 2, "image_tokens": 5}
    said = units_in({"usage": {"input_tokens": 1, "output_tokens": 7, "output_tokens_details": details}}, images=True)
    assert said is not None and (said["output_image_tokens"], said["output_text_tokens"]) == (5, 2)
