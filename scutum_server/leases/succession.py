"""What becomes of the leases of a worker that died on this host."""

from __future__ import annotations

import logging
from pathlib import Path

from scutum_server.infra.windows import FOREVER
from scutum_server.leases.ledger import abandoned
from scutum_server.leases.store import Holding, LeaseStore

log = logging.getLogger(__name__)


async def take_over(store: LeaseStore, path: Path, epoch: str) -> None:
    """Returns what it did not use, if it is dead; what it had in flight counts as spent. Raises Unavailable."""
    with abandoned(path) as entries:
        if entries is None:
            return
        holdings = [
            Holding(entry.key, entry.end, -1 if entry.end == FOREVER else entry.granted - entry.unused, 0)
            for entry in entries
        ]
        if holdings and not await store.put(path.stem, epoch, holdings):
            return
        await store.leave(path.stem)
        path.unlink(missing_ok=True)  # noqa: ASYNC240
        log.info("Took over the leases of a worker that is gone", extra={"worker": path.stem})
