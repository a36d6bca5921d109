"""The first objects of a new install, so that it answers without any provider's key."""

from __future__ import annotations

from scutum_server.admin.changes import SYSTEM, Changes, Context
from scutum_server.admin.services import Clock, Services
from scutum_server.gateway.classes import ALIASES
from scutum_server.gateway.settings import BOOTSTRAPPED
from scutum_server.gateway.store import GatewayStore
from scutum_server.identity.orgs import DEFAULT
from scutum_server.infra.crypto import SecretBox
from scutum_server.infra.db import Connection
from scutum_server.upstream.options import Routing

SIM = "sim"
SIM_EMBEDDING = "sim-embedding"
_VERSION = 1


async def seed(conn: Connection, box: SecretBox, clock: Clock) -> bool:
    """Makes org, team, simulator, its models and the aliases, once: what the operator deletes stays deleted.

    The caller holds the bootstrap lock. False when it was done before.
    """
    gateway = GatewayStore(conn)
    if BOOTSTRAPPED in await gateway.settings():
        return False
    changes = Changes(Context(actor=SYSTEM, role="owner", source="system"))
    services = Services(conn, box, changes, clock)
    await services.orgs.create(DEFAULT)
    await services.teams.create(DEFAULT, DEFAULT)
    await services.providers.create({"name": SIM, "kind": "sim"})
    await services.models.create({"name": SIM, "provider": SIM, "kind": "chat"})
    await services.models.create({"name": SIM_EMBEDDING, "provider": SIM, "kind": "embedding"})
    for name in ALIASES:
        await services.aliases.put(name, [SIM], Routing(automatic=True))
    await gateway.put_setting(BOOTSTRAPPED, _VERSION)
    await changes.write(conn)
    return True
