"""Responses that a provider keeps, asked for again or deleted by the team that made them."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlencode

from scutum_server.proxy.call import Call
from scutum_server.proxy.config.snapshot import Deployment
from scutum_server.proxy.ids.objects import wrap
from scutum_server.proxy.passthrough.objects import Document, admitted, ask_about, respond
from scutum_server.upstream.native import RESPONSES

_PASSED: Final = frozenset({"include", "include[]", "after", "limit", "order"})
_IDS: Final = ("id", "previous_response_id")


async def get_response(call: Call) -> None:
    """GET /v1/responses/{id}."""
    await _about(call, "GET")


async def delete_response(call: Call) -> None:
    """DELETE /v1/responses/{id}."""
    await _about(call, "DELETE")


async def get_input_items(call: Call) -> None:
    """GET /v1/responses/{id}/input_items: items have ids of their own, which lead nowhere by themselves."""
    deployment, path = await admitted(call, RESPONSES)
    respond(call, await ask_about(call, deployment, "GET", f"{path}/input_items", query=_query(call)))


async def _about(call: Call, method: str) -> None:
    deployment, path = await admitted(call, RESPONSES)
    respond(call, _shown(call, deployment, await ask_about(call, deployment, method, path, query=_query(call))))


def _query(call: Call) -> str:
    given = parse_qsl(call.exchange.scope["query_string"].decode("latin-1"))
    return urlencode([(name, value) for name, value in given if name in _PASSED])


def _shown(call: Call, deployment: Deployment, response: Document) -> Document:
    """A response as the client knows it."""
    ours = {name: wrap(call, deployment.id, response[name]) for name in _IDS if isinstance(response.get(name), str)}
    return response | ours
