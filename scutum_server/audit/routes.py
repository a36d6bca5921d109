"""Routes for the audit trail; the composition root puts the service into the request."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from scutum_server.audit import models, schemas
from scutum_server.audit.service import AuditService
from scutum_server.infra.paging import Page
from scutum_server.schemas import Cursor, Limit

router = APIRouter(tags=["audit"])


async def _audit(request: Request) -> AuditService:
    service: AuditService = request.state.audit
    return service


@router.get("/audit-logs", response_model=schemas.AuditLogList)
async def list_audit_logs(
    audit: Annotated[AuditService, Depends(_audit)], limit: Limit = 100, cursor: Cursor = None
) -> Page[models.AuditRow]:
    """Who did what, newest first."""
    return await audit.page(limit, cursor)
