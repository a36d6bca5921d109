"""Several places that hold rows, read as one list, newest first, as far as a page needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from scutum_server.audit.models import AuditRow, Place

BEHIND_ALL: Final = "\U0010ffff"
"""Sorts after every id."""


class Source(Protocol):
    """Rows in one place. Everything from `frontier` on, towards now, has been given; None: everything."""

    @property
    def frontier(self) -> Place | None: ...

    async def advance(self) -> list[AuditRow]:
        """Some more rows, perhaps none; the frontier is further back afterwards."""


async def newest(
    sources: Sequence[Source], limit: int, in_time: Callable[[], bool]
) -> tuple[list[AuditRow], Place | None]:
    """Up to `limit` rows, each once; and where to go on, or None when nothing follows.

    A source is not touched before its rows are due. Once `in_time` says no, what is certain by then is all: fewer rows
    than the limit, perhaps none, and a place to go on from.
    """
    known: dict[Place, AuditRow] = {}
    start = max((source.frontier for source in sources if source.frontier is not None), default=None)
    while True:
        reading = [source for source in sources if source.frontier is not None]
        frontier = max((source.frontier for source in reading if source.frontier is not None), default=None)
        places = sorted((place for place in known if frontier is None or place >= frontier), reverse=True)
        if len(places) > limit:
            return [known[place] for place in places[:limit]], places[limit - 1]
        # A page that went nowhere would be asked for again, for ever.
        if frontier is None or (frontier != start and not in_time()):
            return [known[place] for place in places], frontier
        ahead = next(source for source in reading if source.frontier == frontier)
        for row in await ahead.advance():
            known.setdefault((row.timestamp, row.id), row)
