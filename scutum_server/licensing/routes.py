"""Routes for licences; the composition root puts the service into the request."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request

from scutum_server.infra.paging import Page
from scutum_server.licensing import models, schemas
from scutum_server.licensing.service import LicenceService
from scutum_server.schemas import Cursor, Limit

router = APIRouter(tags=["license"])
public = APIRouter(tags=["license"])
"""Needs no session: it never tells the licence itself."""


class Desk(Protocol):
    async def look(self) -> models.Licence:
        """The licence in force now; cheap to ask for often."""


async def _service(request: Request) -> LicenceService:
    service: LicenceService = request.state.licences
    return service


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.licence_desk
    return desk


Service = Annotated[LicenceService, Depends(_service)]


@public.get("/license", response_model=schemas.License)
async def get_license(desk: Annotated[Desk, Depends(_desk)]) -> models.Licence:
    """What this install is licensed for, and what is wrong if anything is. Needs no session."""
    return await desk.look()


@router.post("/license/activate", response_model=schemas.License)
async def activate_license(service: Service, body: schemas.LicenseActivate) -> models.Licence:
    """Puts a licence in force at once, without a restart; the one before stays in the history.

    400 says why one is refused, and leaves the one in force as it is.
    """
    return await service.activate(body.license_key.get_secret_value())


@router.get("/license/history", response_model=schemas.LicenseActivationList)
async def list_license_history(service: Service, limit: Limit = 100, cursor: Cursor = None) -> Page[models.Activation]:
    """Every licence that was activated here, the youngest first."""
    return await service.history(limit, cursor)
