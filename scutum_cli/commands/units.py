"""`scutum units`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scutum_cli import output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import orgs

if TYPE_CHECKING:
    from scutum_cli.client.types import UnitCreate

app = typer.Typer(
    help="Parts of an org, such as departments: teams belong to them, and budgets may be set for them.",
    epilog=examples("scutum units create research --org acme", "scutum teams update search --unit research"),
)
Unit = Annotated[str, typer.Argument(metavar="UNIT", help="Id or name.")]


@app.command("list", epilog=examples("scutum units list", "scutum units list --filter org=acme"))
@listing
def list_() -> None:
    """List the units."""
    empty = "No units yet. Make one: scutum units create NAME"
    present.show_served("units", api.connect().units, orgs.UNITS, empty=empty)


@app.command(epilog=examples("scutum units show research"))
def show(unit: Unit) -> None:
    """Show one unit."""
    present.show_one(api.connect().unit(unit), orgs.UNIT_DETAILS)


@app.command(epilog=examples("scutum units create research", "scutum units create research --org acme"))
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Id or name of its org.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Create a unit."""
    body: UnitCreate = {"name": name}
    if org is not None:
        body["org"] = org
    made = api.connect(dry_run=dry_run).create_unit(body)
    if dry_run:
        output.preview(f"create the unit {name}", body, made)
        return
    output.changed(made, f"Unit {made['name']} created in {made['org']} ({made['id']}).")


@app.command(epilog=examples("scutum units update research --name science"))
def update(
    unit: Unit,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="A new name.")],
    dry_run: DryRun = False,
) -> None:
    """Rename a unit."""
    changed = api.connect(dry_run=dry_run).update_unit(unit, {"name": name})
    if dry_run:
        output.preview(f"rename the unit {unit} to {name}", {"name": name}, changed)
        return
    output.changed(changed, f"Unit {changed['name']} updated.")


@app.command(epilog=examples("scutum units delete research"))
def delete(unit: Unit, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete a unit that no team belongs to, with its budgets."""
    server = api.connect(dry_run=dry_run)
    found = server.unit(unit)
    if not dry_run:
        output.confirm(f"Delete the unit {found['name']} of {found['org']}?", yes=yes)
    server.delete_unit(found["id"])
    if dry_run:
        output.preview(f"delete the unit {found['name']} ({found['id']})")
        return
    output.changed({"id": found["id"], "deleted": True}, f"Unit {found['name']} deleted.")
