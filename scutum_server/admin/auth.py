"""Who may use the control plane: the login, and the check of its token on every other route."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from scutum_server.admin import permissions
from scutum_server.admin.changes import Changes, Context, address_of, source_of
from scutum_server.admin.problems import request_id_of
from scutum_server.admin.runtime import Runtime
from scutum_server.errors import Forbidden
from scutum_server.identity import schemas
from scutum_server.identity.models import Actor, InvalidCredentials, InvalidToken, Principal, Token
from scutum_server.identity.sessions import MASTER
from scutum_server.infra.db import transaction

router = APIRouter(tags=["auth"])
NOBODY = Principal(Actor("anonymous", "anonymous"), "viewer")
"""Who tries to log in: on the audit trail only, never in a session."""

bearer = HTTPBearer(auto_error=False, description="The access token of POST /api/v1/auth/login.")


def runtime_of(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def _context(request: Request, holder: Principal) -> Context:
    return Context(
        actor=holder.actor,
        role=holder.role,
        org_id=holder.org_id,
        source=source_of(request.headers.get("x-scutum-source")),
        ip=address_of(request.client.host if request.client else None),
        request_id=request_id_of(request),
    )


async def _served(request: Request) -> Runtime:
    runtime = runtime_of(request)
    if runtime.unready is not None:
        raise runtime.unready
    return runtime


async def authenticate(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
) -> Context:
    """The request's context; raises InvalidToken, or Forbidden (which is audited) for what the role may not do."""
    runtime = runtime_of(request)
    if credentials is None:
        raise InvalidToken("This route needs a session.", hint="Log in: scutum login")
    context = _context(request, runtime.sessions.verify(credentials.credentials))
    if runtime.unready is not None:
        raise runtime.unready
    try:
        permissions.demand(context.role, context.org_id, request.scope["route"].name)
    except Forbidden:
        await _denied(runtime, context, "auth.forbid", request.url.path)
        raise
    return context


async def _denied(runtime: Runtime, context: Context, action: str, what: str) -> None:
    """In a transaction of its own, so that it stays although the request fails."""
    changes = Changes(context)
    changes.note(action, "session", what, org_id=context.org_id, outcome="denied")
    async with transaction(runtime.pool) as conn:
        await changes.write(conn)


@router.post("/auth/login", response_model=schemas.Session)
async def login(request: Request, runtime: Annotated[Runtime, Depends(_served)], body: schemas.Login) -> Token:
    """Exchanges the master key for an access token of 15 minutes; 429 after five failures in a minute."""
    return await open_session(runtime, request, body.master_key.get_secret_value())


async def open_session(runtime: Runtime, request: Request, master_key: str) -> Token:
    """A token, once the login is on the audit trail; a refused one is there too."""
    address = request.client.host if request.client else "unknown"
    try:
        token = runtime.sessions.login(master_key, address)
    except InvalidCredentials:
        await _denied(runtime, _context(request, NOBODY), "auth.refuse", "login")
        raise
    changes = Changes(_context(request, MASTER))
    changes.note("auth.login", "session", MASTER.actor.id)
    async with transaction(runtime.pool) as conn:
        await changes.write(conn)
    return token
