"""How people name an object: by id, by name, or by a unique beginning or end of the id."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import msgspec

from scutum_server.errors import Conflict, NotFound

_LEAST = 4
"""Characters of an id, after its type, that a short form must have: `t` must not delete the only team."""


class AmbiguousRef(Conflict):
    code = "ambiguous_ref"


class Candidate(msgspec.Struct, frozen=True):
    """An object that a reference may mean; `label` tells it from its namesakes, `live` is false once revoked."""

    id: str
    name: str
    label: str
    live: bool = True


def canonical(ref: str) -> str:
    """The reference in composed Unicode, as names are stored."""
    return unicodedata.normalize("NFC", ref)


def short_form(ref: str, prefix: str) -> str | None:
    """The reference as a beginning or end of an id with this prefix, or None when it is too short to be one."""
    digits = ref.removeprefix(prefix + "_")
    return ref if len(digits) >= _LEAST else None


def choose(ref: str, candidates: Sequence[Candidate], missing: NotFound) -> str:
    """The id that `ref` means: an id, else a name (live before dead), else a short form.

    Raises `missing` when there is none and AmbiguousRef, naming the candidates, when there are several.
    """
    for found in (
        [item for item in candidates if item.id == ref],
        [item for item in candidates if item.name == ref and item.live],
        [item for item in candidates if item.name == ref],
        list(candidates),
    ):
        if len(found) == 1:
            return found[0].id
        if found:
            listed = ", ".join(f"{item.id} ({item.label})" for item in found[:10])
            raise AmbiguousRef(f"“{ref}” means several: {listed}.", hint="Use the id of the one you mean.")
    raise missing
