"""The data plane as a bare ASGI application: a path in a dict, then the pipeline."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

import msgspec

from scutum_server.errors import InvalidInput, NotFound, Unavailable
from scutum_server.proxy import pipeline
from scutum_server.proxy.call import Call
from scutum_server.proxy.endpoints import BY_PATH, MODEL, MODEL_PREFIX
from scutum_server.proxy.gateway import Gateway
from scutum_server.proxy.protocol import SCOPE_KEY, Exchange

_JSON: Final = b"content-type: application/json\r\ncache-control: no-store\r\n"


class MethodNotAllowed(InvalidInput):
    code = "method_not_allowed"
    status = 405


class App:
    """Serves `proxy.protocol` connections: answers are written through the scope's Exchange."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        path: bytes = scope["raw_path"]
        endpoint = BY_PATH.get(path)
        model = ""
        if endpoint is None and path.startswith(MODEL_PREFIX):
            endpoint, model = MODEL, unquote(path[len(MODEL_PREFIX) :])
        if endpoint is None:
            self._other(exchange, path)
            return
        call = Call(exchange, endpoint, self._gateway, self._gateway.feed.current)
        if scope["method"] != endpoint.method:
            pipeline.refuse(call, MethodNotAllowed(f"{endpoint.route} takes {endpoint.method} requests only."))
        elif not self._gateway.feed.loaded:
            reason = "The gateway has not read its configuration yet: try again."
            pipeline.refuse(call, Unavailable(reason, code="not_ready"))
        else:
            call.requested_model = model
            await pipeline.run(call)

    def _other(self, exchange: Exchange, path: bytes) -> None:
        if path == b"/health/live":
            exchange.respond(200, _JSON, b'{"status":"ok"}')
        elif path == b"/health/ready":
            ready = self._gateway.ready
            state = "ready" if ready else "draining" if self._gateway.draining else "starting"
            exchange.respond(200 if ready else 503, _JSON, msgspec.json.encode({"status": state}))
        else:
            error = NotFound(f"There is nothing at {path[:200].decode('latin-1')}: the API is below /v1.")
            pipeline.refuse(Call(exchange, MODEL, self._gateway, self._gateway.feed.current), error)
