"""`scutum settings`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from scutum_cli import output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, examples, listing
from scutum_cli.render import settings
from scutum_cli.render.settings import value_text

app = typer.Typer(
    help="The server's own settings; they take effect while it runs.",
    epilog=examples("scutum settings list", "scutum settings set keys.default_ttl_days=90"),
)


@app.command("list", epilog=examples("scutum settings list"))
@listing
def list_() -> None:
    """List the settings with their values and defaults."""
    present.show_served("settings", api.connect().settings, settings.COLUMNS, empty="This server has no settings.")


@app.command(epilog=examples("scutum settings get keys.default_ttl_days"))
def get(key: Annotated[str, typer.Argument(metavar="KEY")]) -> None:
    """Print one setting's value."""
    setting = api.connect().setting(key)
    if output.style.format == "table":
        output.emit_text(value_text(setting["value"]))
    else:
        output.emit_object(setting)


@app.command(
    "set",
    epilog=examples("scutum settings set keys.default_ttl_days=90", "scutum settings set keys.default_ttl_days=null"),
)
def set_(
    assignment: Annotated[str, typer.Argument(metavar="KEY=VALUE", help="The value as JSON, or as plain text.")],
    dry_run: DryRun = False,
) -> None:
    """Set one setting."""
    key, sign, text = assignment.partition("=")
    if not sign or not key:
        raise CliError(f"settings set takes KEY=VALUE, not {assignment!r}.", hint="scutum settings set --help")
    value = _value(text)
    setting = api.connect(dry_run=dry_run).set_setting(key, {"value": value})
    if dry_run:
        output.preview(f"set {key} to {value_text(value)}", {"value": value}, setting)
        return
    output.changed(setting, f"{setting['key']} is now {value_text(setting['value'])}.")


@app.command(epilog=examples("scutum settings show keys.default_ttl_days"))
def show(key: Annotated[str, typer.Argument(metavar="KEY")]) -> None:
    """Show one setting: its value, its default and what it does."""
    present.show_one(api.connect().setting(key), settings.DETAILS)


@app.command(epilog=examples("scutum settings reset keys.default_ttl_days"))
def reset(key: Annotated[str, typer.Argument(metavar="KEY")], dry_run: DryRun = False) -> None:
    """Set one back to its default."""
    server = api.connect(dry_run=dry_run)
    server.reset_setting(key)
    if dry_run:
        output.preview(f"set {key} back to its default")
        return
    setting = server.setting(key)
    output.changed(setting, f"{key} is back at {value_text(setting['value'])}.")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
