"""Routes for the proof of the audit trail; the composition root puts the service into the request."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from scutum_server.audit.proof import models, schemas
from scutum_server.audit.proof.service import ProofService
from scutum_server.infra.paging import Page
from scutum_server.schemas import Cursor, Limit

router = APIRouter(prefix="/audit-logs", tags=["audit"])
TaskId = Annotated[str, Path(max_length=100)]


async def _proof(request: Request) -> ProofService:
    service: ProofService = request.state.proof
    return service


Proof = Annotated[ProofService, Depends(_proof)]


@router.post("/verify", response_model=schemas.AuditTask, status_code=202)
async def verify_audit_logs(proof: Proof, body: schemas.Verify) -> models.AuditTask:
    """Starts a walk over every row, hot and archived; follow it at /audit-logs/verify/{id}."""
    given = [checkpoint.model_dump() for checkpoint in body.checkpoints]
    return await proof.verify(body.since, body.until, body.keys, given)


@router.get("/verify", response_model=schemas.AuditTaskList)
async def list_audit_verifications(proof: Proof, limit: Limit = 100, cursor: Cursor = None) -> Page[models.AuditTask]:
    """What was verified, newest first; kept for three months."""
    return await proof.verifications(limit, cursor)


@router.get("/verify/{task}", response_model=schemas.AuditTask)
async def get_audit_verification(proof: Proof, task: TaskId) -> models.AuditTask:
    """A verification, or another task of the keeper: how far it is, and its result."""
    return await proof.task(task)


@router.get("/checkpoints", response_model=schemas.CheckpointList)
async def list_audit_checkpoints(
    proof: Proof, limit: Limit = 100, cursor: Cursor = None
) -> Page[models.StoredCheckpoint]:
    """The signed checkpoints, newest first."""
    return await proof.checkpoints(limit, cursor)


@router.post("/checkpoints", response_model=schemas.AuditTask, status_code=202)
async def make_audit_checkpoints(proof: Proof) -> models.AuditTask:
    """Signs every chain that has grown, and ships the checkpoints, now."""
    return await proof.seal()


@router.get("/keys", response_model=schemas.AuditKeyList)
async def list_audit_keys(proof: Proof) -> dict[str, Any]:
    """The public keys of the checkpoints, as the keeper has told them; keep a copy where the server cannot write."""
    return {"items": await proof.keys()}


@router.post("/keys/rotate", response_model=schemas.AuditTask, status_code=202)
async def rotate_audit_key(proof: Proof) -> models.AuditTask:
    """Signs once more with the key in use, then makes a new one; the former stays trusted for what it has signed."""
    return await proof.rotate()


@router.get("/shipments", response_model=schemas.ShipmentList)
async def list_audit_shipments(proof: Proof) -> dict[str, Any]:
    """Where checkpoints are shipped to, and what has not arrived."""
    return {"items": await proof.shipments()}
