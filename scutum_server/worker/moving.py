"""The archiver's process: a plan comes on standard input, outcomes leave on standard output, one line of JSON each.

It ends at once when its standard input does: the worker that started it is gone, and another one will start another.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import threading
from dataclasses import replace

import msgspec

from scutum_server.archives.moving.move import Mover
from scutum_server.archives.moving.plan import Order, Report
from scutum_server.archives.moving.store import MovingStore
from scutum_server.errors import ScutumError
from scutum_server.infra import archives, logs
from scutum_server.infra.objectstore import make_store
from scutum_server.settings import WorkerSettings, worker_settings

ROLE = "scutum_archiver"


def carry_out(settings: WorkerSettings, order: Order) -> None:
    """Archives what the plan says; raises what `Mover.run` does, and SettingsError."""
    password = settings.archive.password
    if password is None:
        raise ScutumError("POSTGRES_ARCHIVER_PASSWORD is not set.", hint="Run the installer again: it makes one.")
    objects = make_store(order.url, settings.archive.s3)
    roots = archives.Roots(lambda url: make_store(url, settings.archive.s3))
    store = MovingStore(replace(settings.direct, user=ROLE, password=password))
    try:
        for outcome in Mover(store, objects, roots, order.plan, clock=lambda: dt.datetime.now(dt.UTC)).run():
            _say(Report(outcome=outcome))
    finally:
        store.close()


def _say(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_the_worker() -> None:
    # Past Python's own buffer, whose lock a thread that reads would keep at the end.
    while os.read(sys.stdin.fileno(), 1024):
        continue
    # As if killed, which is provided for at every step.
    os._exit(3)


def main() -> None:
    logs.configure("archiver")
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    try:
        carry_out(worker_settings(), order)
    except ScutumError as error:
        _say(Report(error=error.detail, busy=error.code == "archiving_busy"))
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
