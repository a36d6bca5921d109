"""`scutum teams`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scutum_cli import output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import teams

if TYPE_CHECKING:
    from scutum_cli.client.types import TeamCreate

app = typer.Typer(
    help="The teams that keys belong to: spend is reported for each.",
    epilog=examples("scutum teams create search", "scutum teams list", "scutum usage --by team"),
)
Team = Annotated[str, typer.Argument(metavar="TEAM", help="Id or name.")]


@app.command("list", epilog=examples("scutum teams list", "scutum teams list --sort name -o json"))
@listing
def list_() -> None:
    """List the teams."""
    present.show_list(api.connect().teams, teams.COLUMNS, empty="No teams yet. Make one: scutum teams create NAME")


@app.command(epilog=examples("scutum teams show search"))
def show(team: Team) -> None:
    """Show one team."""
    present.show_one(api.connect().team(team), teams.DETAILS)


@app.command(epilog=examples("scutum teams create search", "scutum teams create search --org acme"))
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Id or name of its org.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Create a team."""
    body: TeamCreate = {"name": name}
    if org is not None:
        body["org"] = org
    if dry_run:
        output.preview(f"create the team {name}", body)
        return
    made = api.connect().create_team(body)
    output.changed(made, f"Team {made['name']} created ({made['id']}).")


@app.command(epilog=examples("scutum teams delete search"))
def delete(team: Team, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete a team that has no live keys; its spend stays in the reports."""
    server = api.connect()
    found = server.team(team)
    if dry_run:
        output.preview(f"delete the team {found['name']} ({found['id']})")
        return
    output.confirm(f"Delete the team {found['name']}?", yes=yes)
    server.delete_team(found["id"])
    output.changed({"id": found["id"], "deleted": True}, f"Team {found['name']} deleted.")
