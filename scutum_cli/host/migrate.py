"""Brings the database's schema up to the installed release; starts Postgres for it where it is not running."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scutum_cli.errors import HALF_WAY, CliError
from scutum_cli.host import config as host_config
from scutum_cli.host import files, health, postgres, process, procfs, services
from scutum_cli.host.layout import Layout
from scutum_cli.host.process import Tick

_START_SECONDS = 60.0


def site_packages(layout: Layout) -> Path:
    """Where the current release's packages are."""
    return next((layout.current / "venv" / "lib").glob("python*/site-packages"))


def migrate(layout: Layout, config: host_config.HostConfig, tick: Tick) -> str:
    """Creates roles, database, extension and schema, or updates them; returns the schema's revision."""
    service = services.MIGRATE
    env = services.environment(service, layout, config, files.read_env(layout.env_file), os.environ)
    with _postgres(layout, config, tick):
        result = process.run([layout.python, "-I", "-m", "scutum_server", "migrate"], env=env, cwd=layout.run)
    if result.code != 0:
        said = [line.removeprefix("error: ") for line in result.err.splitlines() if line.startswith("error: ")]
        raise CliError(
            "The database's schema could not be brought up to date.",
            exit_code=HALF_WAY,
            code="migration_failed",
            why=(said[0] if said else result.last_line)[:300],
            hint=f"see {layout.logs / 'install.log'}, then run the same command again",
        )
    return str(json.loads(result.out.strip().splitlines()[-1])["after"])


@contextmanager
def _postgres(layout: Layout, config: host_config.HostConfig, tick: Tick) -> Iterator[None]:
    """The running server, or one of our own for the block."""
    if config.external_database:
        yield
        return
    if procfs.running_in(layout.postgres_data, "postgres") and health.accepts(
        host_config.LOOPBACK, config.postgres_port
    ):
        yield
        return
    if not health.is_free(host_config.LOOPBACK, config.postgres_port):
        raise CliError(
            f"Port {config.postgres_port}, which postgres needs, is taken by another program.",
            code="port_busy",
            hint="run the same command again; it chooses another port",
        )
    postgres.clear_leftovers(layout.postgres_data)
    env = services.environment(services.BY_NAME["postgres"], layout, config, {}, os.environ)
    argv = postgres.server_command(layout, config, postgres.programs(site_packages(layout)))
    with files.append_to(layout.logs / "postgres.log") as log:
        server = process.Running(
            argv, layout.logs / "postgres.log", log, env=env, cwd=layout.run, stop_signal=signal.SIGINT
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not postgres.is_ready(layout.postgres_data):
            if server.done() or time.monotonic() > deadline:
                raise CliError(
                    "Postgres did not start.",
                    exit_code=HALF_WAY,
                    code="postgres_failed",
                    why=server.result().last_line[:300] if server.done() else None,
                    hint=f"read {layout.logs / 'postgres.log'}",
                )
            time.sleep(0.05)
            tick()
        yield
    finally:
        server.stop()
