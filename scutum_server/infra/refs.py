"""How people name an object: by id, by name, or by a unique beginning or end of the id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from scutum_server.errors import Conflict, NotFound
from scutum_server.infra import names

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
    """The reference in the form in which names are stored."""
    return names.canonical(ref)


def short_form(ref: str, prefix: str) -> str | None:
    """The reference as a beginning or end of an id with this prefix, or None when it is too short to be one."""
    digits = ref.removeprefix(prefix + "_")
    return ref if len(digits) >= _LEAST else None


def query(
    table: LiteralString,
    *,
    label: LiteralString,
    joins: LiteralString = "",
    name: LiteralString | None = "name",
    org: LiteralString | None = None,
    live: LiteralString | None = None,
) -> LiteralString:
    """The query for up to 11 candidates among the rows `c` of a table; takes `ref`, `part` and `scope`.

    Each way to name a row is an arm with an index of its own: an OR over them would read the whole table. `org` and
    `live` are expressions over the table's own columns.
    """
    held = f" AND (%(scope)s::text IS NULL OR {org} = %(scope)s)" if org else ""
    named = ""
    if name is not None:
        first = f"({live}) DESC, id" if live else "id"
        named = f"""
    UNION (SELECT id FROM {table} WHERE {name} COLLATE "C" = %(ref)s{held} ORDER BY {first} LIMIT 11)"""
    alive = f", {live} AS live" if live else ""
    order = f"c.{name} = %(ref)s DESC, " if name is not None else ""
    return f"""
SELECT c.id, {f"c.{name}" if name else "c.id"} AS name, {label} AS label{alive} FROM {table} c {joins}
WHERE c.id IN (
    SELECT id FROM {table} WHERE id = %(ref)s{held}{named}
    UNION (SELECT id FROM {table} WHERE id COLLATE "C" >= %(part)s AND id COLLATE "C" < %(part)s || '~'{held}
        ORDER BY id COLLATE "C" LIMIT 11)
    UNION (SELECT id FROM {table} WHERE reverse(id) COLLATE "C" >= reverse(%(part)s)
        AND reverse(id) COLLATE "C" < reverse(%(part)s) || '~'{held} LIMIT 11)
)
ORDER BY c.id = %(ref)s DESC, {order}{f"({live}) DESC, " if live else ""}c.id LIMIT 11
"""


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
