"""Batches at a provider: made of a file that is there, looked at, called off; charged when they are over."""

from __future__ import annotations

from typing import Final

import msgspec

from scutum_server.errors import Forbidden, InvalidInput
from scutum_server.proxy.call import Call
from scutum_server.proxy.config.snapshot import Deployment
from scutum_server.proxy.ids.objects import team_of, wrap
from scutum_server.proxy.passthrough.batch_charge import DEPLOYMENT, KEY, MARKS, TEAM, charge, marks_of
from scutum_server.proxy.passthrough.files import BATCH
from scutum_server.proxy.passthrough.objects import (
    Document,
    admitted,
    ask,
    ask_about,
    listing,
    path_at,
    place,
    respond,
)
from scutum_server.upstream.native import BATCHES, FILES
from scutum_server.wire.body import ANYTHING, decode

_FILES: Final = ("input_file_id", "output_file_id", "error_file_id")
_MOST: Final = 100


async def create(call: Call) -> None:
    """POST /v1/batches."""
    call.body = await call.exchange.read_body(call.gateway.max_body_bytes)
    request = decode(call.body, ANYTHING)
    file_id, endpoint = _text(request, "input_file_id"), _text(request, "endpoint")
    allowed = call.key.allowed_routes
    if allowed is not None and endpoint not in allowed:
        raise Forbidden(f"This API key may not use {endpoint[:100]}.", code="route_not_allowed", param="endpoint")
    deployment, file_path = place(call, FILES, file_id)
    path = path_at(deployment, BATCHES)
    await call.gateway.admission.admit(call, deployment)
    # Only the lines of files for batches were read on their way up.
    file = await ask_about(call, deployment, "GET", file_path, file_id)
    if file.get("purpose") != BATCH:
        raise InvalidInput("The file was not uploaded with `purpose` `batch`.", param="input_file_id")
    given = request.get("metadata") or {}
    if not isinstance(given, dict):
        raise InvalidInput("The field `metadata` must be an object.", param="metadata")
    request["input_file_id"] = call.gateway.ids.unwrap(file_id, team_of(call)).upstream_id
    request["metadata"] = given | {TEAM: team_of(call), DEPLOYMENT: deployment.id, KEY: call.key.id}
    made = await ask(call, deployment, "POST", path, body=msgspec.json.encode(request))
    if isinstance(made.get("id"), str):
        await call.gateway.batches.add(deployment, made["id"])
    await _tell(call, deployment, made)


async def list_batches(call: Call) -> None:
    """GET /v1/batches: those that this team made through the gateway."""
    ended: list[tuple[Deployment, Document]] = []

    def shown(where: Deployment, entry: Document) -> Document | None:
        owner = _owner(call, where, entry)
        if owner is None:
            return None
        ended.append((owner, entry))
        return _shown(call, owner, entry)

    document = await listing(call, BATCHES, shown, most=_MOST, page=_MOST, passed=())
    for owner, entry in ended:
        await charge(call.gateway, call.snapshot, owner, entry)
    respond(call, document)


async def get_batch(call: Call) -> None:
    """GET /v1/batches/{id}."""
    deployment, path = await admitted(call, BATCHES)
    await _tell(call, deployment, await ask_about(call, deployment, "GET", path))


async def cancel(call: Call) -> None:
    """POST /v1/batches/{id}/cancel."""
    deployment, path = await admitted(call, BATCHES)
    await _tell(call, deployment, await ask_about(call, deployment, "POST", f"{path}/cancel"))


async def _tell(call: Call, deployment: Deployment, batch: Document) -> None:
    """Answers with a batch; one that is over is charged."""
    await charge(call.gateway, call.snapshot, deployment, batch)
    respond(call, _shown(call, deployment, batch))


def _text(request: Document, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise InvalidInput(f"The field `{name}` must be a string.", param=name)
    return value


def _owner(call: Call, where: Deployment, entry: Document) -> Deployment | None:
    """The deployment that a batch of this team was made for; None for any other batch."""
    marks = marks_of(entry)
    owner = call.snapshot.deployments.get(str(marks.get(DEPLOYMENT)))
    if marks.get(TEAM) != team_of(call) or owner is None or owner.provider.id != where.provider.id:
        return None
    return owner


def _shown(call: Call, deployment: Deployment, entry: Document) -> Document:
    """A batch as the client knows it."""
    shown = dict(entry)
    for name in ("id", *_FILES):
        if isinstance(entry.get(name), str):
            shown[name] = wrap(call, deployment.id, entry[name])
    if isinstance(entry.get("metadata"), dict):
        own = {name: value for name, value in entry["metadata"].items() if name not in MARKS}
        shown["metadata"] = own or None
    return shown
