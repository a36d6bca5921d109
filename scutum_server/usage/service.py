"""Spend reports: requests, tokens and money by up to two dimensions, and against the period before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfoNotFoundError

from msgspec import Struct, structs

from scutum_server.errors import InvalidInput, NotFound
from scutum_server.infra import paging, refs
from scutum_server.usage.cover import cover, midnight, place
from scutum_server.usage.period import Period, pin, pinned, read, whole
from scutum_server.usage.report_store import Filters, Found, Group, Position, Question, ReportStore, Sums

DIMENSIONS: Final = ("org", "unit", "team", "key", "user", "model", "provider", "route", "day")
_NAMED: Final = {"org", "unit", "team", "key"}
_HOURLY: Final = {"org", "unit", "team", "key", "model", "provider", "day"}
"""What the hourly rollups know; of users and routes the parts of days at a window's edges are read from the log."""


class Ask(Struct, frozen=True, kw_only=True):
    """What a report is asked for; texts as the client sent them."""

    by: str | None = None
    since: str | None = None
    until: str | None = None
    zone: str | None = None
    trend: bool = False
    org: str | None = None
    unit: str | None = None
    team: str | None = None
    key: str | None = None
    user: str | None = None
    model: str | None = None
    provider: str | None = None
    route: str | None = None


