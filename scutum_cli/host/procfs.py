"""Which processes run, read from /proc."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUPERVISOR = "supervisor"
_LAUNCHER = b"scutum_cli.host.launch"
_STORES = {"postgres": "postgres", "valkey-server": "valkey"}


@dataclass(frozen=True, slots=True)
class Found:
    """A process of one deploy root; `started` is seconds since the epoch.

    `starting`: it is still the launcher; `frozen`: a signal stopped it, and it does nothing until another one.
    """

    pid: int
    parent: int
    service: str
    starting: bool
    started: float
    rss_bytes: int
    frozen: bool = False


def _boot_time() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (called a thousand times a scan)
            return file.read()
    except OSError:
        return b""


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return ""


def _pids() -> Iterator[int]:
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit() and int(name) != os.getpid():
            yield int(name)


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may hold spaces; empty for a dead process or a zombie."""
    _, _, rest = _read(f"/proc/{pid}/stat").rpartition(b")")
    fields = rest.decode().split()
    return [] if not fields or fields[0] in {"Z", "X"} else fields


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    return bool(_stat(pid))


def send(pid: int, number: signal.Signals) -> None:
    """A signal to a process that may have ended already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def running_in(directory: Path, program: str) -> list[int]:
    """Pids of processes of that program whose working directory is `directory`."""
    wanted = os.path.realpath(directory)
    return [
        pid
        for pid in _pids()
        if _link(f"/proc/{pid}/cwd") == wanted
        and _link(f"/proc/{pid}/exe").removesuffix(" (deleted)").endswith(f"/{program}")
        and alive(pid)
    ]


def of_user(uid: int) -> list[int]:
    """Pids of every process of that user."""
    return [pid for pid in _pids() if _stat(pid) and _owner(pid) == uid]


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def of_home(home: Path) -> list[Found]:
    """Every process of this deploy root: the supervisor, services, and their children; oldest first.

    Known by the mark in their environment, or, as Postgres writes over its own, by a store's program in our releases.
    """
    real = os.path.realpath(home)
    marks = {f"SCUTUM_HOME={home}".encode(), f"SCUTUM_HOME={real}".encode()}
    ticks = os.sysconf("SC_CLK_TCK")
    page = os.sysconf("SC_PAGE_SIZE")
    boot = _boot_time()
    found = []
    for pid in _pids():
        service = _service_of(pid, real, marks)
        fields = _stat(pid) if service else []
        if service and fields:
            starting = _LAUNCHER in _read(f"/proc/{pid}/cmdline")
            started = boot + int(fields[19]) / ticks
            found.append(
                Found(pid, int(fields[1]), service, starting, started, int(fields[21]) * page, fields[0] == "T")
            )
    return sorted(found, key=lambda process: (process.started, process.pid))


def _service_of(pid: int, home: str, marks: set[bytes]) -> str | None:
    environ = _read(f"/proc/{pid}/environ").split(b"\0")
    if any(mark in environ for mark in marks):
        for item in environ:
            if item.startswith(b"SCUTUM_SERVICE="):
                return item.partition(b"=")[2].decode()
    program = _link(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    if program.startswith(f"{home}/releases/"):
        return _STORES.get(program.rpartition("/")[2])
    return None
