"""One request's services over one transaction."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from scutum_server.admin import idempotency, wishes
from scutum_server.admin.auth import Shown, admit, forbidden, runtime_of
from scutum_server.admin.changes import Changes
from scutum_server.admin.permissions import ROUTES
from scutum_server.admin.runtime import utc_now
from scutum_server.admin.services import Services
from scutum_server.errors import Forbidden, InvalidInput, Locked
from scutum_server.gateway.settings import READ_ONLY, SettingService
from scutum_server.infra.db import transaction
from scutum_server.schemas import ListQuery

DRY_RUN = "x-scutum-dry-run"
_ALWAYS = frozenset({"session", "license.write", "config.read"})
"""Permissions whose routes serve in read-only mode too: one's own session, the licence, what a file would change."""


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


def _parameters(dependant: Dependant) -> Iterator[Any]:
    """A route's own and those that it shares with others."""
    yield from dependant.query_params
    for below in dependant.dependencies:
        yield from _parameters(below)


def _known(route: APIRoute) -> Iterator[str]:
    for parameter in _parameters(route.dependant):
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, ListQuery):
            yield from model.model_fields
        else:
            yield parameter.alias
    if not wishes.MUTATIONS.isdisjoint(route.methods or ()):
        yield "dry_run"


async def _check_writable(request: Request, settings: SettingService) -> None:
    """Raises Locked in read-only mode, but for what ends it, one's own session, and a licence."""
    name = request.scope["route"].name
    ends = name in {"put_setting", "reset_setting"} and request.path_params.get("key") == READ_ONLY
    if ends or ROUTES[name] in _ALWAYS:
        return
    if await settings.value(READ_ONLY):
        raise Locked("The control plane is read-only.", hint=f"To end that: scutum settings set {READ_ONLY}=false")


async def unit_of_work(request: Request, access: Shown) -> AsyncIterator[None]:
    """One transaction around the handler: committed, with its audit rows, before the answer leaves.

    The session is looked up in it. What is forbidden, here or by a rule of the services, is on the audit trail. A dry
    run is rolled back instead, once its answer is made.
    """
    _refuse_unknown_parameters(request)
    runtime, wish = runtime_of(request), wishes.read(request)
    try:
        async with runtime.slots, transaction(runtime.pool) as conn:
            context = await admit(request, conn, access)
            changes = Changes(context, wish.expected)
            request.state.conn, request.state.changes, request.state.dry_run = conn, changes, wish.dry_run
            services = Services(
                conn,
                runtime.box,
                changes,
                utc_now,
                context.org_id,
                runtime.licences.trust,
                runtime.archive.url,
                runtime.vaults,
            )
            for name, service in vars(services).items():
                setattr(request.state, name, service)
            once = await idempotency.begin(request, conn, runtime.box, context.actor.id, wish.idempotency_key)
            if wish.mutation and not wish.dry_run:
                await _check_writable(request, services.settings)
            yield
            if wish.dry_run:
                await conn.rollback()
                request.state.answer.headers[DRY_RUN] = "true"
                return
            await changes.write(conn)
            if once is not None:
                await once.keep(request.state.answer)
    except Forbidden:
        await forbidden(request)
        raise
