"""What the control plane holds for its whole life, and whether it may serve yet."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from dataclasses import dataclass, field

from scutum_server.access.passwords import Passwords
from scutum_server.access.sessions.service import master_credential
from scutum_server.access.sso.issuer import Desk
from scutum_server.access.throttle.lanes import LocalLanes, Throttle
from scutum_server.access.throttle.store import SharedLanes
from scutum_server.access.tokens import Signer
from scutum_server.admin import store
from scutum_server.admin.bootstrap import seed
from scutum_server.admin.licences import LicenceDesk
from scutum_server.audit.archived import Vaults
from scutum_server.errors import Unavailable
from scutum_server.infra import migrate
from scutum_server.infra.crypto import SecretBox
from scutum_server.infra.db import Pool, make_pool, transaction
from scutum_server.infra.objectstore import ObjectStore
from scutum_server.infra.slots import Slots
from scutum_server.key_rotation import Rotating
from scutum_server.licensing.trust import Trust
from scutum_server.object_settings import ArchiveSettings
from scutum_server.settings import AdminSettings
from scutum_server.upstream.forward_proxy import Outgoing, outgoing
from scutum_server.upstream.litellm import Place

RETRY_S = 1.0
POOL_SIZE = 10
"""Connections that are always there: a busy process cannot make one in time."""
_log = logging.getLogger(__name__)


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass
class Runtime:
    """`unready` says why nothing but /health is served, and is None from the moment that everything is."""

    pool: Pool
    vitals: store.Vitals
    box: SecretBox
    outgoing: Outgoing
    signer: Signer
    master: bytes
    service_key: Rotating
    passwords: Passwords
    lanes: SharedLanes
    throttle: Throttle
    desk: Desk
    litellm: Place
    licences: LicenceDesk
    vaults: Vaults
    expected_schema: str
    archive: ArchiveSettings
    unready: Unavailable | None = field(
        default_factory=lambda: Unavailable(
            "The control plane is starting.", code="starting", hint="Try again in a second."
        )
    )
    slots: Slots = field(default_factory=lambda: Slots(POOL_SIZE))
    """One for each connection: requests that need one wait here, not for seconds at the pool."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def prepare(self) -> None:
        """Waits for the database and the right schema, then makes the first objects; never gives up."""
        while True:
            try:
                await self._attempt()
            except Unavailable as error:
                self._not_ready(error)
            except Exception as error:  # noqa: BLE001 -- a process that gives up would not serve /health
                _log.exception("cannot make the first objects")
                self._not_ready(
                    Unavailable(
                        f"The control plane cannot make its first objects ({type(error).__name__}).",
                        code="bootstrap_failed",
                        hint="Look at: scutum logs admin",
                    )
                )
            else:
                self.unready = None
                self.ready.set()
                _log.info("ready")
                return
            await asyncio.sleep(RETRY_S)

    async def _attempt(self) -> None:
        async with transaction(self.pool) as conn:
            current = await store.schema(conn)
            if current != self.expected_schema:
                raise Unavailable(
                    f"The database is at schema {current or 'none'}, this release needs {self.expected_schema}.",
                    code="schema_mismatch",
                    hint="Run: scutum-server migrate (scutum up does it).",
                )
            await store.bootstrap_lock(conn)
            await seed(conn, self.box, utc_now)
            await self.licences.seed(conn)

    def _not_ready(self, error: Unavailable) -> None:
        if self.unready is None or self.unready.code != error.code:
            _log.warning("not ready: %s", error.detail)
        self.unready = error


def make_runtime(settings: AdminSettings) -> Runtime:
    """Nothing is connected yet: the application opens and closes the pool."""
    pool = make_pool(settings.database, name="admin")
    lanes = SharedLanes(settings.redis)
    return Runtime(
        pool=pool,
        vitals=store.Vitals(settings.redis),
        box=SecretBox(settings.encryption_key),
        outgoing=outgoing(settings.upstream_proxy, settings.upstream_no_proxy),
        signer=Signer(settings.jwt_keys or Rotating(settings.jwt_secret), time.time),
        master=master_credential(settings.master_key),
        service_key=settings.service_keys or Rotating(settings.internal_service_key),
        passwords=Passwords(),
        lanes=lanes,
        throttle=Throttle(lanes, LocalLanes(time.monotonic)),
        desk=Desk(),
        litellm=Place(settings.litellm_python, settings.upstream_proxy, settings.upstream_no_proxy),
        licences=LicenceDesk(pool, Trust(settings.license_trust), settings.license_key, utc_now),
        vaults=Vaults(lambda url: _store(url, settings)),
        expected_schema=migrate.head(),
        archive=settings.archive,
    )


def _store(url: str, settings: AdminSettings) -> ObjectStore:
    # Its library is loaded once an archive is looked at.
    from scutum_server.infra.objectstore import make_store

    return make_store(url, settings.archive.s3)
