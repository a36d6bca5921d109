"""`scutum roles`."""

from __future__ import annotations

from typing import Annotated

import typer

from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.options import examples, listing
from scutum_cli.render import accounts

app = typer.Typer(
    help="What owners, admins, operators, approvers and viewers may do.",
    epilog=examples("scutum roles list", "scutum roles show operator"),
)


@app.command("list", epilog=examples("scutum roles list", "scutum roles list --columns name,permissions"))
@listing
def list_() -> None:
    """List the roles, from the one that may do most."""
    present.show_list(api.connect().roles, accounts.ROLES, empty="There are no roles.")


@app.command(epilog=examples("scutum roles show operator", "scutum roles show viewer -o json"))
def show(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="owner, admin, operator, approver, viewer.")],
) -> None:
    """Show what a role may do, in the whole install and in one org."""
    present.show_one(api.connect().role(role), accounts.ROLE_DETAILS)
