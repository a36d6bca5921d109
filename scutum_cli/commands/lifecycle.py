"""scutum up, down and restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scutum_cli import options, output

if TYPE_CHECKING:
    from scutum_cli.host.engines.embedded import Embedded

up_app = typer.Typer()
down_app = typer.Typer()
restart_app = typer.Typer()


@up_app.command(epilog=options.examples("scutum up", "scutum up --home /srv/scutum"))
def up(home: options.Home = None) -> None:
    """Start every service and wait until all are healthy."""
    from scutum_cli.host import session
    from scutum_cli.host.progress import Progress

    with session.changing(home, starts=True) as engine:
        progress = Progress()
        with progress.step("starting") as notes:
            started = engine.up(output.say, progress.tick)
            notes.append("healthy" if started else "everything ran already")
        output.say(f"proxy {engine.config.proxy_url}/v1   admin {engine.config.admin_url}")
        _emit_rows(engine)


@down_app.command(epilog=options.examples("scutum down"))
def down(home: options.Home = None) -> None:
    """Stop every service; no process is left."""
    from scutum_cli.host import session
    from scutum_cli.host.progress import Progress

    with session.changing(home) as engine:
        progress = Progress()
        with progress.step("stopping") as notes:
            ran = engine.down(output.verbose, progress.tick)
            notes.append("no process left" if ran else "nothing ran")


@restart_app.command(
    epilog=options.examples("scutum restart", "scutum restart proxy   # without refusing a connection")
)
def restart(
    services: Annotated[list[str] | None, typer.Argument(metavar="SERVICE", show_default=False)] = None,
    home: options.Home = None,
) -> None:
    """Restart all services, or the ones named; the proxy without refusing a connection."""
    from scutum_cli.host import session
    from scutum_cli.host.progress import Progress

    with session.changing(home, starts=True) as engine:
        progress = Progress()
        with progress.step(f"restarting {' '.join(services or ()) or 'everything'}") as notes:
            engine.restart(services or (), output.verbose, progress.tick)
            notes.append("healthy")
        _emit_rows(engine)


def _emit_rows(engine: Embedded) -> None:
    """Programs get what `scutum ps` shows; for people the words suffice."""
    from scutum_cli.host import state

    if output.style.format != "table":
        rows = state.all_services(engine.layout, engine.config)
        output.emit_object({"services": [row.as_json() for row in rows]})
