"""Spend reports: requests, tokens and money by up to two dimensions."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from scutum_server.errors import InvalidInput
from scutum_server.infra import paging
from scutum_server.usage.report_store import Position, ReportStore, Row, Window

DIMENSIONS = ("model", "team", "key", "provider")
_NAMED = {"team", "key"}
_HOUR = dt.timedelta(hours=1)
_SHORT = dt.timedelta(days=2)
"""Shorter windows are read from the log alone."""
_LONGEST = dt.timedelta(days=3660)
_SPAN = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class ReportService:
    """`clock` gives the time now in UTC."""

    def __init__(self, store: ReportStore, clock: Callable[[], dt.datetime]) -> None:
        self._store = store
        self._clock = clock

    async def report(
        self, by: str | None, since: str | None, until: str | None, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """The groups, dearest first, and the total of all of them, for `since` ≤ t < `until`.

        Exact to the microsecond: windows under two days are summed from spend_logs, one row a request; longer ones
        take whole UTC hours from spend_rollups and the two partial hours at the edges from spend_logs, in one
        statement. A request's time is its start (the time inside its id). What is still on its way from the proxies
        (up to 5 s) is not in it yet. `by` is up to two of DIMENSIONS, separated by a comma; none gives one group.
        `since` and `until` are a span before now (15m, 24h, 30d, 2w) or an ISO time; the default is the last 24 h.
        A cursor pins both, so that the pages of one report agree.
        """
        dimensions = _dimensions(by)
        pinned = paging.decode("usage", cursor, 6)
        now = self._clock()
        start = _moment(pinned[0] if pinned else since or "24h", now, "since")
        end = _moment(pinned[1], now, "until") if pinned else _moment(until, now, "until") if until else now
        if not start < end or end - start > _LONGEST:
            raise InvalidInput("`since` must lie before `until`, ten years at most.", param="since")
        rows = await self._store.report(
            _window(start, end),
            dimensions[0] if dimensions else None,
            dimensions[1] if len(dimensions) > 1 else None,
            limit + 1,
            _position(pinned),
        )
        edges = (start.isoformat(), end.isoformat())
        page = paging.cut(
            "usage", rows, limit, lambda row: (*edges, str(row.cost_nano_usd), str(row.requests), row.first, row.second)
        )
        return {
            "items": [_item(row, dimensions) for row in page.items],
            "total": _total(rows[0] if rows else None),
            "since": start,
            "until": end,
            "next": page.next,
        }


def _dimensions(by: str | None) -> list[str]:
    wanted = [name.strip() for name in by.split(",")] if by else []
    for name in wanted:
        if name not in DIMENSIONS:
            raise InvalidInput(
                f"Usage cannot be grouped by “{name}”.",
                code="unknown_dimension",
                hint=f"Group by one or two of: {', '.join(DIMENSIONS)}.",
                param="by",
            )
    if len(wanted) > 2 or len(set(wanted)) != len(wanted):
        raise InvalidInput("Group by one or two different dimensions.", code="unknown_dimension", param="by")
    return wanted


def _moment(text: str, now: dt.datetime, field: str) -> dt.datetime:
    span = _SPAN.fullmatch(text)
    try:
        if span:
            return now - dt.timedelta(**{_UNITS[span[2]]: int(span[1])})
        moment = dt.datetime.fromisoformat(text)
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"`{field}` is no time: “{text[:40]}”.", hint="Use 15m, 24h, 30d, 2w or 2026-01-31T12:00:00Z.", param=field
        ) from None


def _window(since: dt.datetime, until: dt.datetime) -> Window:
    if until - since < _SHORT:
        return Window(since, until, until, until)
    first = since.replace(minute=0, second=0, microsecond=0)
    return Window(
        since, until, first if first == since else first + _HOUR, until.replace(minute=0, second=0, microsecond=0)
    )


def _position(pinned: list[str] | None) -> Position | None:
    if pinned is None:
        return None
    try:
        return Position(int(pinned[2]), int(pinned[3]), pinned[4], pinned[5])
    except ValueError:
        raise InvalidInput("This cursor does not belong to this list.", code="invalid_cursor", param="cursor") from None


def usd(nano: int) -> str:
    """Nano-USD as an exact decimal string with at least six places."""
    text = f"{Decimal(nano).scaleb(-9):.9f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places[:6]}{places[6:].rstrip('0')}"


def _item(row: Row, dimensions: list[str]) -> dict[str, Any]:
    item: dict[str, Any] = {}
    for dimension, value, name in zip(
        dimensions, (row.first, row.second), (row.first_name, row.second_name), strict=False
    ):
        if dimension in _NAMED:
            item[f"{dimension}_id"] = value or None
            item[dimension] = name or value or None
        else:
            item[dimension] = value or None
    return item | {
        "requests": row.requests,
        "errors": row.errors,
        "tokens_in": row.tokens_in,
        "tokens_out": row.tokens_out,
        "tokens_cached": row.tokens_cached,
        "cost_usd": usd(row.cost_nano_usd),
        "simulated": row.simulated,
    }


def _total(row: Row | None) -> dict[str, Any]:
    return {
        "requests": row.all_requests if row else 0,
        "errors": row.all_errors if row else 0,
        "tokens_in": row.all_tokens_in if row else 0,
        "tokens_out": row.all_tokens_out if row else 0,
        "tokens_cached": row.all_tokens_cached if row else 0,
        "cost_usd": usd(row.all_cost_nano_usd if row else 0),
        "simulated": row.all_simulated if row else False,
    }
