"""What must be true before anything is written; each failure is one sentence with its fix."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from scutum_cli.errors import CliError
from scutum_cli.host import config, health, owner, process
from scutum_cli.host.config import LOOPBACK, HostConfig
from scutum_cli.host.layout import Layout
from scutum_cli.host.owner import Owner
from scutum_cli.host.source import Source

NEEDED_BYTES = 800 * 1024 * 1024
MINIMUM = (3, 11)
_OURS = {"config", "data", "backups", "logs", "run", "releases", "supervisor", "current", ".current.partial"}
_UNFIT = '"$`\\'
_PROBE = "import sys, venv, ensurepip; raise SystemExit(sys.version_info < (3, 11))"


def machine() -> None:
    """Linux on a processor that the embedded stores are built for."""
    if sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}:
        raise CliError(
            f"The embedded engine runs on Linux on x86-64 or arm64, not on {sys.platform} on {platform.machine()}.",
            code="unsupported_host",
        )


def home(path: Path) -> None:
    """The deploy root's name is one that every file and shell line can hold, and this user may look there."""
    bad = sorted({character for character in str(path) if character in _UNFIT or not character.isprintable()})
    if bad:
        raise CliError(
            f"The deploy root's path may not hold {' or '.join(map(repr, bad))}.",
            code="bad_home",
            why="Configuration files, service commands and shells would read that as something else.",
            hint="--home with letters, digits, spaces, dots and dashes",
        )
    for directory in (path, path / "config"):
        try:
            directory.stat()
        except PermissionError:
            raise CliError(
                f"This user may not look into {directory.parent}.",
                code="bad_home",
                hint="--home with a directory of your own",
            ) from None
        except OSError:
            continue


def place(layout: Layout, source: Source, user: Owner) -> None:
    """The deploy root can be made where it shall be, is not somebody's else, and its user can reach it."""
    home = layout.home
    if not source.is_wheel and (home == source.path or source.path in home.parents):
        raise CliError(
            f"The deploy root {home} would lie inside the checkout.",
            code="bad_home",
            hint="--home with a path outside it",
        )
    if home.exists() and not home.is_dir():
        raise CliError(f"{home} is a file.", code="bad_home", hint="--home with another path")
    parent = next(path for path in (home, *home.parents) if path.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        raise CliError(
            f"This user may not write to {parent}.", code="bad_home", hint="--home with a directory of your own"
        )
    if home.is_dir() and not layout.exists() and (foreign := sorted(set(os.listdir(home)) - _OURS)):  # noqa: PTH208
        raise CliError(
            f"{home} holds other files ({foreign[0]}) and is not a deploy root.",
            code="bad_home",
            hint="--home with an empty or new directory",
        )
    if user.is_other and not owner.run_as(user, lambda: os.access(parent, os.X_OK)):
        raise CliError(
            f"The user {user.name} may not enter {parent}, and the services run as that user.",
            code="bad_home",
            hint="--home below a directory that everybody may enter, such as /var/lib/scutum",
        )


def disk(layout: Layout) -> int:
    """Free bytes where the deploy root goes; an error when they do not suffice."""
    parent = next(path for path in (layout.home, *layout.home.parents) if path.exists())
    free = shutil.disk_usage(parent).free
    if free < NEEDED_BYTES:
        raise CliError(
            f"{parent} has {free >> 20} MB free, and an install needs {NEEDED_BYTES >> 20} MB.",
            code="no_space",
            hint="make room, or --home on another disk",
        )
    return free


def ports(wanted: HostConfig, held_by: HostConfig | None = None) -> None:
    """Nobody else listens where proxy and admin shall; `held_by` is our own running stack, if there is one."""
    for flag, host, port in (
        ("--proxy-port", wanted.proxy_host, wanted.proxy_port),
        ("--admin-port", wanted.admin_host, wanted.admin_port),
    ):
        ours = held_by is not None and port in {held_by.proxy_port, held_by.admin_port}
        if not ours and not health.is_free(host, port):
            raise CliError(
                f"Port {port} is taken by another program.", code="port_busy", hint=f"{flag} {free_port(port + 1, ())}"
            )
    if wanted.proxy_port == wanted.admin_port:
        raise CliError(
            "Proxy and admin cannot share a port.", code="port_busy", hint="--admin-port with another number"
        )


def free_port(first: int, taken: Iterable[int]) -> int:
    """The first port from `first` on that nobody has, is not promised to another install, and is no outgoing one."""
    avoid = set(taken)
    for port in range(first, 32_000):
        if port not in avoid and health.is_free(LOOPBACK, port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def promised_ports(homes: Iterable[str], own: Path) -> set[int]:
    """The ports of other installs on this host, running or not."""
    found: set[int] = set()
    for home in homes:
        path = Layout(Path(home)).yaml_file
        if Path(home) == own or not os.access(path, os.R_OK):
            continue
        try:
            other = config.load(path)
        except CliError:
            continue
        found |= {other.proxy_port, other.admin_port, other.postgres_port, other.valkey_port}
    return found


def python_for(user: Owner) -> Path:
    """A Python that is new enough, can make environments, and that the services' user may run."""
    problems = []
    for candidate in _pythons():
        result = _try(candidate, user)
        if result.code == 0:
            return candidate
        problems.append((candidate, result))
    own = problems[0][1]
    if "ensurepip" in own.err or "venv" in own.err:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise CliError(
            f"{problems[0][0]} lacks the venv module.",
            code="no_venv",
            hint=f"on Debian and Ubuntu: apt-get install python{version}-venv",
        )
    raise CliError(
        f"No Python 3.11 or newer on this host can be run by the user {user.name}.",
        code="no_python",
        why=f"{problems[0][0]}: {own.last_line}" if user.is_other else None,
        hint="install one for everybody (apt-get install python3 python3-venv), or --run-as a user who may run it",
    )


def _pythons() -> list[Path]:
    names = [f"python3.{minor}" for minor in range(14, MINIMUM[1] - 1, -1)]
    found = [Path(getattr(sys, "_base_executable", "") or sys.executable)]
    for directory in (*os.environ.get("PATH", "").split(os.pathsep), "/usr/local/bin", "/usr/bin"):
        found += [Path(directory) / name for name in ("python3", *names)]
    # A shim of a version manager is a script that needs its owner's home: only what really is a Python counts.
    return list(dict.fromkeys(path for path in found if path.is_absolute() and _is_program(path)))


def _is_program(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def _try(python: Path, user: Owner) -> process.Result:
    def attempt() -> list[object]:
        done = process.run([python, "-I", "-c", _PROBE], cwd=Path("/"), timeout=30)
        return [done.code, done.out, done.err]

    code, out, err = owner.run_as(user, attempt)
    return process.Result(code, out, err)
