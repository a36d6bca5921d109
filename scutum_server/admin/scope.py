"""One request's services over one transaction."""

from collections.abc import AsyncIterator, Iterator

from fastapi import Request
from fastapi.routing import APIRoute

from scutum_server.admin.auth import Shown, admit, forbidden, runtime_of
from scutum_server.admin.changes import Changes
from scutum_server.admin.runtime import utc_now
from scutum_server.admin.services import Services
from scutum_server.errors import Forbidden, InvalidInput
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


async def unit_of_work(request: Request, access: Shown) -> AsyncIterator[None]:
    """One transaction around the handler: committed, with its audit rows, before the answer leaves.

    The session is looked up in it. What is forbidden, here or by a rule of the services, is on the audit trail.
    """
    _refuse_unknown_parameters(request)
    runtime = runtime_of(request)
    try:
        async with transaction(runtime.pool) as conn:
            context = await admit(request, conn, access)
            changes = Changes(context)
            request.state.conn, request.state.changes = conn, changes
            services = Services(conn, runtime.box, changes, utc_now, context.org_id, runtime.licences.trust)
            for name, service in vars(services).items():
                setattr(request.state, name, service)
            yield
            await changes.write(conn)
    except Forbidden:
        await forbidden(request)
        raise
