"""scutum version."""

from __future__ import annotations

import platform
from typing import Annotated, Any

import typer

from scutum_cli import __version__, options, output

app = typer.Typer()


@app.command(epilog=options.examples("scutum version", "scutum version --all -o json"))
def version(
    everything: Annotated[bool, typer.Option("--all", help="Also the server, its schema and its parts.")] = False,
    home: options.Home = None,
) -> None:
    """Show the version of this command, and with --all of everything that it runs."""
    found: dict[str, Any] = {"command": __version__}
    if everything:
        found.update(_of_install(home))
    if output.style.format == "table" and not everything:
        output.emit_text(f"scutum {__version__}")
    else:
        output.emit_object(found)


def _of_install(home: str | None) -> dict[str, Any]:
    from scutum_cli.host import config, health, packages, versions
    from scutum_cli.host.layout import installed

    layout = installed(home)
    admin = health.admin(config.load(layout.yaml_file)).body
    schema = admin.get("schema") or {}
    return {
        "release": packages.current_version(layout),
        "server": admin.get("version"),
        "schema": schema.get("current"),
        "python": platform.python_version(),
        **versions.parts(layout),
    }