class ReportService:
    """`clock` gives the time now in UTC; `scope` is the one org that may be seen, None for all."""

    def __init__(self, store: ReportStore, clock: Callable[[], dt.datetime], scope: str | None = None) -> None:
        self._store = store
        self._clock = clock
        self._scope = scope

    async def report(self, ask: Ask, limit: int, cursor: str | None) -> dict[str, Any]:
        """The groups and the total of all of them, for `since` ≤ t < `until`.

        Exact: whole days come from the rollups by the day, whole hours at the edges from those by the hour, the rest
        from the log, all in one statement. A request's time is its start (the time inside its id). What is still on its
        way from the proxies (up to 5 s) is not in it yet. Dearest group first; with the day among the dimensions, day
        by day. A cursor pins the window, so that the pages of one report agree.
        """
        dimensions = _dimensions(ask.by)
        filters = await self._filters(ask)
        name, zone = await self._zone(ask.zone, filters.org)
        after = paging.decode("usage", cursor, 8)
        period = (
            pinned(after[:3], zone)
            if after
            else await self._kept(read(ask.since, ask.until, self._clock(), zone), zone)
        )
        others = [each for each in dimensions if each != "day"]
        question = Question(
            cover=cover(
                period.since,
                period.end(zone),
                zone,
                hours=_hourly(dimensions, filters),
                by_day="day" in dimensions,
            ),
            zone=name,
            filters=filters,
            by_day="day" in dimensions,
            first=others[0] if others else None,
            second=others[1] if len(others) > 1 else None,
            limit=limit + 1,
            after=_position(after),
        )
        found = await self._store.report(question)
        page = paging.cut("usage", found.groups, limit, lambda group: (*pin(period), *_key(group)))
        answer = {
            "items": [_item(group, dimensions) for group in page.items],
            "total": _sums(found.total),
            "since": period.since,
            "until": period.until,
            "zone": name,
            "next": page.next,
        }
        if ask.trend:
            await self._compare(answer, question, period, zone, page.items, found)
        return answer

    async def _compare(
        self,
        answer: dict[str, Any],
        question: Question,
        period: Period,
        zone: dt.tzinfo,
        groups: Sequence[Group],
        found: Found,
    ) -> None:
        """Adds the period before: to the total, and to each group unless groups are days."""
        former = await self._kept(period.before(zone), zone)
        window = cover(
            former.since,
            former.until,
            zone,
            hours=_hourly([question.first, question.second], question.filters),
            by_day=False,
        )
        only = ([group.first for group in groups], [group.second for group in groups])
        then = await self._store.report(
            structs.replace(
                question,
                cover=window,
                after=None,
                by_day=False,
                limit=max(1, len(groups)),
                only=None if question.by_day else only,
                first=None if question.by_day else question.first,
                second=None if question.by_day else question.second,
            )
        )
        oldest, _ = await self._store.oldest()
        answer["before"] = {
            "since": former.since,
            "until": former.until,
            "complete": oldest is not None and midnight(oldest, zone) <= former.since,
        }
        answer["total"] |= _change(found.total, then.total)
        if not question.by_day:
            known = {(group.first, group.second): group.sums for group in then.groups}
            for item, group in zip(answer["items"], groups, strict=True):
                item.update(_change(group.sums, known.get((group.first, group.second))))

    async def _kept(self, period: Period, zone: dt.tzinfo) -> Period:
        """The period in whole days where the log was archived: only its days are known."""
        day, log = await self._store.oldest()
        # The log goes by the month; a record of its first day may be of another day elsewhere.
        month = (log or self._clock()).astimezone(dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        archived = day is not None and day < month.date() - dt.timedelta(days=1)
        return whole(period, month, zone) if archived else period

    async def _zone(self, asked: str | None, org: str | None) -> tuple[str, dt.tzinfo]:
        """The one that is asked for, else the org's, else the default org's."""
        name = asked or await self._store.home_zone(org)
        try:
            if await self._store.knows_zone(name):
                return name, place(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
        if asked is None:
            return "UTC", dt.UTC
        raise InvalidInput(
            f"There is no time zone “{asked[:60]}”.", hint="Use a name such as Europe/Berlin or UTC.", param="zone"
        )

    async def _filters(self, ask: Ask) -> Filters:
        org = await self._id("org", ask.org) if ask.org is not None else self._scope
        teams: list[str] | None = None
        if ask.unit is not None:
            teams = await self._store.teams_of(await self._id("unit", ask.unit))
        if ask.team is not None:
            team = await self._id("team", ask.team)
            teams = [team] if teams is None or team in teams else []
        return Filters(
            org=org,
            teams=teams,
            key=await self._id("key", ask.key) if ask.key is not None else None,
            user=ask.user,
            model=ask.model,
            provider=ask.provider,
            route=ask.route,
        )

    async def _id(self, kind: str, ref: str) -> str:
        """Raises NotFound or AmbiguousRef."""
        ref = refs.canonical(ref)
        if kind in {"team", "key"} and await self._store.has_spent(kind, ref):
            return ref
        missing = NotFound(
            f"There is no {kind} “{ref}”.", code=f"{kind}_not_found", hint=f"See: scutum {kind}s list", param=kind
        )
        return refs.choose(ref, await self._store.candidates(kind, ref), missing)


def _hourly(dimensions: Sequence[str | None], filters: Filters) -> bool:
    return _HOURLY.issuperset(filter(None, dimensions)) and filters.user is None and filters.route is None


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


def _key(group: Group) -> tuple[str, ...]:
    day = group.day.isoformat() if group.day else ""
    return day, str(group.sums.cost_nano_usd), str(group.sums.requests), group.first, group.second


def _position(after: list[str] | None) -> Position | None:
    if after is None:
        return None
    try:
        day = dt.date.fromisoformat(after[3]).isoformat() if after[3] else None
        return Position(day, int(after[4]), int(after[5]), after[6], after[7])
    except ValueError:
        raise InvalidInput("This cursor does not belong to this list.", code="invalid_cursor", param="cursor") from None


def usd(nano: int) -> str:
    """Nano-USD as an exact decimal string with at least six places."""
    text = f"{Decimal(nano).scaleb(-9):.9f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places[:6]}{places[6:].rstrip('0')}"


def _item(group: Group, dimensions: list[str]) -> dict[str, Any]:
    item: dict[str, Any] = {}
    values = iter(((group.first, group.first_name), (group.second, group.second_name)))
    for dimension in dimensions:
        if dimension == "day":
            item["day"] = group.day
            continue
        value, name = next(values)
        if dimension in _NAMED:
            item[f"{dimension}_id"] = value or None
            item[dimension] = name or value or None
        else:
            item[dimension] = value or None
    return item | _sums(group.sums)


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "requests": sums.requests,
        "errors": sums.errors,
        "tokens_in": sums.tokens_in,
        "tokens_out": sums.tokens_out,
        "tokens_cached": sums.tokens_cached,
        "cost_usd": usd(sums.cost_nano_usd),
        "simulated": sums.simulated > 0,
        "requests_simulated": sums.simulated,
        "requests_unpriced": sums.unpriced,
    }


def _change(now: Sums, then: Sums | None) -> dict[str, Any]:
    """What was before and how much it changed; no percentage of nothing."""
    requests, cost = (then.requests, then.cost_nano_usd) if then else (0, 0)
    return {
        "before": {"requests": requests, "cost_usd": usd(cost)},
        "change": {
            "requests": now.requests - requests,
            "requests_percent": _percent(now.requests, requests),
            "cost_usd": usd(now.cost_nano_usd - cost),
            "cost_percent": _percent(now.cost_nano_usd, cost),
        },
    }


def _percent(now: int, then: int) -> float | None:
    return round((now - then) * 100 / then, 1) if then else None
