"""Bodies of the audit routes."""

from typing import Annotated, Any

from pydantic import Field

from scutum_server.schemas import Answer, Time


class AuditLog(Answer):
    timestamp: Time
    id: str
    org_id: str
    seq: Annotated[int, Field(description="Place in the org's chain.")]
    actor_id: str
    actor_kind: str
    actor_email: str | None
    ip: str | None
    action: str
    resource_type: str
    resource_id: str
    diff: Annotated[dict[str, Any], Field(description="`before` and `after` of what changed, without secrets.")]
    request_id: str | None
    outcome: str
    source: str


class AuditLogList(Answer):
    items: list[AuditLog]
    next: str | None


class AuditLogCount(Answer):
    count: int
