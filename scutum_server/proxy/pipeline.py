"""The request's way: authenticate → read → route → admit → call → account: plain functions over one record.

Rules that refuse (limits, budgets, guards, cache) go between `route` and `call`, where key, team and deployment are
known and nothing was spent yet.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

import msgspec

from scutum_server.errors import Forbidden, InvalidInput, NotFound, ScutumError, TooLarge, Unauthenticated, Unavailable
from scutum_server.infra.crypto import key_hash
from scutum_server.proxy.attempts import answer
from scutum_server.proxy.call import Call
from scutum_server.proxy.config.snapshot import Network, Plan
from scutum_server.proxy.http.addresses import TooManyFailuresError
from scutum_server.proxy.http.exchange import ClientDisconnected
from scutum_server.proxy.ids.responses import pinned
from scutum_server.proxy.limits.refusals import LimitReached
from scutum_server.upstream import native
from scutum_server.wire.body import decode
from scutum_server.wire.errors import ProviderError, event_of, render

log = logging.getLogger(__name__)

JSON: Final = b"application/json"
CLIENT_CLOSED: Final = 499
_LENGTH_DIGITS: Final = 19


class UnsupportedCoding(InvalidInput):
    code = "unsupported_content_encoding"
    status = 415


async def run(call: Call) -> None:
    """Answers one request, whatever happens, and accounts for it."""
    try:
        authenticate(call)
        await call.endpoint.handle(call)
    except ScutumError as error:
        refuse(call, error)
    except (ClientDisconnected, asyncio.CancelledError):
        give_up(call)
    except Exception:
        log.exception("request failed", extra={"request_id": call.id})
        refuse(call, ScutumError("The gateway failed on this request; its log has the reason under the request id."))
    finally:
        call.gateway.admission.settle(call)


async def complete(call: Call) -> None:
    """Every endpoint that generates something."""
    await read(call)
    plan = route(call)
    if call.endpoint.wire == native.RESPONSES:
        plan = pinned(call, plan)
    await answer(call, plan)


async def count_tokens(call: Call) -> None:
    """Counts as the provider does where it can be asked; elsewhere by our own rule, which the answer says."""
    await read(call)
    plan = route(call)
    if native.COUNT_TOKENS in plan.candidates[0].provider.lane.traits.paths:
        await answer(call, plan)
        return
    await call.gateway.admission.admit(call, plan.candidates[0])
    count = max(1, call.gateway.estimates.input(call))
    call.extra_head += b"x-scutum-estimated: true\r\n"
    call.account(200)
    call.exchange.respond(200, call.head(JSON), msgspec.json.encode({"input_tokens": count}))


def authenticate(call: Call) -> None:
    """Finds the key; raises Unauthenticated, in one wording for every reason, or Forbidden, InvalidInput."""
    presented = None
    length = coding = None
    credentials = api_keys = hosts = 0
    for name, value in call.exchange.scope["headers"]:
        if name == b"authorization":
            credentials += 1
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer":
                presented = token.strip()
        elif name == b"x-api-key":
            api_keys += 1
            presented = presented or value.strip()
        elif name == b"host":
            hosts += 1
        elif name == b"content-length":
            length = value
        elif name == b"transfer-encoding":
            coding = value
        elif name == b"x-request-id":
            call.take_client_id(value)
    if hosts != 1 or credentials > 1 or api_keys > 1:
        _check_counts(call, {"Host": hosts, "Authorization": credentials, "x-api-key": api_keys})
    if coding is not None and coding.lower() != b"chunked":
        raise InvalidInput("The request's body may be sent chunked, and in no other transfer coding.")
    snapshot = call.snapshot
    found = snapshot.credentials.get(key_hash(presented)) if presented else None
    if found is None or found[1] <= time.time():
        gateway, scope = call.gateway, call.exchange.scope
        gateway.failed_authentications += 1
        wait = gateway.throttle.failed(gateway.addresses.client(scope))
        if wait is not None:
            raise TooManyFailuresError(wait)
        raise Unauthenticated(
            "The API key is not valid. Send a valid key as `Authorization: Bearer KEY` or `x-api-key: KEY`."
        )
    key = call.key = found[0]
    call.team = snapshot.team_of(key)
    if call.gateway.tracing is not None and call.endpoint.recorded:
        call.gateway.tracing.begin(call)
    if key.allowed_ips is not None and not _address_allowed(call, key.allowed_ips):
        raise Forbidden("This API key may not be used from this address.", code="ip_not_allowed")
    if key.allowed_routes is not None and call.endpoint.route not in key.allowed_routes:
        raise Forbidden(f"This API key may not use {call.endpoint.route}.", code="route_not_allowed")
    limit = call.gateway.body_limit(call.endpoint.route)
    if length is not None and (len(length) > _LENGTH_DIGITS or int(length) > limit):
        raise TooLarge(f"The request body is larger than {limit} bytes: send less, or have the limit raised.")


def _check_counts(call: Call, counts: dict[str, int]) -> None:
    """Which of two counts is a guess, and whoever stands before us may have guessed otherwise."""
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice is not None:
        raise InvalidInput(f"The request has more than one {twice} header: send one.")
    if call.exchange.scope["http_version"] == "1.1":
        raise InvalidInput("The request has no Host header, which HTTP/1.1 demands.")


def _address_allowed(call: Call, networks: tuple[Network, ...]) -> bool:
    address = call.gateway.addresses.client(call.exchange.scope)
    return address is not None and any(address in network for network in networks)


async def read(call: Call) -> None:
    """Takes the body in and decodes the few fields that are read here; raises TooLarge, InvalidInput."""
    body = call.body = await call.exchange.read_body(call.gateway.max_body_bytes)
    try:
        parsed = call.parsed = decode(body, call.endpoint.decoder)
    except InvalidInput as error:
        if error.code == "invalid_json":
            _check_coding(call)
        raise
    call.requested_model = parsed.model
    call.stream = bool(getattr(parsed, "stream", False))


def _check_coding(call: Call) -> None:
    """A compressed body is never unpacked: what it grows to is known only afterwards."""
    for name, value in call.exchange.scope["headers"]:
        if name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedCoding(
                f"The request's body is compressed ({value[:50].decode('latin-1')}): send it as plain JSON."
            )


def route(call: Call) -> Plan:
    """Finds the deployments behind the model's name that the key may use; raises NotFound, Forbidden, InvalidInput."""
    name = call.requested_model
    plan = call.snapshot.plans.get(name)
    if plan is None:
        raise NotFound(
            f"The model `{name[:100]}` does not exist. GET /v1/models lists those that do.",
            code="model_not_found",
            param="model",
        )
    allowed = call.key.allowed_models
    if allowed is not None and name not in allowed:
        plan = plan.within(allowed)
        if not plan.candidates:
            raise Forbidden(f"This API key may not use the model `{name}`.", code="model_not_allowed", param="model")
    kind = call.endpoint.kind
    for each in plan.candidates:
        if kind and each.kind and each.kind != kind:
            plan = _of_kind(call, plan, kind)
            break
    call.deployment = plan.candidates[0]
    return plan


