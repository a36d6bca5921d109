"""Routes for spend reports; the composition root puts the service into the request."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from scutum_server.schemas import Cursor
from scutum_server.usage import schemas
from scutum_server.usage.service import DIMENSIONS, Ask, ReportService

router = APIRouter(tags=["usage"])
_BY = f"One or two of {', '.join(DIMENSIONS)}."
Limit = Annotated[int, Query(ge=1, le=5000, description="How many groups at most.")]
Ref = Annotated[str | None, Query(max_length=256, description="Only of this one, by id or name.")]
Word = Annotated[str | None, Query(max_length=256, description="Only of this one.")]


async def _reports(request: Request) -> ReportService:
    service: ReportService = request.state.reports
    return service


@router.get("/usage", response_model=schemas.UsageReport, response_model_exclude_unset=True)
async def get_usage(
    reports: Annotated[ReportService, Depends(_reports)],
    by: Annotated[str | None, Query(max_length=100, description=_BY, examples=["team,day"])] = None,
    since: Annotated[
        str | None,
        Query(max_length=40, description="24h, 90m; from midnight 30d, 4w, 2026-01-31; an ISO time. Default 24h."),
    ] = None,
    until: Annotated[str | None, Query(max_length=40, description="The same forms; default now.")] = None,
    zone: Annotated[
        str | None, Query(max_length=100, description="Whose days; default the org's.", examples=["Europe/Berlin"])
    ] = None,
    trend: Annotated[bool, Query(description="Adds the period before.")] = False,
    org: Ref = None,
    unit: Ref = None,
    team: Ref = None,
    key: Ref = None,
    user: Word = None,
    model: Word = None,
    provider: Word = None,
    route: Word = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Requests, tokens and money in a window of time, dearest group first, or day by day."""
    ask = Ask(
        by=by, since=since, until=until, zone=zone, trend=trend, org=org, unit=unit, team=team, key=key, user=user,
        model=model, provider=provider, route=route,
    )  # fmt: skip
    return await reports.report(ask, limit, cursor)
