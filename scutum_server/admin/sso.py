"""Logging in through an OpenID provider: in a browser with a code and PKCE, or elsewhere for a device without one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from typing import Annotated, Any, Final, NoReturn
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, status

from scutum_server.access import schemas
from scutum_server.access.models import BadField, Grant, Principal
from scutum_server.access.sso.issuer import Client, Issuer, Pending
from scutum_server.access.sso.models import Begun, DeviceBegun, Provider, SsoFailed, SsoPending, SsoRefused
from scutum_server.access.sso.service import WRAPPED, SsoService
from scutum_server.access.sso.store import SsoStore
from scutum_server.access.throttle.lanes import place
from scutum_server.access.throttle.store import Lane
from scutum_server.admin import auth, logins
from scutum_server.admin.auth import NOBODY, client_address, context_of
from scutum_server.admin.changes import Changes
from scutum_server.admin.logins import Served
from scutum_server.admin.runtime import Runtime, utc_now
from scutum_server.admin.services import Services
from scutum_server.errors import ScutumError
from scutum_server.infra.crypto import key_hash
from scutum_server.infra.db import Connection, transaction

router = APIRouter(tags=["auth"])
LIFETIME: Final = 600
"""Seconds that somebody has for logging in at the provider."""
_WORDS: Final = "Single sign-on"
_GUEST: Final = Principal(NOBODY.actor, "owner")
"""In whose name accounts are made and moved by the provider's word: whoever set the rules could give those roles."""


def _services(runtime: Runtime, conn: Connection, changes: Changes) -> Services:
    return Services(conn, runtime.box, changes, utc_now, None, runtime.licences.trust)


async def _provider(runtime: Runtime, request: Request) -> tuple[Provider, Client]:
    """The provider and our client there, once the licence allows it; raises SsoNotSet or UpgradeRequired."""
    async with transaction(runtime.pool) as conn:
        services = _services(runtime, conn, Changes(context_of(request, _GUEST)))
        await services.licences.require("sso", _WORDS)
        provider = await services.sso.get()
        return provider, Client(provider.client_id, services.sso.secret(provider))


async def _calm(runtime: Runtime, request: Request, what: str) -> None:
    """Open routes that make us talk to the provider: so many a minute from one address, whatever comes of them."""
    await runtime.throttle.enter([Lane(f"{what}:{place(client_address(request))}", 30, 60)])


