"""Routes for spend reports; the composition root puts the service into the request."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from scutum_server.schemas import Cursor, Limit
from scutum_server.usage import schemas
from scutum_server.usage.service import ReportService

router = APIRouter(tags=["usage"])


async def _reports(request: Request) -> ReportService:
    service: ReportService = request.state.reports
    return service


@router.get("/usage", response_model=schemas.UsageReport, response_model_exclude_unset=True)
async def get_usage(
    reports: Annotated[ReportService, Depends(_reports)],
    by: Annotated[
        str | None,
        Query(max_length=100, description="One or two of model, team, key, provider.", examples=["model,team"]),
    ] = None,
    since: Annotated[
        str | None, Query(max_length=40, description="15m, 24h, 30d, 2w or an ISO time; default 24h.")
    ] = None,
    until: Annotated[str | None, Query(max_length=40, description="The same forms; default now.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Requests, tokens and money in a window of time, dearest group first."""
    return await reports.report(by, since, until, limit, cursor)
