"""Routes for limits and budgets; the composition root puts the services into the request."""

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

import msgspec
from fastapi import APIRouter, Depends, Query, Request, status

from scutum_server.infra.paging import Page
from scutum_server.limits import models, schemas
from scutum_server.limits.service import BudgetService, LimitService

router = APIRouter(tags=["limits"])


async def _limits(request: Request) -> LimitService:
    service: LimitService = request.state.limits
    return service


async def _budgets(request: Request) -> BudgetService:
    service: BudgetService = request.state.budgets
    return service


Limits = Annotated[LimitService, Depends(_limits)]
Budgets = Annotated[BudgetService, Depends(_budgets)]


class Holders(Protocol):
    """What the proxies hold; see `admin.fleet`."""

    async def reserved(self, keys: Sequence[str]) -> list[models.Reserved] | None: ...


async def _holders(request: Request) -> Holders:
    fleet: Holders = request.app.state.fleet
    return fleet


Fleet = Annotated[Holders, Depends(_holders)]


async def _shown(fleet: Holders, *found: models.BudgetStatus) -> list[dict[str, Any]]:
    held = await fleet.reserved([status.key for status in found]) if found else []
    reserved = held if held is not None else [None] * len(found)
    return [_one(msgspec.structs.replace(status, reserved=each)) for status, each in zip(found, reserved, strict=True)]


def _one(status: models.BudgetStatus) -> dict[str, Any]:
    budget, coming, held = status.budget, status.forecast, status.reserved
    return msgspec.structs.asdict(budget) | {
        "amount_usd": _usd(budget.amount_nano_usd),
        "spent_usd": _usd(status.spent_nano_usd),
        "reserved_usd": _usd(held.nano_usd) if held is not None else None,
        "left_usd": _usd(status.left_nano_usd),
        "forecast_usd": _usd(coming.nano_usd) if coming is not None else None,
        "runs_out_at": coming.runs_out if coming is not None else None,
        "state": status.state,
        "refusing": status.refusing,
        "since": status.since,
        "until": status.until,
        "time_zone": budget.zone,
    }


def _usd(nano: int) -> str:
    whole, part = divmod(nano, 1_000_000_000)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".") if part else str(whole)


@router.get("/limits", response_model=schemas.RateLimitList)
async def list_limits(limits: Limits, query: Annotated[schemas.LimitQuery, Query()]) -> Page[models.Limit]:
    """Rate limits, oldest first."""
    return await limits.page(query.ask())


@router.post("/limits", response_model=schemas.RateLimit, status_code=status.HTTP_201_CREATED)
async def create_limit(limits: Limits, body: schemas.LimitCreate) -> models.Limit:
    """Limits requests or tokens; 409 `already_limited` when there is a limit for the same target."""
    return await limits.create(body.model_dump())


@router.get("/limits/{ref}", response_model=schemas.RateLimit)
async def get_limit(limits: Limits, ref: str) -> models.Limit:
    """One limit, by id or a unique beginning or end of it."""
    return await limits.get(ref)


@router.patch("/limits/{ref}", response_model=schemas.RateLimit)
async def update_limit(limits: Limits, ref: str, body: schemas.LimitUpdate) -> models.Limit:
    """Changes the fields that are sent; null takes a rate away."""
    return await limits.update(ref, body.model_dump(exclude_unset=True))


@router.delete("/limits/{ref}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_limit(limits: Limits, ref: str) -> None:
    """Lifts a limit."""
    await limits.delete(ref)


@router.get("/budgets", response_model=schemas.BudgetList)
async def list_budgets(budgets: Budgets, fleet: Fleet, query: Annotated[schemas.BudgetQuery, Query()]) -> Any:
    """Budgets, oldest first, with what is spent of each and left."""
    page = await budgets.page(query.ask())
    return {"items": await _shown(fleet, *page.items), "next": page.next}


@router.post("/budgets", response_model=schemas.Budget, status_code=status.HTTP_201_CREATED)
async def create_budget(budgets: Budgets, fleet: Fleet, body: schemas.BudgetCreate) -> Any:
    """Caps spending; what was spent since the period began counts."""
    return (await _shown(fleet, await budgets.create(body.model_dump())))[0]


@router.get("/budgets/{ref}", response_model=schemas.Budget)
async def get_budget(budgets: Budgets, fleet: Fleet, ref: str) -> Any:
    """One budget, by id or a unique beginning or end of it."""
    return (await _shown(fleet, await budgets.get(ref)))[0]


@router.patch("/budgets/{ref}", response_model=schemas.Budget)
async def update_budget(budgets: Budgets, fleet: Fleet, ref: str, body: schemas.BudgetUpdate) -> Any:
    """Changes the fields that are sent."""
    return (await _shown(fleet, await budgets.update(ref, body.model_dump(exclude_unset=True))))[0]


@router.delete("/budgets/{ref}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_budget(budgets: Budgets, ref: str) -> None:
    """Lifts a budget; what was spent stays in the reports."""
    await budgets.delete(ref)
