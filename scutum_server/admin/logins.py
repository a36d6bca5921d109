"""Logging in and out: each way in is checked outside of any transaction, since a password takes its time."""

from __future__ import annotations

import hmac
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, status

from scutum_server.access import passwords, schemas
from scutum_server.access.models import (
    MASTER,
    Actor,
    Grant,
    InvalidCredentials,
    Method,
    Principal,
    Session,
    TooManyAttemptsError,
)
from scutum_server.access.service import email_key
from scutum_server.access.sessions.service import ReusedError, master_credential
from scutum_server.access.sessions.store import Login, SessionStore
from scutum_server.access.throttle import lanes
from scutum_server.access.throttle.lanes import ThrottledError
from scutum_server.access.throttle.store import Lane
from scutum_server.admin import auth, permissions
from scutum_server.admin.auth import NOBODY, client_address, context_of
from scutum_server.admin.changes import Changes, Context
from scutum_server.admin.runtime import Runtime
from scutum_server.errors import Forbidden
from scutum_server.infra.crypto import key_hash
from scutum_server.infra.db import transaction

router = APIRouter(tags=["auth"])
OWNER = Principal(MASTER, "owner")
"""Whoever has the master key owns the whole install."""

Served = Annotated[Runtime, Depends(auth.served)]


@router.post("/auth/login", response_model=schemas.Session)
async def login(request: Request, runtime: Served, body: schemas.Login) -> Grant:
    """Opens a session by master key, password or service token; 429 `too_many_attempts` after five failures a minute.

    What is wrong with the credentials is never told.
    """
    mark = body.device_token.get_secret_value() if body.device_token else None
    if body.email is not None and body.password is not None:
        return await _by_password(runtime, request, body.email, body.password.get_secret_value(), mark)
    if body.service_token is not None:
        return await _by_token(runtime, request, body.service_token.get_secret_value())
    key = body.master_key.get_secret_value() if body.master_key else ""
    if not hmac.compare_digest(master_credential(key), runtime.master):
        raise await _wrong_secret(
            runtime, request, "This is not the master key.", "It is SCUTUM_API_KEY in config/.env of the deploy root."
        )
    return await opened(runtime, request, OWNER, "master_key", runtime.master)


@router.post("/auth/refresh", response_model=schemas.Session)
async def refresh_session(request: Request, runtime: Served, body: schemas.Refresh) -> Grant:
    """New tokens for a refresh token. It works once: shown again, the session ends for whoever holds a copy."""
    reused: ReusedError | None = None
    async with transaction(runtime.pool) as conn:
        try:
            return await auth.sessions(runtime, conn).refresh(body.refresh_token.get_secret_value())
        except ReusedError as error:
            reused = error
    await auth.denied(runtime, context_of(request, NOBODY), "session.reuse", reused.session_id)
    raise reused


own = APIRouter(tags=["auth"])
"""Routes about one's own session; each is inside one transaction."""


def _context(request: Request) -> Context:
    context: Context = request.state.context
    return context


def _session(context: Context) -> Session:
    if context.session is None:
        raise Forbidden("The key between services has no session.")
    return context.session


@own.post("/auth/logout", status_code=status.HTTP_204_NO_CONTENT)
async def logout(request: Request) -> None:
    """Ends the session, at once in all processes."""
    session = _session(_context(request))
    await auth.sessions(auth.runtime_of(request), request.state.conn).end(session.id, "logout")
    request.state.changes.note("auth.logout", "session", session.id, org_id=session.principal.org_id)


@own.get("/auth/whoami", response_model=schemas.Me)
async def whoami(request: Request) -> dict[str, object]:
    """Whose session this is, and what it may do."""
    context = _context(request)
    session = context.session
    org = await SessionStore(request.state.conn).org_name(context.org_id) if context.org_id else None
    return msgspec.structs.asdict(context.actor) | {
        "role": context.role,
        "org": org,
        "permissions": permissions.of(context.role, context.org_id),
        "session_id": session.id if session else None,
        "method": session.method if session else None,
        "expires_at": session.expires_at if session else None,
    }


