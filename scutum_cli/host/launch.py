"""Starts one service in place of itself: `python -m scutum_cli.host.launch SERVICE [FD]` with SCUTUM_HOME set.

The supervisor starts this again and again; here is the waiting between restarts, so that a service that cannot run
does not spin. It reads the configuration at every start: `scutum restart` is enough after an edit.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from scutum_cli.errors import CliError
from scutum_cli.host import config, files, postgres, services, valkey
from scutum_cli.host.layout import Layout

_MAX_DELAY = 30.0


def delay(streak: int) -> float:
    """Seconds to wait after `streak` deaths in a row that each came within a minute: 0, 0.5, 1, 2, 4 … 30."""
    return 0.0 if streak <= 1 else min(_MAX_DELAY, 0.5 * 2.0 ** min(streak - 2, 10))


def pending_delay(state_file: Path) -> float:
    """What the supervisor's record of this service says about waiting now."""
    try:
        state = json.loads(state_file.read_text())
        return delay(int(state["streak"]))
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def command(service: services.Service, layout: Layout, host: config.HostConfig, secrets: dict[str, str]) -> list[str]:
    """The program and its arguments; writes the configuration files that the stores read."""
    if service.name == "postgres":
        postgres.clear_leftovers(layout.postgres_data)
        return postgres.server_command(layout, host)
    if service.name == "valkey":
        return valkey.server_command(layout, host, secrets.get("VALKEY_PASSWORD", ""))
    return [str(layout.current.resolve() / "venv" / "bin" / "python"), "-I", "-m", "scutum_server", service.name]


def main() -> None:
    """Waits if the service keeps dying, then becomes it; exit code 2 with one sentence when it cannot."""
    service = services.BY_NAME[sys.argv[1]]
    layout = Layout(Path(os.environ["SCUTUM_HOME"]))
    time.sleep(pending_delay(layout.services / f"{service.name}.json"))
    try:
        secrets = files.read_env(layout.env_file)
        host = config.load(layout.yaml_file)
        argv = command(service, layout, host, secrets)
        env = services.environment(service, layout, host, secrets, os.environ)
    except CliError as error:
        sys.stderr.write(f"error: {error.message}\n")
        raise SystemExit(2) from None
    if len(sys.argv) > 2:
        env["SCUTUM_PROXY_FD"] = sys.argv[2]
    os.chdir(layout.run)
    os.umask(0o077)
    # One log file, so one stream.
    os.dup2(2, 1)
    try:
        os.execve(argv[0], argv, env)  # noqa: S606  (the service takes this process over, pid and all)
    except OSError as error:
        sys.stderr.write(f"error: {argv[0]} cannot be started: {error.strerror}\n")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
