"""What a batch costs, charged once when it is over, whoever sees it first: a client, or the watch.

The usage record has an id made from the batch and the moment of its end: however often and wherever the end is seen,
the spend log has one row of it, and the budgets are debited once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from scutum_server.errors import ScutumError, Unavailable
from scutum_server.proxy.config.snapshot import Key, Snapshot, Team
from scutum_server.upstream.native import BATCHES
from scutum_server.upstream.tariff import tokens_of
from scutum_server.usage.models import Reading
from scutum_server.usage.store import OpenBatches
from scutum_server.wire.reported import units_in

if TYPE_CHECKING:
    from scutum_server.proxy.config.snapshot import Deployment
    from scutum_server.proxy.gateway import Gateway

log = logging.getLogger(__name__)

TEAM: Final = "scutum_team"
DEPLOYMENT: Final = "scutum_deployment"
KEY: Final = "scutum_key"
MARKS: Final = frozenset({TEAM, DEPLOYMENT, KEY})
"""What the gateway writes into a batch's metadata."""
OLDEST_S: Final = 31 * 24 * 3600
"""What ended before is not charged any more: its month in the spend log may be archived."""
_ENDS: Final = ("completed_at", "expired_at", "cancelled_at", "failed_at")
_TERMS: Final = ("processing", "batch")
_AT_ONCE: Final = 20
_MAX_BYTES: Final = 1024 * 1024
_GONE: Final = frozenset({404, 410})


class Payer(Struct, frozen=True):
    """Who pays for a batch: the key that made it, as the configuration has it now."""

    snapshot: Snapshot
    key: Key
    team: Team | None


class Watched(Struct, array_like=True, frozen=True):
    """A batch that is not over yet, as far as anybody has seen."""

    deployment_id: str
    upstream_id: str
    created: int


def marks_of(batch: dict[str, Any]) -> dict[str, Any]:
    found = batch.get("metadata")
    return found if isinstance(found, dict) else {}


def ended_at(batch: dict[str, Any]) -> int | None:
    """Seconds of the epoch; None while it may still go on."""
    return next((batch[name] for name in _ENDS if isinstance(batch.get(name), int)), None)


async def charge(gateway: Gateway, snapshot: Snapshot, deployment: Deployment, batch: dict[str, Any]) -> None:
    """Charges a batch that is over and says what it used; does nothing for any other, or the second time."""
    ended, units = ended_at(batch), units_in(batch)
    if ended is None or units is None or not 0 <= time.time() - ended < OLDEST_S:
        return
    record_id = _record_id(ended, deployment, str(batch.get("id")))
    if not gateway.first_sight(record_id):
        return
    payer = _payer(snapshot, marks_of(batch))
    tokens, cost = tokens_of(units), deployment.tariff(units, _TERMS)
    subject = gateway.records.subject(snapshot, payer.key, payer.team, "/v1/batches", deployment.name, deployment)
    gateway.records.keep(
        subject,
        Reading(
            record_id,
            200,
            tokens_in=tokens.input,
            tokens_out=tokens.output,
            tokens_cached=tokens.cached,
            tokens_reasoning=tokens.reasoning,
            cost_nano_usd=cost.nano_usd,
            usage_source="reported",
            price_source=cost.source,
            user_id=payer.key.owner,
        ),
    )
    # Without Redis the budgets learn of it from the spend log, when they are counted anew.
    with suppress(Unavailable):
        if await gateway.stream.first(record_id, OLDEST_S):
            await gateway.admission.debit(payer, deployment, cost.nano_usd)


def _payer(snapshot: Snapshot, marks: dict[str, Any]) -> Payer:
    key_id, team_id = str(marks.get(KEY)), str(marks.get(TEAM))
    known = next((key for key, _ in snapshot.credentials.values() if key.id == key_id), None)
    return Payer(snapshot, known or Key(key_id, team_id), snapshot.teams.get(team_id))


def _record_id(ended: int, deployment: Deployment, batch_id: str) -> str:
    """A UUIDv7 of the moment of the end, the same for the same batch."""
    bits = int.from_bytes(blake2b(f"{deployment.id}\n{batch_id}".encode(), digest_size=10).digest()) >> 6
    value = ended * 1000 << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | (bits & 0x3FFFFFFFFFFFFFFF)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class BatchWatch:
    """Looks after batches that nobody asks for: one worker of the fleet asks the provider every `seconds`."""

    def __init__(self, gateway: Gateway, store: OpenBatches, seconds: int) -> None:
        self._gateway = gateway
        self._store = store
        self._seconds = seconds

    async def add(self, deployment: Deployment, upstream_id: str) -> None:
        """Without Redis it stays with the clients to ask."""
        now = int(time.time())
        with suppress(Unavailable):
            await self._store.add(msgspec.json.encode(Watched(deployment.id, upstream_id, now)), now + self._seconds)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._seconds / 2)
            now = int(time.time())
            try:
                for member in await self._store.take_due(now, now + self._seconds, _AT_ONCE):
                    if await self._is_over(msgspec.json.decode(member, type=Watched), now):
                        await self._store.remove(member)
            except Unavailable:
                continue
            except Exception:
                log.exception("batches cannot be watched")

    async def _is_over(self, batch: Watched, now: int) -> bool:
        """Whether there is nothing to wait for any more."""
        snapshot = self._gateway.feed.current
        deployment = snapshot.deployments.get(batch.deployment_id)
        if deployment is None or now - batch.created > OLDEST_S:
            return True
        path = deployment.provider.lane.traits.paths.get(BATCHES, BATCHES)
        try:
            reply = await deployment.provider.lane.ask("GET", f"{path}/{quote(batch.upstream_id, safe='')}")
            try:
                status, body = reply.status, await reply.body(_MAX_BYTES)
            finally:
                reply.close()
            document = msgspec.json.decode(body)
        except (ScutumError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.info("a batch cannot be looked at now", extra={"deployment": deployment.id, "reason": str(error)})
            return False
        if status != 200 or not isinstance(document, dict):
            return status in _GONE
        await charge(self._gateway, snapshot, deployment, document)
        return ended_at(document) is not None
