"""Whose request this is, and whether they may make it: asked before every route but the few that are open."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from scutum_server.access.models import INTERNAL, Actor, InvalidToken, Principal, Session
from scutum_server.access.sessions.service import SessionService
from scutum_server.access.sessions.store import SessionStore
from scutum_server.access.tokens import Access
from scutum_server.admin import permissions
from scutum_server.admin.changes import Changes, Context, address_of, source_of
from scutum_server.admin.problems import request_id_of
from scutum_server.admin.runtime import Runtime, utc_now
from scutum_server.errors import Forbidden
from scutum_server.infra.db import Connection, transaction

NOBODY = Principal(Actor("anonymous", "anonymous"), "viewer")
"""Who tries to log in: on the audit trail only, never in a session."""

bearer = HTTPBearer(auto_error=False, description="The access token of POST /api/v1/auth/login.")
service_key = APIKeyHeader(
    name="X-Service-Key", auto_error=False, description="INTERNAL_SERVICE_KEY, between the processes of one install."
)


def runtime_of(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def client_address(request: Request) -> str | None:
    return address_of(request.client.host if request.client else None)


def context_of(request: Request, holder: Principal, session: Session | None = None) -> Context:
    return Context(
        actor=holder.actor,
        role=holder.role,
        org_id=holder.org_id,
        session=session,
        source=source_of(request.headers.get("x-scutum-source")),
        ip=client_address(request),
        request_id=request_id_of(request),
    )


async def served(request: Request) -> Runtime:
    """The runtime, once it serves; raises Unavailable before."""
    runtime = runtime_of(request)
    if runtime.unready is not None:
        raise runtime.unready
    return runtime


def sessions(runtime: Runtime, conn: Connection) -> SessionService:
    return SessionService(SessionStore(conn), runtime.signer, runtime.master, utc_now)


async def shown(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
    key: Annotated[str | None, Security(service_key)],
) -> Access | None:
    """What the request shows: an access token of ours, or None for the key between services; raises InvalidToken."""
    runtime = runtime_of(request)
    if credentials is not None:
        access = runtime.signer.read_access(credentials.credentials)
    elif key is not None and runtime.service_key.accepts(key, time.time()):
        access = None
    else:
        raise InvalidToken("This route needs a session.", hint="Log in: scutum login")
    await served(request)
    return access


Shown = Annotated[Access | None, Depends(shown)]


async def admit(request: Request, conn: Connection, access: Access | None) -> Context:
    """The request's context; raises InvalidToken when the session is over, Forbidden for what its role may not do."""
    session = await sessions(runtime_of(request), conn).look(access) if access is not None else None
    context = context_of(request, session.principal if session else INTERNAL, session)
    request.state.context = context
    permissions.demand(context.role, context.org_id, request.scope["route"].name)
    return context


async def authenticate(request: Request, access: Shown) -> Context:
    """As `admit`, for routes without a transaction of their own; what is forbidden is on the audit trail."""
    try:
        async with transaction(runtime_of(request).pool) as conn:
            return await admit(request, conn, access)
    except Forbidden:
        await forbidden(request)
        raise


async def forbidden(request: Request) -> None:
    """Takes a refused attempt down."""
    await denied(runtime_of(request), request.state.context, "auth.forbid", request.url.path)


async def denied(runtime: Runtime, context: Context, action: str, what: str, org_id: str | None = None) -> None:
    """In a transaction of its own, so that it stays although the request fails."""
    changes = Changes(context)
    changes.note(action, "session", what, org_id=org_id or context.org_id, outcome="denied")
    async with transaction(runtime.pool) as conn:
        await changes.write(conn)
