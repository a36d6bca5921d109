"""Naming another model in a body: whatever the JSON, the provider reads one model and nothing else is changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scutum_server.errors import InvalidInput
from scutum_server.wire import chat
from scutum_server.wire.body import decode, with_model

keys = st.one_of(st.sampled_from(["model", "messages", "stream_options", "mod\\u0065l", '"model"', "a"]), st.text())
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.sampled_from(["model", '"model"', '"model":"x"', "\\u"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(
    fields=st.dictionaries(keys, values, max_size=4), model=st.text(), name=st.text(), ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]), include_usage=st.booleans(),
)  # fmt: skip
def test_only_the_model_changes(
    fields: dict[str, Any], model: str, name: str, ascii_only: bool, indent: int | None, include_usage: bool
) -> None:
    document = {**fields, "model": model}
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    want = {**document, "model": name}
    if include_usage:
        options = document.get("stream_options")
        want["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    got = with_model(body, name, include_usage=include_usage)
    assert json.loads(got) == want
    pairs: list[list[tuple[str, Any]]] = []
    json.loads(got, object_pairs_hook=lambda seen: pairs.append(seen))
    assert [key for key, _ in pairs[-1]].count("model") == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b","messages":[]}',
        b'{"model":"a","messages":[],"mod\\u0065l":"b"}',
        b'{"\\u006dodel":"a","model":"b","messages":[]}',
    ],
)
def test_duplicates_are_gone_and_ours_is_what_the_check_saw(body: bytes) -> None:
    sent = json.loads(with_model(body, decode(body, chat.REQUEST).model), object_pairs_hook=list)
    assert [pair for pair in sent if pair[0] == "model"] == [("model", "b")]


def test_an_untouched_body_keeps_its_bytes() -> None:
    body = '{ "messages" : [ 1.50, "é" ],\n "model" : "x\\"y" , "z":1e3}'.encode()
    assert with_model(body, "new") == '{ "messages" : [ 1.50, "é" ],\n "model":"new" , "z":1e3}'.encode()


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_a_client_error(body: bytes) -> None:
    try:
        assert isinstance(decode(body, chat.REQUEST).model, str)
    except InvalidInput as error:
        assert error.status == 400


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"model": 3, "messages": []}', "The field `model` must be a string, not a whole number."),
        (b'{"messages": []}', "The field `model` is missing."),
        (b'{"model": "m", "messages": {}}', "The field `messages` must be a list, not an object."),
        (b'{"model": "m", "messages": [], "n": 1e400}', "The field `n` cannot be read: number out of range."),
        (b"[]", "The request body must be an object, not a list."),
        (b'{"model": "m", "messages": [], "stream_options": {"include_usage": 1}}',
         "The field `stream_options.include_usage` must be true or false or null, not a whole number."),
    ],
)  # fmt: skip
def test_the_sentence_names_field_and_fault(body: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(body, chat.REQUEST)
    assert caught.value.detail == message
