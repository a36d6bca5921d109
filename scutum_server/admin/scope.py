"""One request's services over one transaction."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from scutum_server.admin.auth import authenticate, runtime_of
from scutum_server.admin.changes import Changes, Context
from scutum_server.admin.runtime import utc_now
from scutum_server.admin.services import Services
from scutum_server.errors import InvalidInput
from scutum_server.infra.db import transaction
from scutum_server.schemas import ListQuery


def _refuse_unknown_parameters(request: Request) -> None:
    """`?sicne=7d` must not answer with the default window's money."""
    if not request.query_params:
        return
    route: APIRoute = request.scope["route"]
    known = set(_known(route))
    for name in request.query_params:
        if name not in known:
            hint = f"Known here: {', '.join(sorted(known))}." if known else None
            raise InvalidInput("This route does not know one of the parameters.", param=name[:100], hint=hint)


def _known(route: APIRoute) -> Iterator[str]:
    for parameter in route.dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, ListQuery):
            yield from model.model_fields
        else:
            yield parameter.alias


async def unit_of_work(request: Request, context: Annotated[Context, Depends(authenticate)]) -> AsyncIterator[None]:
    """One transaction around the handler: committed, with its audit rows, before the answer leaves."""
    _refuse_unknown_parameters(request)
    runtime = runtime_of(request)
    changes = Changes(context)
    async with transaction(runtime.pool) as conn:
        for name, service in vars(
            Services(conn, runtime.box, changes, utc_now, context.org_id, runtime.licences.trust)
        ).items():
            setattr(request.state, name, service)
        yield
        await changes.write(conn)
