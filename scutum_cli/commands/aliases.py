"""`scutum aliases`; without a verb it lists, since that is all one wants of it most days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scutum_cli import output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import aliases

if TYPE_CHECKING:
    from scutum_cli.client.types import AliasPut

app = typer.Typer(
    invoke_without_command=True,
    epilog=examples("scutum aliases", "scutum aliases set fast gpt-5-mini sim", "scutum chat hello --model fast"),
)
Alias = Annotated[str, typer.Argument(metavar="NAME", help="The alias.")]


@app.callback()
@listing
def aliases_(ctx: typer.Context) -> None:
    """Names such as fast or smart, and the models that they stand for."""
    if ctx.invoked_subcommand is None:
        _list()


@app.command("list", epilog=examples("scutum aliases list", "scutum aliases list -o json"))
@listing
def list_() -> None:
    """List the aliases and what they resolve to now."""
    _list()


@app.command("set", epilog=examples("scutum aliases set fast gpt-5-mini", "scutum aliases set smart gpt-5 claude sim"))
def set_(
    name: Alias,
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Models, best first: the first that exists.")],
    dry_run: DryRun = False,
) -> None:
    """Create an alias, or replace what it stands for."""
    body: AliasPut = {"targets": models}
    if dry_run:
        output.preview(f"let {name} stand for {', '.join(models)}", body)
        return
    alias = api.connect().set_alias(name, body)
    now = alias["resolves_to"] or "nothing: none of these models exists"
    output.changed(alias, f"Alias {alias['name']} now resolves to {now}.")


@app.command(epilog=examples("scutum aliases delete fast"))
def delete(name: Alias, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete an alias."""
    if dry_run:
        output.preview(f"delete the alias {name}")
        return
    server = api.connect()
    output.confirm(f"Delete the alias {name}?", yes=yes)
    server.delete_alias(name)
    output.changed({"name": name, "deleted": True}, f"Alias {name} deleted.")


def _list() -> None:
    empty = "No aliases yet. Make one: scutum aliases set NAME MODEL"
    present.show_list(api.connect().aliases, aliases.COLUMNS, empty=empty)
