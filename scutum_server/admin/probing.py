"""The test call to a provider, wired to the database and the simulator."""

from __future__ import annotations

from typing import Any

from scutum_server.admin.changes import SYSTEM, Changes, Context
from scutum_server.admin.runtime import Runtime, utc_now
from scutum_server.admin.services import Services
from scutum_server.gateway.models import Probe
from scutum_server.gateway.probe import Prober
from scutum_server.infra.db import transaction
from scutum_server.upstream.options import SimOptions
from scutum_server.upstream.simulator import Simulator


async def simulate(options: SimOptions, kind: str, body: dict[str, Any]) -> tuple[int, bytes]:
    """One whole answer of the simulator."""
    simulator = Simulator(options)
    reply = await (simulator.embeddings(body) if kind == "embedding" else simulator.chat(body, stream=False))
    return reply.status, reply.body if isinstance(reply.body, bytes) else b""


class StoredTester:
    """Reads the provider in a short transaction and calls it when that is over."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._prober = Prober(runtime.box, simulate, runtime.outgoing, runtime.litellm)

    async def test(self, ref: str) -> Probe:
        unused = Changes(Context(actor=SYSTEM, role="owner", source="system"))
        async with transaction(self._runtime.pool) as conn:
            target = await Services(conn, self._runtime.box, unused, utc_now).providers.target(ref)
        return await self._prober.probe(target)
