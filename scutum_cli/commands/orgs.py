"""`scutum orgs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scutum_cli import output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import orgs

if TYPE_CHECKING:
    from scutum_cli.client.types import OrgCreate, OrgUpdate

app = typer.Typer(
    help="The organisations that units, teams and keys belong to. What belongs to one does not exist for another.",
    epilog=examples("scutum orgs create acme --time-zone Europe/Berlin", "scutum orgs list"),
)
Org = Annotated[str, typer.Argument(metavar="ORG", help="Id or name.")]
Zone = Annotated[
    str | None, typer.Option("--time-zone", metavar="ZONE", help="Where its days begin, such as Europe/Berlin.")
]


@app.command("list", epilog=examples("scutum orgs list", "scutum orgs list --filter 'name=ac*' --sort name"))
@listing
def list_() -> None:
    """List the orgs."""
    empty = "No orgs yet. Make one: scutum orgs create NAME"
    present.show_served("orgs", api.connect().orgs, orgs.COLUMNS, empty=empty)


@app.command(epilog=examples("scutum orgs show acme"))
def show(org: Org) -> None:
    """Show one org."""
    present.show_one(api.connect().org(org), orgs.DETAILS)


@app.command(epilog=examples("scutum orgs create acme", "scutum orgs create acme --time-zone Europe/Berlin"))
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    time_zone: Zone = None,
    dry_run: DryRun = False,
) -> None:
    """Create an org."""
    body: OrgCreate = {"name": name}
    if time_zone is not None:
        body["time_zone"] = time_zone
    made = api.connect(dry_run=dry_run).create_org(body)
    if dry_run:
        output.preview(f"create the org {name}", body, made)
        return
    output.changed(made, f"Org {made['name']} created ({made['id']}).")


@app.command(epilog=examples("scutum orgs update acme --time-zone Asia/Tokyo", "scutum orgs update acme --name acme2"))
def update(
    org: Org,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    time_zone: Zone = None,
    dry_run: DryRun = False,
) -> None:
    """Change an org; its limits and budgets follow a new time zone within a second."""
    body: OrgUpdate = {}
    if name is not None:
        body["name"] = name
    if time_zone is not None:
        body["time_zone"] = time_zone
    if not body:
        raise CliError("Nothing to change was given.", hint="scutum orgs update --help")
    changed = api.connect(dry_run=dry_run).update_org(org, body)
    if dry_run:
        output.preview(f"update the org {org}", body, changed)
        return
    output.changed(changed, f"Org {changed['name']} updated.")


@app.command(epilog=examples("scutum orgs delete acme"))
def delete(org: Org, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete an org that nothing belongs to any more; its spend and its audit trail stay."""
    server = api.connect(dry_run=dry_run)
    found = server.org(org)
    if not dry_run:
        output.confirm(f"Delete the org {found['name']}?", yes=yes)
    server.delete_org(found["id"])
    if dry_run:
        output.preview(f"delete the org {found['name']} ({found['id']})")
        return
    output.changed({"id": found["id"], "deleted": True}, f"Org {found['name']} deleted.")
