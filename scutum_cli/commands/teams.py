"""`scutum teams`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scutum_cli import output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import teams

if TYPE_CHECKING:
    from scutum_cli.client.types import TeamCreate, TeamUpdate

app = typer.Typer(
    help="The teams that keys belong to: spend is reported for each.",
    epilog=examples("scutum teams create search", "scutum teams list", "scutum usage --by team"),
)
Team = Annotated[str, typer.Argument(metavar="TEAM", help="Id or name.")]


@app.command("list", epilog=examples("scutum teams list", "scutum teams list --sort name -o json"))
@listing
def list_() -> None:
    """List the teams."""
    empty = "No teams yet. Make one: scutum teams create NAME"
    present.show_served("teams", api.connect().teams, teams.COLUMNS, empty=empty)


@app.command(epilog=examples("scutum teams show search"))
def show(team: Team) -> None:
    """Show one team."""
    present.show_one(api.connect().team(team), teams.DETAILS)


@app.command(epilog=examples("scutum teams create search", "scutum teams create search --org acme"))
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Id or name of its org.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", metavar="UNIT", help="Id or name of its unit.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Create a team."""
    body: TeamCreate = {"name": name}
    if org is not None:
        body["org"] = org
    if unit is not None:
        body["unit"] = unit
    made = api.connect(dry_run=dry_run).create_team(body)
    if dry_run:
        output.preview(f"create the team {name}", body, made)
        return
    output.changed(made, f"Team {made['name']} created ({made['id']}).")


@app.command(epilog=examples("scutum teams update search --unit research", "scutum teams update search --unit none"))
def update(
    team: Team,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", metavar="UNIT", help="Its unit; none: no unit.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Rename a team, or move it to a unit of its org."""
    body: TeamUpdate = {}
    if name is not None:
        body["name"] = name
    if unit is not None:
        body["unit"] = None if unit == "none" else unit
    if not body:
        raise CliError("Nothing to change was given.", hint="scutum teams update --help")
    changed = api.connect(dry_run=dry_run).update_team(team, body)
    if dry_run:
        output.preview(f"update the team {team}", body, changed)
        return
    output.changed(changed, f"Team {changed['name']} updated.")


@app.command(epilog=examples("scutum teams delete search"))
def delete(team: Team, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete a team that has no live keys; its spend stays in the reports."""
    server = api.connect(dry_run=dry_run)
    found = server.team(team)
    if not dry_run:
        output.confirm(f"Delete the team {found['name']}?", yes=yes)
    server.delete_team(found["id"])
    if dry_run:
        output.preview(f"delete the team {found['name']} ({found['id']})")
        return
    output.changed({"id": found["id"], "deleted": True}, f"Team {found['name']} deleted.")
