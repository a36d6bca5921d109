"""`python -m scutum_server.worker.proof TASK`: one verification of the audit trail, in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Any

import msgspec

from scutum_server.audit.chain.archived import Months
from scutum_server.audit.chain.signing import Keyring, Trust, parse_public
from scutum_server.audit.chain.store import ChainStore
from scutum_server.audit.chain.verify import Verification, Wanted
from scutum_server.errors import ScutumError
from scutum_server.infra import logs
from scutum_server.infra.archives import Roots
from scutum_server.infra.objectstore import make_store
from scutum_server.settings import WorkerSettings, worker_settings
from scutum_server.worker.keeper import shelves

log = logging.getLogger(__name__)
_NICE = 10


def prove(settings: WorkerSettings, task_id: str) -> None:
    """Walks as the task asks and leaves the result in it; raises Unavailable."""
    rows, notes = (ChainStore(settings.direct, name) for name in ("proof", "proof-notes"))
    try:
        task = notes.task(task_id)
        if task is None:
            return
        wanted = msgspec.convert(task.request, Wanted)

        def beat(progress: dict[str, Any]) -> bool:
            return notes.beat(task_id, progress)

        try:
            places = shelves(settings, notes)
            roots = Roots(lambda url: make_store(url, settings.archive.s3))
            months = Months(rows, roots, [place.name for place in places])
            verification = Verification(
                rows, _trust(settings, wanted), shelves=places, archives=months, org=task.org_id, beat=beat
            )
            result = verification.run(wanted)
        except ScutumError as error:
            notes.end(task_id, "failed", {"error": error.detail})
            return
        notes.end(task_id, "done", result)
    finally:
        rows.close()
        notes.close()


def _trust(settings: WorkerSettings, wanted: Wanted) -> Trust:
    if wanted.keys or settings.audit.keys is None:
        return Trust([parse_public(pem) for pem in wanted.keys])
    return Keyring(settings.audit.keys).trust()


def main() -> None:
    """Exit code 1 when the result could not be left."""
    logs.configure("proof")
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    try:
        prove(worker_settings(), sys.argv[1])
    except ScutumError as error:
        log.warning("The verification could not be made: %s", error.detail)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
