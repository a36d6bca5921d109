"""Lists: one way to filter, sort and page through all of them by keyset, whatever their length.

A list declares what it can be sorted and filtered by, as SQL beside its store. Callers only choose among that by name;
what they send reaches the database as parameters.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final, LiteralString, TypeVar

import msgspec
import psycopg
from msgspec import Struct

from scutum_server.errors import InvalidInput
from scutum_server.infra.db import Connection
from scutum_server.infra.paging import Page

T = TypeVar("T")
_LAST: Final = "\U0010ffff"
"""Sorts after everything that begins like the text before it, by code point."""


class Ask(Struct, frozen=True, kw_only=True):
    """What a caller wants to see of a list; `sort` is a column's name, with a `-` before it for the other way."""

    limit: int = 100
    cursor: str | None = None
    sort: str | None = None
    filters: Mapping[str, str] = msgspec.field(default_factory=dict)


class Sort(Struct, frozen=True):
    """An expression that is never null, and its type; an index on (expression, id) keeps the list flat."""

    expression: LiteralString
    type: LiteralString = "text"


class Match(Struct, frozen=True):
    """A condition on the parameter `value`; `prefix` is for values that end in `*`, and has `end` as well."""

    exact: LiteralString
    prefix: LiteralString | None = None


class Choice(Struct, frozen=True):
    """A condition for each value that there is."""

    conditions: Mapping[str, LiteralString]


def text(column: LiteralString) -> Match:
    """The column is this text, or begins with it; served by an index on the column with COLLATE "C"."""
    folded = column + ' COLLATE "C"'
    return Match(folded + " = %(value)s", folded + " >= %(value)s AND " + folded + " < %(end)s")


def exact(column: LiteralString) -> Match:
    return Match(column + " = %(value)s")


def by_text(column: LiteralString) -> Sort:
    """By code point: the same in every locale, and on every release of its rules."""
    return Sort(column + ' COLLATE "C"')


class Listing:
    """`columns` and `source` are what stands behind SELECT and FROM; `id` is unique and settles ties.

    `scope` is a condition on the parameter `scope`, the org that a session is bound to; it is left out for others.
    """

    def __init__(
        self,
        kind: str,
        *,
        columns: LiteralString,
        source: LiteralString,
        id: LiteralString,  # noqa: A002
        sorts: Mapping[str, Sort],
        filters: Mapping[str, Match | Choice] | None = None,
        scope: LiteralString | None = None,
    ) -> None:
        self.kind = kind
        self.sorts = sorts
        self.filters = filters or {}
        self._columns = columns
        self._source = source
        self._id = id
        self._scope = scope
        self._texts: dict[tuple[object, ...], LiteralString] = {}

    @property
    def default_sort(self) -> str:
        return next(iter(self.sorts))

    async def page(
        self,
        conn: Connection,
        ask: Ask,
        make: Callable[[dict[str, Any]], T],
        *,
        scope: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Page[T]:
        """The part of the list that `ask` wants, and the cursor of the next one.

        Raises InvalidInput for a column that the list has not, and for a cursor of another list or order.
        """
        sort = ask.sort or self.default_sort
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        if name not in self.sorts:
            raise InvalidInput(
                "This list cannot be sorted by that.", param="sort", hint=f"Known here: {', '.join(self.sorts)}."
            )
        given = {"limit": ask.limit + 1, "scope": scope, **(params or {})}
        conditions = self._conditions(ask.filters, given)
        if scope is not None and self._scope is not None:
            conditions.append(self._scope)
        position = self._position(ask.cursor, sort)
        if position is not None:
            given["after_key"], given["after_id"] = position
        rows = await self._rows(conn, name, descending, conditions, given, position is not None)
        keys = [row.pop("page_key") for row in rows]
        ids = [row.pop("page_id") for row in rows]
        last = ask.limit - 1
        following = _encode([self.kind, sort, keys[last], ids[last]]) if len(rows) > ask.limit else None
        return Page([make(row) for row in rows[: ask.limit]], following)

    async def _rows(
        self,
        conn: Connection,
        sort: str,
        descending: bool,
        conditions: list[LiteralString],
        given: Mapping[str, Any],
        follows: bool,
    ) -> list[dict[str, Any]]:
        shape = (sort, descending, tuple(conditions), follows)
        query = self._texts.get(shape)
        if query is None:
            query = self._texts[shape] = self._query(self.sorts[sort], descending, conditions, follows)
        try:
            return await (await conn.execute(query, given)).fetchall()
        except psycopg.DataError:
            # The sort keys of a cursor that somebody has made up.
            raise _wrong_cursor() from None

    def _query(self, sort: Sort, descending: bool, conditions: list[LiteralString], follows: bool) -> LiteralString:
        """Put together from what the list declares: nothing of a caller's is in it."""
        key, way, sign = sort.expression, (" DESC" if descending else ""), ("<" if descending else ">")
        held = list(conditions)
        if key == self._id:
            order = f"{key}{way}"
            position = f"{key} {sign} %(after_id)s"
        else:
            order = f"{key}{way}, {self._id}{way}"
            position = f"({key}, {self._id}) {sign} (%(after_key)s::{sort.type}, %(after_id)s::text)"
        if follows:
            held.append(position)
        where = " WHERE " + " AND ".join(f"({each})" for each in held) if held else ""
        return (
            f"SELECT {self._columns}, ({key})::text AS page_key, {self._id} AS page_id FROM {self._source}{where}"
            f" ORDER BY {order} LIMIT %(limit)s"
        )

    def _conditions(self, filters: Mapping[str, str], given: dict[str, Any]) -> list[LiteralString]:
        found: list[LiteralString] = []
        for name, known in self.filters.items():
            value = filters.get(name)
            if value is None:
                continue
            if isinstance(known, Choice):
                if value not in known.conditions:
                    raise InvalidInput(
                        f"There is no {name} of this name.", param=name, hint=f"Known: {', '.join(known.conditions)}."
                    )
                found.append(known.conditions[value])
                continue
            condition = known.exact
            given[f"filter_{name}"] = value
            if known.prefix is not None and value.endswith("*"):
                condition = known.prefix.replace("%(end)s", f"%(end_{name})s")
                given[f"filter_{name}"], given[f"end_{name}"] = value[:-1], value[:-1] + _LAST
            found.append(condition.replace("%(value)s", f"%(filter_{name})s"))
        unknown = filters.keys() - self.filters.keys()
        if unknown:
            known_names = ", ".join(self.filters) or "nothing"
            raise InvalidInput(
                "This list cannot be filtered by that.", param=min(unknown), hint=f"Known here: {known_names}."
            )
        return found

    def _position(self, cursor: str | None, sort: str) -> tuple[str, str] | None:
        if not cursor:
            return None
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            kind, order, key, identity = msgspec.json.decode(raw, type=tuple[str, str, str, str])
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            raise _wrong_cursor() from None
        if (kind, order) != (self.kind, sort) or "\0" in key + identity:
            raise _wrong_cursor()
        return key, identity


def _encode(position: list[str]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def _wrong_cursor() -> InvalidInput:
    return InvalidInput(
        "This cursor does not belong to this list in this order.",
        code="invalid_cursor",
        hint="Start again without a cursor.",
        param="cursor",
    )
