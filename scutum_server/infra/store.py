"""What every domain's store does with its connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString, TypeVar

from scutum_server.infra.db import Connection
from scutum_server.infra.listing import Ask, Listing
from scutum_server.infra.paging import Page
from scutum_server.infra.refs import Candidate, short_form

T = TypeVar("T")


class Store:
    """Reads and writes inside the connection's transaction; never commits.

    `scope` is the one org that may be seen, None for all; statements about what belongs to an org have it as
    `%(scope)s::text IS NULL OR org_id = %(scope)s`.
    """

    def __init__(self, conn: Connection, scope: str | None = None) -> None:
        self._conn = conn
        self._scope = scope

    @property
    def bound(self) -> bool:
        """Whether it sees one org only."""
        return self._scope is not None

    async def _rows(self, query: LiteralString, params: dict[str, Any]) -> list[dict[str, Any]]:
        return await (await self._conn.execute(query, {"scope": self._scope, **params})).fetchall()

    async def _row(self, query: LiteralString, params: dict[str, Any]) -> dict[str, Any] | None:
        return await (await self._conn.execute(query, {"scope": self._scope, **params})).fetchone()

    async def _page(self, listing: Listing, ask: Ask, make: Callable[[dict[str, Any]], T]) -> Page[T]:
        return await listing.page(self._conn, ask, make, scope=self._scope)

    async def _candidates(self, query: LiteralString, ref: str, prefix: str) -> list[Candidate]:
        """What `ref` may mean; ids begin with `prefix`, the query takes `ref` and `part`, a part of an id."""
        rows = await self._rows(query, {"ref": ref, "part": short_form(ref, prefix)})
        return [Candidate(**row) for row in rows]