def _of_kind(call: Call, plan: Plan, kind: str) -> Plan:
    """Without the deployments of another kind; raises InvalidInput when there are no others."""
    fitting = plan.only(lambda each: not each.kind or each.kind == kind)
    if not fitting.candidates:
        raise InvalidInput(
            f"The model `{call.requested_model}` is of kind {plan.candidates[0].kind}: {call.endpoint.route} takes "
            f"models of kind {kind}.",
            param="model",
        )
    return fitting


def refuse(call: Call, error: ScutumError) -> None:
    """Tells the client of `error`: as the answer, or as the last event of a stream that has begun."""
    exchange = call.exchange
    if exchange.response_complete:
        return
    call.error_kind = error.code
    if exchange.response_started:
        call.account(error.status)
        exchange.cut(event_of(error, call.endpoint.shape, call.id))
        return
    call.account(error.status)
    head = call.head(JSON)
    if isinstance(error, ProviderError) and error.retry_after is not None:
        head += b"retry-after: %b\r\n" % error.retry_after
    elif isinstance(error, Unavailable | TooManyFailuresError):
        head += b"retry-after: %d\r\n" % error.retry_after
    elif isinstance(error, LimitReached):
        head += error.head
    elif error.status == 401:
        head += b"www-authenticate: Bearer\r\n"
    exchange.respond(error.status, head, render(error, call.endpoint.shape, call.id))


def give_up(call: Call) -> None:
    """The client went away, or the gateway is stopping and its drain time is over."""
    if call.exchange.disconnected:
        call.error_kind = "client_disconnected"
        call.account(CLIENT_CLOSED)
        return
    refuse(call, Unavailable("The gateway is stopping: try again.", code="gateway_stopping"))


def listing(call: Call) -> list[dict[str, object]]:
    """The models that the key may call, in OpenAI's shape."""
    allowed = call.key.allowed_models
    return [
        {"id": name, "object": "model", "created": models[0].created, "owned_by": models[0].provider.name}
        for name, plan in sorted(call.snapshot.plans.items())
        if (models := (plan if allowed is None or name in allowed else plan.within(allowed)).candidates)
    ]


async def list_models(call: Call) -> None:
    """GET /v1/models."""
    body = msgspec.json.encode({"object": "list", "data": listing(call)})
    call.exchange.respond(200, call.head(JSON), body)


async def get_model(call: Call) -> None:
    """GET /v1/models/{id}."""
    route(call)
    found = next(model for model in listing(call) if model["id"] == call.requested_model)
    call.deployment = None
    call.exchange.respond(200, call.head(JSON), msgspec.json.encode(found))