@router.post("/auth/sso/start", response_model=schemas.SsoBegun)
async def start_sso(request: Request, runtime: Served, body: schemas.SsoStart) -> Begun:
    """Begins a login in a browser: send it to `authorization_url`, keep `flow_token` for its owner alone."""
    await _calm(runtime, request, "sso")
    provider, client = await _provider(runtime, request)
    if body.redirect_uri not in provider.redirect_uris:
        raise BadField("This address is not among the redirect_uris of the settings.", param="redirect_uri")
    metadata = await runtime.desk.of(provider).metadata()
    state, mark, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    async with transaction(runtime.pool) as conn:
        await SsoStore(conn).insert_flow(
            key_hash(state), lifetime=LIFETIME, kind="code", browser=key_hash(mark), nonce=nonce,
            secret=runtime.box.wrap(verifier, WRAPPED), redirect_uri=body.redirect_uri,
        )  # fmt: skip
    asked = {
        "response_type": "code", "client_id": client.id, "redirect_uri": body.redirect_uri,
        "scope": " ".join(provider.scopes), "state": state, "nonce": nonce,
        "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    joint = "&" if "?" in metadata.authorization_endpoint else "?"
    url = metadata.authorization_endpoint + joint + urlencode(asked)
    return Begun(authorization_url=url, state=state, flow_token=mark, expires_in=LIFETIME)


@router.post("/auth/sso/callback", response_model=schemas.Session)
async def finish_sso(request: Request, runtime: Served, body: schemas.SsoCallback) -> Grant:
    """Ends a login in a browser with what the provider sent it back with; a state works once."""
    await _calm(runtime, request, "sso")
    provider, client = await _provider(runtime, request)
    async with transaction(runtime.pool) as conn:
        flow = await SsoStore(conn).take_flow(key_hash(body.state))
    mark = key_hash(body.flow_token.get_secret_value())
    # The mark binds the answer to the browser that asked: nobody is logged in as somebody else by a link.
    ours = flow is not None and flow.due and flow.browser is not None and hmac.compare_digest(flow.browser, mark)
    if flow is None or not ours or flow.nonce is None or flow.redirect_uri is None:
        await _refuse(runtime, request, SsoFailed("This login is not known here, or it took too long."))
    issuer = runtime.desk.of(provider)
    metadata = await issuer.metadata()
    named = metadata.authorization_response_iss_parameter_supported
    if (body.iss is not None or named) and body.iss != provider.issuer:
        await _refuse(runtime, request, SsoFailed("The answer came from another provider."))
    if body.code is None:
        await _refuse(runtime, request, SsoFailed("The provider did not let them in.", hint="Log in again."))
    verifier = runtime.box.unwrap(flow.secret, WRAPPED)
    try:
        claims = await issuer.exchange(client, body.code, verifier, flow.redirect_uri, flow.nonce)
    except SsoFailed as error:
        await _refuse(runtime, request, error)
    return await _open(runtime, request, provider, claims)


@router.post("/auth/sso/device", response_model=schemas.SsoDeviceBegun, status_code=status.HTTP_201_CREATED)
async def start_device_login(request: Request, runtime: Served) -> DeviceBegun:
    """Begins a login of a device: somebody types `user_code` in at `verification_uri`, with any browser."""
    await _calm(runtime, request, "sso")
    provider, client = await _provider(runtime, request)
    answer = await runtime.desk.of(provider).device(client, provider.scopes)
    device_code, user_code, uri = (answer.get(name) for name in ("device_code", "user_code", "verification_uri"))
    if not (isinstance(device_code, str) and isinstance(user_code, str) and isinstance(uri, str)):
        raise SsoFailed("The provider's answer is no login of a device.")
    handle, complete = secrets.token_urlsafe(32), answer.get("verification_uri_complete")
    interval = min(60, max(1, int(answer.get("interval") or 5)))
    lifetime = min(1800, max(30, int(answer.get("expires_in") or LIFETIME)))
    async with transaction(runtime.pool) as conn:
        await SsoStore(conn).insert_flow(
            key_hash(handle), lifetime=lifetime, interval=interval, kind="device",
            secret=runtime.box.wrap(device_code, WRAPPED),
        )  # fmt: skip
    return DeviceBegun(
        user_code=user_code,
        verification_uri=uri,
        verification_uri_complete=complete if isinstance(complete, str) else None,
        flow_token=handle,
        expires_in=lifetime,
        interval=interval,
    )


@router.post("/auth/sso/device/token", response_model=schemas.Session)
async def finish_device_login(request: Request, runtime: Served, body: schemas.SsoDevicePoll) -> Grant:
    """The session, once they have logged in; 409 `authorization_pending` with Retry-After before."""
    provider, client = await _provider(runtime, request)
    handle = key_hash(body.flow_token.get_secret_value())
    async with transaction(runtime.pool) as conn:
        store = SsoStore(conn)
        flow = await store.device_flow(handle)
        if flow is not None and flow.due:
            await store.wait(handle, flow.interval)
    if flow is None:
        await _refuse(runtime, request, SsoFailed("This login is not known here, or it took too long."))
    if not flow.due:
        raise SsoPending(flow.interval)
    try:
        claims = await runtime.desk.of(provider).device_tokens(client, runtime.box.unwrap(flow.secret, WRAPPED))
    except Pending as answer:
        async with transaction(runtime.pool) as conn:
            await SsoStore(conn).wait(handle, flow.interval + (5 if answer.slower else 0))
        raise SsoPending(flow.interval) from None
    except SsoFailed as error:
        async with transaction(runtime.pool) as conn:
            await SsoStore(conn).end_flow(handle)
        await _refuse(runtime, request, error)
    async with transaction(runtime.pool) as conn:
        first = await SsoStore(conn).end_flow(handle)
    if not first:
        await _refuse(runtime, request, SsoFailed("This login has come to its end before."))
    return await _open(runtime, request, provider, claims)


async def _open(runtime: Runtime, request: Request, provider: Provider, claims: dict[str, Any]) -> Grant:
    """The session of whoever the claims are about; their account is made or moved in a transaction before."""
    changes = Changes(context_of(request, _GUEST))
    try:
        async with transaction(runtime.pool) as conn:
            holder = await _services(runtime, conn, changes).sso.admit(provider, claims)
            await changes.write(conn)
    except ScutumError as error:
        await _refuse(runtime, request, error)
    return await logins.opened(runtime, request, holder, "sso", None)


async def _refuse(runtime: Runtime, request: Request, error: ScutumError) -> NoReturn:
    """Raises the error, once the attempt is on the audit trail."""
    action = "auth.forbid" if isinstance(error, SsoRefused) else "auth.refuse"
    await auth.denied(runtime, context_of(request, NOBODY), action, "sso")
    raise error


settings = APIRouter(tags=["access"])
"""Routes for the provider's settings; each is inside one transaction."""


async def _sso(request: Request) -> SsoService:
    service: SsoService = request.state.sso
    return service


Sso = Annotated[SsoService, Depends(_sso)]


def _shown(provider: Provider) -> dict[str, Any]:
    names = ("issuer", "client_id", "scopes", "redirect_uris", "groups_claim", "rules", "default_role", "ca_bundle")
    return {name: getattr(provider, name) for name in (*names, "updated_at")} | {
        "has_client_secret": provider.secret is not None
    }


@settings.get("/sso", response_model=schemas.SsoSettings)
async def get_sso(sso: Sso) -> dict[str, Any]:
    """The OpenID provider that people log in through; never the client's secret."""
    return _shown(await sso.get())


@settings.put("/sso", response_model=schemas.SsoSettings)
async def put_sso(request: Request, sso: Sso, body: schemas.SsoPut) -> dict[str, Any]:
    """Sets the OpenID provider up; it must answer, and a licence must include single sign-on."""
    await request.state.licences.require("sso", _WORDS)
    fields = body.model_dump()
    secret = body.client_secret
    fields["client_secret"] = secret.get_secret_value() if secret is not None else None
    found = await sso.put(fields)
    async with asyncio.timeout(30):
        await Issuer(found.issuer, found.ca_bundle).metadata()
    return _shown(found)


@settings.delete("/sso", status_code=status.HTTP_204_NO_CONTENT)
async def delete_sso(sso: Sso) -> None:
    """Ends single sign-on; accounts and open sessions stay."""
    await sso.delete()
