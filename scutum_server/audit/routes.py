"""Routes for the audit trail; the composition root puts the service into the request."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from scutum_server.audit import models, schemas
from scutum_server.audit.service import AuditService
from scutum_server.infra.paging import Page
from scutum_server.schemas import Cursor, Limit

router = APIRouter(tags=["audit"])


async def _audit(request: Request) -> AuditService:
    service: AuditService = request.state.audit
    return service


def _exact(description: str, example: str) -> Any:
    return Query(min_length=1, max_length=300, description=description, examples=[example])


async def _wanted(
    actor: Annotated[str | None, _exact("Who did it: an id, or an e-mail address.", "user_01j9c0x4")] = None,
    action: Annotated[str | None, _exact("What was done.", "key.revoke")] = None,
    resource_type: Annotated[str | None, _exact("To what kind of thing.", "key")] = None,
    resource_id: Annotated[str | None, _exact("To which one.", "key_01j9c0x4")] = None,
    org: Annotated[str | None, _exact("The id of an org, or global for what belongs to none.", "org_01j9c0x4")] = None,
    source: Annotated[models.Source | None, Query(description="By which way.")] = None,
    outcome: Annotated[models.Outcome | None, Query(description="Whether it was allowed.")] = None,
    text: Annotated[str | None, _exact("Anywhere in the row, in upper or lower case.", "production")] = None,
) -> models.Filter:
    return models.Filter(
        actor=actor,
        action=action,
        resource_type=resource_type,
        resource_id=resource_id,
        org=org,
        source=source,
        outcome=outcome,
        text=text,
    )


Audit = Annotated[AuditService, Depends(_audit)]
Wanted = Annotated[models.Filter, Depends(_wanted)]
Since = Annotated[str | None, Query(max_length=40, description="15m, 24h, 30d, 2w or an ISO time.")]
Until = Annotated[str | None, Query(max_length=40, description="The same forms; rows before it.")]


@router.get("/audit-logs", response_model=schemas.AuditLogList)
async def list_audit_logs(
    audit: Audit,
    wanted: Wanted,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[models.AuditRow]:
    """Who did what, newest first, from the database and the archives as one list.

    A page may be short, even empty, although `next` is set: long searches come in many pages.
    """
    return await audit.page(wanted, since, until, limit, cursor)


@router.get("/audit-logs/count", response_model=schemas.AuditLogCount)
async def count_audit_logs(audit: Audit, wanted: Wanted, since: Since = None, until: Until = None) -> dict[str, int]:
    """How many rows there are like this, in the database and the archives; not by their text."""
    return {"count": await audit.count(wanted, since, until)}
