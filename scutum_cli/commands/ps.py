"""scutum ps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from scutum_cli import options, output

if TYPE_CHECKING:
    from scutum_cli.host.state import ServiceState

app = typer.Typer()
HEADERS = ("SERVICE", "STATE", "PID", "UPTIME", "RESTARTS", "MEMORY", "LAST RESTART")


@app.command(epilog=options.examples("scutum ps", "scutum ps -o json"))
def ps(home: options.Home = None) -> None:
    """Show the services: state, restarts and why the last one happened. Needs no server."""
    from scutum_cli.host import config, state
    from scutum_cli.host.layout import installed

    layout = installed(home)
    rows = state.all_services(layout, config.load(layout.yaml_file))
    output.emit_list(
        [row.as_json() for row in rows],
        HEADERS,
        [_cells(row) for row in rows],
        right=("RESTARTS", "MEMORY"),
        spare=("MEMORY", "UPTIME", "PID"),
    )


def _cells(row: ServiceState) -> list[str]:
    from scutum_cli.host import words

    count = f" {len(row.pids)}/{row.wanted}" if row.wanted > 1 else ""
    last = f"{words.ago(row.last_at)}: {row.last_reason}" if row.last_at is not None else row.last_reason or "-"
    return [
        row.name,
        row.state + count,
        row.external or " ".join(map(str, row.pids)) or "-",
        words.duration(time.time() - row.since) if row.since is not None else "-",
        str(row.restarts),
        words.megabytes(row.memory_bytes) if row.pids else "-",
        last,
    ]
