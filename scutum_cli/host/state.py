"""What each service is doing, put together from the process table and the supervisor's records; needs no server."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from scutum_cli.host import files, procfs, stores
from scutum_cli.host.config import HostConfig
from scutum_cli.host.launch import delay
from scutum_cli.host.layout import Layout
from scutum_cli.host.services import NAMES, external

RUNNING, STARTING, WAITING, DOWN = "running", "starting", "waiting", "down"
ORPHANED, FROZEN = "unsupervised", "frozen"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service: `since` and `last_at` are seconds since the epoch, `last_reason` why it last ended by itself.

    `frozen`: pids that a signal stopped; `abandoned`: its supervisor is gone and has not stopped it.
    `external` is HOST:PORT of a store that others run; its state is whether it answers.
    """

    name: str
    state: str
    pids: tuple[int, ...]
    wanted: int
    since: float | None
    memory_bytes: int
    restarts: int
    last_reason: str | None
    last_at: float | None
    frozen: tuple[int, ...] = ()
    abandoned: bool = False
    external: str | None = None

    def as_json(self) -> dict[str, Any]:
        uptime = None if self.since is None else round(time.time() - self.since, 1)
        last = None if self.last_at is None else {"at": self.last_at, "reason": self.last_reason}
        return {
            "service": self.name,
            "state": self.state,
            "pids": list(self.pids),
            "wanted": self.wanted,
            "uptime_seconds": uptime,
            "memory_bytes": self.memory_bytes,
            "restarts": self.restarts,
            "last_restart": last,
            "external": self.external,
        }


def all_services(layout: Layout, config: HostConfig) -> list[ServiceState]:
    """Every service in starting order."""
    found = procfs.of_home(layout.home)
    supervised = any(process.service == procfs.SUPERVISOR for process in found)
    elsewhere = external(config)
    return [
        _outside(layout, name, elsewhere[name])
        if name in elsewhere
        else _one(layout, config, name, mains(found, name), supervised=supervised)
        for name in NAMES
    ]


def _outside(layout: Layout, name: str, place: str) -> ServiceState:
    variable = stores.DATABASE if name == "postgres" else stores.REDIS
    problem = stores.answers(files.read_env(layout.env_file), variable)
    return ServiceState(
        name=name,
        state=RUNNING if problem is None else DOWN,
        pids=(),
        wanted=0,
        since=None,
        memory_bytes=0,
        restarts=0,
        last_reason=problem,
        last_at=None,
        external=place,
    )


def mains(found: list[procfs.Found], service: str) -> list[procfs.Found]:
    """A service's own processes, without the children that they started."""
    own = [process for process in found if process.service == service]
    pids = {process.pid for process in own}
    return [process for process in own if process.parent not in pids]


def _one(
    layout: Layout, config: HostConfig, name: str, processes: list[procfs.Found], *, supervised: bool
) -> ServiceState:
    noted = record(layout, name)
    wanted = config.proxy_workers if name == "proxy" else 1
    ready = [process for process in processes if not process.starting]
    pause = delay(int(noted.get("streak", 0)))
    waiting = [process for process in processes if process.starting and time.time() - process.started < pause]
    if not processes:
        state = DOWN
    elif not supervised:
        state = ORPHANED
    elif any(process.frozen for process in processes):
        state = FROZEN
    elif len(ready) >= wanted:
        state = RUNNING
    else:
        state = WAITING if waiting else STARTING
    last = noted.get("last") or {}
    return ServiceState(
        name=name,
        state=state,
        pids=tuple(process.pid for process in processes),
        wanted=wanted,
        since=min((process.started for process in ready), default=None),
        memory_bytes=sum(process.rss_bytes for process in processes),
        restarts=int(noted.get("restarts", 0)),
        last_reason=last.get("reason"),
        last_at=last.get("at"),
        frozen=tuple(process.pid for process in processes if process.frozen),
        abandoned=not supervised and bool(processes or noted.get("pids")),
    )


def record(layout: Layout, name: str) -> dict[str, Any]:
    """What the supervisor noted about a service: see `supervise`."""
    try:
        noted = json.loads((layout.services / f"{name}.json").read_text())
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}
