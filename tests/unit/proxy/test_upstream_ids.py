"""Wrapped ids: the way back is found, and nobody else's."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scutum_server.errors import NotFound
from scutum_server.infra.ids import new_id
from scutum_server.proxy.ids.wrapped import UpstreamId, UpstreamIds

SECRET = bytes(range(32))
IDS = UpstreamIds(SECRET)

vendor_ids = st.one_of(
    st.from_regex(r"\A(file-|batch_|resp_|msg_|file_)[A-Za-z0-9]{1,60}\Z"),
    st.uuids().map(str),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=80),
)
ours = st.one_of(
    st.sampled_from([new_id("dep"), new_id("team"), "team_default", "dep_", "dep_UPPERCASE0000000"]),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
)


@given(vendor_ids, ours, ours)
def test_what_was_wrapped_comes_back_and_is_always_the_same_text(vendor: str, deployment: str, team: str) -> None:
    wrapped = IDS.wrap(vendor, deployment, team)
    assert IDS.unwrap(wrapped, team) == UpstreamId(vendor, deployment, team)
    assert re.fullmatch(r"[a-z]{1,16}[-_][A-Za-z0-9_-]+", wrapped)
    assert wrapped == IDS.wrap(vendor, deployment, team)


@given(vendor_ids, ours, ours, ours)
def test_another_teams_id_is_unknown(vendor: str, deployment: str, team: str, other: str) -> None:
    assume(team != other)
    with pytest.raises(NotFound):
        IDS.unwrap(IDS.wrap(vendor, deployment, team), other)


@given(vendor_ids, ours, ours, st.data())
def test_a_changed_id_is_unknown(vendor: str, deployment: str, team: str, data: st.DataObject) -> None:
    wrapped = IDS.wrap(vendor, deployment, team)
    place = data.draw(st.integers(0, len(wrapped) - 1))
    letter = data.draw(st.characters(codec="utf-8"))
    changed = data.draw(
        st.sampled_from([
            wrapped[:place] + letter + wrapped[place + 1 :], wrapped[:place], wrapped[:place] + letter + wrapped[place:],
            wrapped + "=", wrapped + "A", wrapped + "\n", " " + wrapped,
        ])
    )  # fmt: skip
    assume(changed != wrapped)
    with pytest.raises(NotFound):
        IDS.unwrap(changed, team)


@given(st.one_of(st.text(), st.from_regex(r"\A(file-|batch_)[A-Za-z0-9_-]{0,200}\Z")))
def test_an_id_that_was_made_up_is_unknown(text: str) -> None:
    with pytest.raises(NotFound, match="There is no object"):
        IDS.unwrap(text, "team_default")


@given(vendor_ids, vendor_ids, ours, ours)
def test_different_ids_stay_different(one: str, two: str, deployment: str, team: str) -> None:
    assert (IDS.wrap(one, deployment, team) == IDS.wrap(two, deployment, team)) == (one == two)


def test_the_providers_prefix_stays_and_the_length_is_sane() -> None:
    deployment, team = new_id("dep"), new_id("team")
    for vendor in ("file-" + "a" * 22, "batch_" + "b" * 32, "resp_" + "c" * 48):
        wrapped = IDS.wrap(vendor, deployment, team)
        assert wrapped.startswith(vendor[: len(vendor.rstrip(vendor[-1]))])
        assert len(wrapped) <= len(vendor) * 4 / 3 + 60
    assert IDS.wrap("497f6eca-6276-4993-bfeb-53cbbbba6f08", deployment, team).startswith("id_")


def test_another_installs_ids_are_unknown() -> None:
    wrapped = UpstreamIds(bytes(32)).wrap("file-1", "dep_1", "team_default")
    with pytest.raises(NotFound):
        IDS.unwrap(wrapped, "team_default")


def test_a_prefix_cannot_be_exchanged() -> None:
    wrapped = IDS.wrap("file-1", "dep_1", "team_default")
    with pytest.raises(NotFound):
        IDS.unwrap(wrapped.replace("file-", "batch_", 1), "team_default")
