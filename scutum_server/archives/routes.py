"""Routes for archives; the composition root puts service and desk into the request."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Query, Request, status

from scutum_server.archives import models, schemas
from scutum_server.archives.service import ArchiveService
from scutum_server.infra.paging import Page

router = APIRouter(tags=["archives"])
outside = APIRouter(tags=["archives"])
"""Routes that wait for an object store, so without a transaction around them."""


class Desk(Protocol):
    """Looks at object stores, however long that takes."""

    async def check(self, ref: str) -> models.Check: ...

    async def probe(self) -> models.Probe: ...


async def _archives(request: Request) -> ArchiveService:
    service: ArchiveService = request.state.archives
    return service


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.archive_desk
    return desk


Archives = Annotated[ArchiveService, Depends(_archives)]
ArchiveDesk = Annotated[Desk, Depends(_desk)]


@router.get("/archives", response_model=schemas.ArchiveList)
async def list_archives(archives: Archives, query: Annotated[schemas.ArchiveQuery, Query()]) -> Page[models.Archive]:
    """Months that went into the object store, youngest first."""
    return await archives.page(query.ask())


@router.get("/archives/status", response_model=schemas.ArchiveStatus)
async def get_archive_status(archives: Archives) -> models.Status:
    """Where archives go and when, how long rows stay in the database, and which months are in it."""
    return await archives.status()


@router.post("/archives/run", response_model=schemas.ArchiveRun, status_code=status.HTTP_202_ACCEPTED)
async def run_archives(archives: Archives) -> models.Run:
    """Archives every month that is due, now and not at night; what came of it is in the list. 409 without a store."""
    return await archives.run()


@router.post("/archives/retention", response_model=schemas.ArchiveRetention)
async def confirm_archive_retention(archives: Archives, body: schemas.ArchiveRetentionConfirm) -> models.Retention:
    """Lets a licence's fewer days come into force; 409 when it gives another number."""
    return await archives.confirm(body.days)


@outside.post("/archives/probe", response_model=schemas.ArchiveProbe)
async def probe_archive_store(desk: ArchiveDesk) -> models.Probe:
    """Tries whether the object store keeps a locked object; a bucket with a lock keeps one of some bytes for a day."""
    return await desk.probe()


@outside.post("/archives/{ref}/verify", response_model=schemas.ArchiveCheck)
async def verify_archive(desk: ArchiveDesk, ref: str) -> models.Check:
    """Reads the object whole: whether it is, byte for byte, the one that was archived."""
    return await desk.check(ref)


@router.get("/archives/{ref}", response_model=schemas.Archive)
async def get_archive(archives: Archives, ref: str) -> models.Archive:
    """One archive, by id or a unique beginning or end of it."""
    return await archives.get(ref)
