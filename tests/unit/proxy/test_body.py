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

keys = st.one_of(
    st.sampled_from(["model", "messages", "stream_options", "mod\\u0065l", '"model"', "a"]),
    st.text().filter(lambda name: name == name.casefold()),  # names that differ in case only are refused
)
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


def test_values_keep_their_bytes() -> None:
    body = '{ "messages" : [ 1.50, "é" ,"\\u00e9"],\n "model" : "x\\"y" , "z":1e3,"big":1e400, "a":{"b":1,"b":2}}'.encode()
    told = '{"messages":[ 1.50, "é" ,"\\u00e9"],"model":"new","z":1e3,"big":1e400,"a":{"b":1,"b":2}}'
    assert with_model(body, "new") == told.encode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"stream":true,"messages":[],"stream":false,"model":"m"}',
        b'{"model":"m","messages":[],"max_tokens":99999,"max_tokens":5,"n":9,"n":1}',
        b'{"model":"m","messages":[],"max_tokens":99999,"max_\\u0074okens":5}',
    ],
)
def test_what_we_read_is_what_the_provider_reads(body: bytes) -> None:
    seen = decode(body, chat.REQUEST)
    sent = json.loads(with_model(body, "m"), object_pairs_hook=list)
    names = [name for name, _ in sent]
    assert len(names) == len(set(names))
    told = dict(sent)
    for name in ("stream", "max_tokens", "n"):
        assert told.get(name) == getattr(seen, name)


@pytest.mark.parametrize("name", ["Model", "MODEL", "mODEL", "\u017ftream", "Max_Tokens", "MESSAGES", "to\u006fLs", "N"])
def test_names_that_differ_from_ours_in_case_only_are_refused(name: str) -> None:
    for spelt in (json.dumps(name), json.dumps(name, ensure_ascii=False)):
        body = f'{{"model":"a","messages":[],{spelt}:"b"}}'.encode()
        with pytest.raises(InvalidInput, match="in case only") as caught:
            with_model(body, "x")
        assert caught.value.param == name


def test_other_names_may_be_in_any_case() -> None:
    body = '{"model":"a","messages":[{"Model":1}],"X":1,"Étage":2,"modeL2":3}'.encode()
    assert json.loads(with_model(body, "x")) == {**json.loads(body), "model": "x"}


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
