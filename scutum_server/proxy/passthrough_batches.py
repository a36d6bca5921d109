"""Batches at a provider: made of a file that is there, watched, called off; charged once, when they are over.

A record of the usage of a batch has an id made from the batch and the moment of its end: however often and wherever the
end is seen, the spend log has one row of it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from hashlib import blake2b
from typing import Final

import msgspec

from scutum_server.errors import Forbidden, InvalidInput, Unavailable
from scutum_server.proxy.call import Call
from scutum_server.proxy.object_ids import team_of, wrap
from scutum_server.proxy.passthrough_files import BATCH
from scutum_server.proxy.passthrough_objects import (
    Document,
    admitted,
    ask,
    ask_about,
    listing,
    path_at,
    place,
    respond,
)
from scutum_server.proxy.snapshot import Deployment
from scutum_server.upstream.native import BATCHES, FILES
from scutum_server.upstream.tariff import tokens_of
from scutum_server.usage.models import UsageRecord
from scutum_server.wire.body import ANYTHING, decode
from scutum_server.wire.reported import units_in

_TEAM: Final = "scutum_team"
_DEPLOYMENT: Final = "scutum_deployment"
_KEY: Final = "scutum_key"
_MARKS: Final = frozenset({_TEAM, _DEPLOYMENT, _KEY})
_FILES: Final = ("input_file_id", "output_file_id", "error_file_id")
_ENDS: Final = ("completed_at", "expired_at", "cancelled_at", "failed_at")
_TERMS: Final = ("processing", "batch")
_MOST: Final = 100
_OLDEST_S: Final = 31 * 24 * 3600
"""What ended before is not charged any more: its month in the spend log may be archived."""


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
    request["metadata"] = given | {_TEAM: team_of(call), _DEPLOYMENT: deployment.id, _KEY: call.key.id}
    made = await ask(call, deployment, "POST", path, body=msgspec.json.encode(request))
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
        await _charge(call, owner, entry)
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
    await _charge(call, deployment, batch)
    respond(call, _shown(call, deployment, batch))


def _text(request: Document, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise InvalidInput(f"The field `{name}` must be a string.", param=name)
    return value


def _marks(entry: Document) -> Document:
    found = entry.get("metadata")
    return found if isinstance(found, dict) else {}


def _owner(call: Call, where: Deployment, entry: Document) -> Deployment | None:
    """The deployment that a batch of this team was made for; None for any other batch."""
    marks = _marks(entry)
    owner = call.snapshot.deployments.get(str(marks.get(_DEPLOYMENT)))
    if marks.get(_TEAM) != team_of(call) or owner is None or owner.provider.id != where.provider.id:
        return None
    return owner


def _shown(call: Call, deployment: Deployment, entry: Document) -> Document:
    """A batch as the client knows it."""
    shown = dict(entry)
    for name in ("id", *_FILES):
        if isinstance(entry.get(name), str):
            shown[name] = wrap(call, deployment.id, entry[name])
    if isinstance(entry.get("metadata"), dict):
        own = {name: value for name, value in entry["metadata"].items() if name not in _MARKS}
        shown["metadata"] = own or None
    return shown


async def _charge(call: Call, deployment: Deployment, batch: Document) -> None:
    ended = next((batch[name] for name in _ENDS if isinstance(batch.get(name), int)), None)
    units = units_in(batch)
    if ended is None or units is None or not 0 <= time.time() - ended < _OLDEST_S:
        return
    record_id = _record_id(ended, deployment, str(batch.get("id")))
    if not call.gateway.first_sight(record_id):
        return
    tokens, cost = tokens_of(units), deployment.tariff(units, _TERMS)
    call.gateway.record(
        UsageRecord(
            request_id=record_id,
            status=200,
            org_id=call.team.org_id if call.team is not None else None,
            team_id=call.team.id if call.team is not None else None,
            key_id=str(_marks(batch).get(_KEY) or call.key.id),
            route="/v1/batches",
            requested_model=deployment.name,
            deployment_id=deployment.id,
            model=deployment.name,
            upstream_model=deployment.upstream_model,
            provider=deployment.provider.name,
            tokens_in=tokens.input,
            tokens_out=tokens.output,
            tokens_cached=tokens.cached,
            tokens_reasoning=tokens.reasoning,
            usage_source="reported",
            cost_nano_usd=cost.nano_usd,
            price_source=cost.source,
        )
    )
    # The spend log knows the same record when it comes again; a budget does not. Without Redis it reads the spend log
    # when it counts anew.
    with suppress(Unavailable):
        if await call.gateway.stream.first(record_id, _OLDEST_S):
            await call.gateway.admission.debit(call, deployment, cost.nano_usd)


def _record_id(ended: int, deployment: Deployment, batch_id: str) -> str:
    """A UUIDv7 of the moment of the end, the same for the same batch."""
    bits = int.from_bytes(blake2b(f"{deployment.id}\n{batch_id}".encode(), digest_size=10).digest()) >> 6
    value = ended * 1000 << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | (bits & 0x3FFFFFFFFFFFFFFF)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
