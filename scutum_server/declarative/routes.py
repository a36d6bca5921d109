"""Routes for the configuration as a file; the composition root puts the service into the request."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from scutum_server.declarative import schemas
from scutum_server.declarative.models import Change, Plan
from scutum_server.declarative.service import DeclarativeService

router = APIRouter(tags=["config"])


async def _service(request: Request) -> DeclarativeService:
    service: DeclarativeService = request.state.declarative
    return service


Service = Annotated[DeclarativeService, Depends(_service)]


def _told(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {
            "action": change.action,
            "section": change.section,
            "noun": change.noun,
            "name": change.name,
            "fields": {field: {"before": before, "after": after} for field, (before, after) in change.fields.items()},
            "line": change.place.line if change.place is not None else None,
        }
        for change in changes
    ]


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "changes": _told(plan.changes),
        "counts": {action: plan.count(action) for action in ("create", "update", "delete")},
        "secrets": plan.secrets,
        "missing": plan.missing,
        "digest": plan.digest,
    }


@router.get("/config/export", response_model=schemas.ConfigFile)
async def export_config(service: Service) -> dict[str, str]:
    """The whole configuration as one file: the same text for the same state, and no secrets in it."""
    return {"file": await service.export()}


@router.post("/config/diff", response_model=schemas.ConfigPlan)
async def diff_config(service: Service, body: schemas.ConfigDiff) -> dict[str, Any]:
    """What applying a file would change. 400 `invalid_file` names line and column of what is wrong in it."""
    return _plan(await service.diff(body.file, prune=body.prune))


@router.post("/config/apply", response_model=schemas.ConfigPlan)
async def apply_config(service: Service, body: schemas.ConfigApply) -> dict[str, Any]:
    """Makes all of a file's changes in one transaction, or none; each is on the audit trail.

    409 when somebody else is applying a file, or when the plan is no longer the `expected` one.
    """
    secrets = {reference: value.get_secret_value() for reference, value in body.secrets.items()}
    return _plan(await service.apply(body.file, prune=body.prune, expected=body.expected, secrets=secrets))


@router.get("/config/drift", response_model=schemas.ConfigDrift)
async def get_config_drift(service: Service) -> dict[str, Any]:
    """How the install differs now from the file that was applied last."""
    drift = await service.drift()
    names = ("sha256", "pruned", "objects", "applied_at", "applied_by", "drifted_since")
    applied = {name: getattr(drift.applied, name) if drift.applied is not None else None for name in names}
    return {"applied": drift.applied is not None, **applied, "changes": _told(drift.changes)}


@router.delete("/config/drift", status_code=204)
async def forget_config(service: Service) -> None:
    """The file that was applied last need not hold any more: nothing is changed, and no drift is told of."""
    await service.forget()
