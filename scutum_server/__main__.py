"""scutum-server proxy | admin | worker | migrate."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from scutum_server.errors import ScutumError

USAGE = "usage: scutum-server proxy | admin | worker | migrate"


def _proxy() -> None:
    from scutum_server.proxy.main import run
    from scutum_server.settings import proxy_settings

    run(proxy_settings())


def _admin() -> None:
    from scutum_server.admin.main import run
    from scutum_server.settings import admin_settings

    run(admin_settings())


def _worker() -> None:
    from scutum_server.settings import worker_settings
    from scutum_server.worker.main import run

    run(worker_settings())


def _migrate() -> None:
    from scutum_server.infra import migrate
    from scutum_server.settings import migrate_settings

    settings = migrate_settings()
    migrate.prepare_cluster(settings)
    before, after = migrate.upgrade(settings.owner)
    print(json.dumps({"before": before, "after": after}))


PROCESSES: dict[str, Callable[[], None]] = {
    "proxy": _proxy,
    "admin": _admin,
    "worker": _worker,
    "migrate": _migrate,
}


def main() -> None:
    """Runs the one process named on the command line; exit code 2 on wrong usage or settings."""
    if len(sys.argv) != 2 or sys.argv[1] not in PROCESSES:
        print(USAGE, file=sys.stderr)
        raise SystemExit(2)
    try:
        PROCESSES[sys.argv[1]]()
    except ScutumError as error:
        print(f"error: {error.detail}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
