"""The data plane as a bare ASGI application: a path in a dict, then the pipeline."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

import msgspec

from scutum_server.errors import InvalidInput, NotFound, Unavailable
from scutum_server.infra.crypto import key_hash
from scutum_server.proxy import pipeline
from scutum_server.proxy.call import Call
from scutum_server.proxy.endpoints import BY_PATH, MESSAGES, MODEL, MODEL_PREFIX, allowed, of_object
from scutum_server.proxy.gateway import Gateway
from scutum_server.proxy.http.exchange import SCOPE_KEY, Exchange
from scutum_server.proxy.telemetry import exposition
from scutum_server.wire.errors import body_of, render, shape_of

OPERATORS: Final = frozenset({b"/health/live", b"/health/ready", b"/metrics", b"/openapi.json"})
_METRICS: Final = b"content-type: " + exposition.CONTENT_TYPE + b"\r\ncache-control: no-store\r\n"
_JSON: Final = b"content-type: application/json\r\ncache-control: no-store\r\n"


class MethodNotAllowed(InvalidInput):
    code = "method_not_allowed"
    status = 405


class App:
    """Serves the connections of `http.protocol`: answers are written through the scope's Exchange."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        path: bytes = scope["raw_path"]
        endpoint = BY_PATH.get(path)
        model = ""
        if endpoint is None and path.startswith(MODEL_PREFIX):
            endpoint, model = MODEL, unquote(path[len(MODEL_PREFIX) :])
        elif endpoint is None:
            endpoint = of_object(path, scope["method"])
        gateway = self._gateway
        if endpoint is None and await self._is_operators(exchange, path):
            return
        snapshot = gateway.feed.current
        call = Call(exchange, endpoint or (MESSAGES if shape_of(path) == "anthropic" else MODEL), gateway, snapshot)
        if snapshot.maintenance:
            _refuse_for_maintenance(call)
        elif endpoint is None:
            pipeline.refuse(
                call, NotFound(f"There is nothing at {path[:200].decode('latin-1')}: the API is below /v1.")
            )
        elif scope["method"] != endpoint.method:
            methods = allowed(path, endpoint)
            call.extra_head += b"allow: %b\r\n" % methods.encode()
            pipeline.refuse(call, MethodNotAllowed(f"This path takes {methods.replace(', ', ' and ')} requests only."))
        elif not gateway.feed.usable:
            pipeline.refuse(call, _not_ready(gateway))
        else:
            call.requested_model = model
            await pipeline.run(call)
        if not call.accounted:
            gateway.metrics.other(endpoint.route if endpoint else "other", exchange.status or pipeline.CLIENT_CLOSED)

    async def _is_operators(self, exchange: Exchange, path: bytes) -> bool:
        """Answers health checks, /metrics and the API's document; False for any other path."""
        if path not in OPERATORS:
            return False
        if exchange.scope["method"] not in {"GET", "HEAD"}:
            body = body_of(405, f"{path.decode()} takes GET requests only.", MethodNotAllowed.code)
            exchange.respond(405, _JSON + b"allow: GET, HEAD\r\n", body)
        elif path == b"/health/live":
            exchange.respond(200, _JSON, b'{"status":"ok"}')
        elif path == b"/health/ready":
            status, state = readiness(self._gateway)
            exchange.respond(status, _JSON, msgspec.json.encode(state))
        elif path == b"/openapi.json":
            from scutum_server.proxy import openapi  # nothing of it is needed before somebody asks

            exchange.respond(200, _JSON, openapi.render())
        elif _may_read_metrics(exchange, self._gateway.metrics_keys):
            counts = await self._gateway.metrics.gather()
            exchange.respond(200, _METRICS, exposition.render(counts))
        else:
            body = body_of(401, "Metrics need the internal service key or the master key.", "invalid_api_key")
            exchange.respond(401, _JSON + b"www-authenticate: Bearer\r\n", body)
        return True


def _may_read_metrics(exchange: Exchange, hashes: set[bytes]) -> bool:
    shown = next((value for name, value in exchange.scope["headers"] if name == b"authorization"), b"")
    scheme, _, token = shown.partition(b" ")
    return scheme.lower() == b"bearer" and key_hash(token.strip()) in hashes


def readiness(gateway: Gateway) -> tuple[int, dict[str, object]]:
    """Status and document of /health/ready."""
    feed = gateway.feed
    if gateway.draining:
        return 503, {"status": "draining"}
    if not feed.loaded:
        return 503, {"status": "starting"}
    state: dict[str, object] = {"status": "ready" if feed.usable else "stale", "stale": feed.stale}
    if feed.stale:
        state["age_seconds"] = round(feed.age(), 1)
    if feed.current.maintenance:
        state["maintenance"] = True
    return 200 if feed.usable else 503, state


def _refuse_for_maintenance(call: Call) -> None:
    wait = call.snapshot.maintenance
    call.error_kind = "maintenance"
    error = Unavailable(f"The gateway is in maintenance: try again in {wait} s.", code=call.error_kind)
    head = call.head(pipeline.JSON) + b"retry-after: %d\r\n" % wait
    call.exchange.respond(503, head, render(error, call.endpoint.shape, call.id))


def _not_ready(gateway: Gateway) -> Unavailable:
    if gateway.feed.loaded:
        reason = "The gateway's configuration is older than its operator allows: its database is away. Try again later."
        return Unavailable(reason, code="configuration_stale")
    return Unavailable("The gateway has not read its configuration yet: try again.", code="not_ready")
