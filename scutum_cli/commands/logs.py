"""scutum logs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from scutum_cli import options, output
from scutum_cli.errors import NOT_FOUND, CliError

if TYPE_CHECKING:
    from scutum_cli.host.logs import Entry

app = typer.Typer()
_COLORS = {"error": "red", "critical": "red", "warning": "yellow"}


@app.command(
    epilog=options.examples(
        "scutum logs -f                  # everything, as it happens",
        "scutum logs --since 10m proxy   # one service's last ten minutes",
        "scutum logs -o json worker      # one JSON object a line",
    )
)
def logs(
    services: Annotated[list[str] | None, typer.Argument(metavar="SERVICE", show_default=False)] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until interrupted.")] = False,
    since: Annotated[str | None, typer.Option("--since", help="Not older than this.", metavar="10m")] = None,
    lines: Annotated[str | None, typer.Option("-n", "--lines", help="So many at most (100).", metavar="N")] = None,
    home: options.Home = None,
) -> None:
    """Show what the services wrote, merged in time order."""
    from scutum_cli.host import logs as host_logs
    from scutum_cli.host.layout import installed
    from scutum_cli.host.procfs import SUPERVISOR
    from scutum_cli.host.services import NAMES

    layout = installed(home)
    known = (*NAMES, SUPERVISOR)
    for name in services or ():
        if name not in known:
            raise CliError(
                f"There is no service {name!r}.",
                exit_code=NOT_FOUND,
                code="service_not_found",
                hint=f"one of: {', '.join(known)}",
            )
    chosen = tuple(services or known)
    earliest = time.time() - options.seconds(since, "--since") if since else None
    count = options.whole(lines, "--lines", low=1) if lines else 100
    follower = host_logs.Follower(layout, chosen) if follow else None
    for entry in host_logs.read(layout, chosen, earliest, count):
        _show(entry)
    for entry in follower or ():
        _show(entry)


def _show(entry: Entry) -> None:
    from scutum_cli.host import words

    if output.style.format == "json":
        output.emit_text(json.dumps(entry.as_json(), ensure_ascii=False, default=str))
        return
    level = output.paint(f"{entry.level:<7}", _COLORS.get(entry.level, "dim"))
    output.emit_text(f"{words.clock(entry.at)} {entry.service:<10} {level} {entry.message} {entry.extras()}".rstrip())
    if "traceback" in entry.fields:
        output.emit_text(str(entry.fields["traceback"]).rstrip())
