"""The control plane as one ASGI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from scutum_server import __version__
from scutum_server.access import routes as access
from scutum_server.admin import auth, health, logins, permissions, problems, roles, sso
from scutum_server.admin.answers import adopt
from scutum_server.admin.archives import ArchiveDesk
from scutum_server.admin.fleet import Fleet
from scutum_server.admin.middleware import Envelope
from scutum_server.admin.probing import StoredTester
from scutum_server.admin.runtime import Runtime
from scutum_server.admin.schemas import Problem
from scutum_server.admin.scope import unit_of_work
from scutum_server.archives import routes as archives
from scutum_server.audit import routes as audit
from scutum_server.audit.proof import routes as proof
from scutum_server.declarative import routes as declarative
from scutum_server.gateway import routes as gateway
from scutum_server.identity import routes as identity
from scutum_server.licensing import routes as licensing
from scutum_server.limits import routes as limits
from scutum_server.usage import routes as usage

PREFIX = "/api/v1"
_ERROR = {"default": {"model": Problem, "description": "An error."}}


def _operation_id(route: APIRoute) -> str:
    return route.name


def _add_guarded(app: FastAPI) -> None:
    """The routes that need a session, each inside one transaction.

    Straight into the application: the framework looks through a router inside a router twice for every request.
    """
    transactional = [Depends(unit_of_work, scope="function")]
    # Longer paths first: a reference may hold slashes, so `…/test` must not be taken for one.
    for router in (gateway.probing, archives.outside):
        app.include_router(router, prefix=PREFIX, dependencies=[Depends(auth.authenticate)])
    for router in (
        logins.own,
        roles.router,
        sso.settings,
        access.router,
        identity.router,
        gateway.router,
        limits.router,
        usage.router,
        proof.router,
        audit.router,
        archives.router,
        licensing.router,
        declarative.router,
    ):
        app.include_router(adopt(router), prefix=PREFIX, dependencies=transactional)


def routes() -> FastAPI:
    """Every route, with nothing behind them yet: enough to describe the API."""
    app = FastAPI(
        title="Scutum admin API",
        version=__version__,
        description="The control plane of the Scutum LLM gateway. Errors are application/problem+json.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        responses=_ERROR,  # type: ignore[arg-type]
    )
    app.include_router(health.router)
    app.include_router(licensing.public, prefix=PREFIX)
    app.include_router(logins.router, prefix=PREFIX)
    app.include_router(sso.router, prefix=PREFIX)
    _add_guarded(app)
    return app


def create_app(runtime: Runtime) -> FastAPI:
    """The application over `runtime`, which it opens at start and closes at the end.

    Raises SettingsError when a route has no permission.
    """
    from scutum_server.admin import openapi

    app = routes()
    openapi.mount(app, PREFIX)
    permissions.verify(app, (auth.authenticate, unit_of_work))
    problems.install(app)
    app.add_middleware(Envelope)
    app.state.runtime = runtime
    app.state.monitor = health.Monitor(runtime)
    app.state.tester = StoredTester(runtime)
    app.state.fleet = Fleet(runtime.vitals)
    app.state.licence_desk = runtime.licences
    app.state.archive_desk = ArchiveDesk(runtime.pool, runtime.archive)
    app.state.passwords = runtime.passwords
    app.router.lifespan_context = _lifespan
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    runtime: Runtime = app.state.runtime
    await runtime.pool.open(wait=False)
    tasks = [asyncio.create_task(runtime.prepare()), asyncio.create_task(runtime.licences.keep())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runtime.vitals.close()
        await runtime.lanes.close()
        await runtime.pool.close()