@own.put("/auth/password", status_code=status.HTTP_204_NO_CONTENT)
async def change_password(request: Request, body: schemas.PasswordChange) -> None:
    """Changes one's own password and ends one's other sessions."""
    runtime, session = auth.runtime_of(request), _session(_context(request))
    found = await SessionStore(request.state.conn).login_of_user(session.principal.actor.id)
    if found is None or found.password_hash is None:
        raise Forbidden("This account has no password.")
    taken = [Lane(f"change:{session.id}", 5, 60)]
    await runtime.throttle.enter(taken)
    if not await runtime.passwords.verify(found.password_hash, body.current_password.get_secret_value(), known=True):
        raise InvalidCredentials("The current password is not right.")
    await runtime.throttle.succeeded(taken)
    fresh = passwords.clean(body.new_password.get_secret_value(), found.email)
    user = await request.state.users.get(found.id)
    await request.state.users.set_password(user, await runtime.passwords.hash(fresh), but=session.id)


async def opened(
    runtime: Runtime,
    request: Request,
    holder: Principal,
    method: Method,
    credential: bytes | None,
    *,
    rehashed: str | None = None,
) -> Grant:
    """A new session, once it is on the audit trail; `rehashed` is the password's hash as it is made now."""
    ip, actor = client_address(request), holder.actor
    async with transaction(runtime.pool) as conn:
        store, person = SessionStore(conn), actor.kind == "user"
        session_id, grant = await auth.sessions(runtime, conn).open(holder, method, credential, ip, device=person)
        if person:
            await store.user_came(actor.id, ip, rehashed)
        elif actor.kind == "service-account":
            await store.account_came(actor.id)
        changes = Changes(context_of(request, holder))
        changes.note("auth.login", "session", session_id, org_id=holder.org_id, after={"method": method})
        await changes.write(conn)
    return grant


async def _by_password(runtime: Runtime, request: Request, email: str, password: str, mark: str | None) -> Grant:
    """Does the same for an account that is there, that is not, that is disabled and that has no password."""
    ip, account = client_address(request), email_key(email)
    async with transaction(runtime.pool) as conn:
        found = await SessionStore(conn).login_of(account, ip)
    device = runtime.signer.read_device(mark, found.id if found else None)
    known = found is not None and found.known
    taken = lanes.for_password(account, ip, device=device, known=known)
    await _enter(runtime, request, taken, found)
    hashed = found.password_hash if found is not None and found.active else None
    try:
        right = await runtime.passwords.verify(hashed, password, known=known or device is not None)
    except TooManyAttemptsError:
        await runtime.throttle.succeeded(taken)
        raise
    if not right or found is None or hashed is None:
        await _refused(runtime, request, found)
        raise InvalidCredentials("The address of mail or the password is not right.")
    await runtime.throttle.succeeded(taken)
    holder = Principal(Actor(found.id, "user", found.email), found.role, found.org_id)
    rehashed = await runtime.passwords.hash(password) if runtime.passwords.outdated(hashed) else None
    return await opened(runtime, request, holder, "password", None, rehashed=rehashed)


async def _by_token(runtime: Runtime, request: Request, token: str) -> Grant:
    digest = key_hash(token)
    async with transaction(runtime.pool) as conn:
        found = await SessionStore(conn).token_holder(digest)
    if found is None:
        raise await _wrong_secret(
            runtime, request, "This is not the token of a service account.", "See: scutum service-accounts rotate"
        )
    holder = Principal(Actor(found.id, "service-account"), found.role, found.org_id)
    return await opened(runtime, request, holder, "service_token", digest)


async def _wrong_secret(runtime: Runtime, request: Request, what: str, hint: str) -> InvalidCredentials:
    """What to raise; raises ThrottledError itself. The right secret always opens, so only failures are counted."""
    await _enter(runtime, request, lanes.for_secrets(client_address(request)), None)
    await _refused(runtime, request, None)
    return InvalidCredentials(what, hint=hint)


async def _enter(runtime: Runtime, request: Request, taken: list[Lane], found: Login | None) -> None:
    try:
        await runtime.throttle.enter(taken)
    except ThrottledError as error:
        if error.first:
            await _refused(runtime, request, found, "auth.throttle")
        raise


async def _refused(runtime: Runtime, request: Request, found: Login | None, action: str = "auth.refuse") -> None:
    """Names the account only where there is one: people type passwords into the wrong field."""
    who = (found.id, found.org_id) if found is not None else ("login", None)
    await auth.denied(runtime, context_of(request, NOBODY), action, who[0], who[1])
