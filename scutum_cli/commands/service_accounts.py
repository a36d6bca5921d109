"""`scutum service-accounts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from scutum_cli import options, output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.commands.users import ROLES
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import accounts
from scutum_cli.render.text import clock

if TYPE_CHECKING:
    from scutum_cli.client.types import (
        IssuedServiceAccount,
        ServiceAccountCreate,
        ServiceAccountRotate,
        ServiceAccountUpdate,
    )

app = typer.Typer(
    help="The programs that may use the control plane. A token is shown once, when it is made.",
    epilog=examples(
        "scutum service-accounts create ci --role operator --expires 90d > token.txt",
        "scutum login --token-stdin < token.txt",
        "scutum service-accounts rotate ci --overlap 1h > token.txt",
    ),
)
Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Id or name; never the token.")]
Expires = Annotated[str | None, typer.Option("--expires", metavar="90d", help="How long the token lives.")]


@app.command(
    "list", epilog=examples("scutum service-accounts list", "scutum service-accounts list --filter state=active")
)
@listing
def list_() -> None:
    """List the service accounts, without their tokens."""
    empty = "No service accounts yet. Make one: scutum service-accounts create NAME --role viewer"
    present.show_list(api.connect().service_accounts, accounts.SERVICE_ACCOUNTS, empty=empty)


@app.command(epilog=examples("scutum service-accounts show ci"))
def show(account: Account) -> None:
    """Show one service account: role, org, and until when its token opens."""
    present.show_one(api.connect().service_account(account), accounts.SERVICE_ACCOUNT_DETAILS)


@app.command(
    epilog=examples(
        "scutum service-accounts create ci --role operator --expires 90d > token.txt",
        "scutum service-accounts create reports --role viewer --org acme",
    )
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    role: Annotated[str, typer.Option("--role", metavar=ROLES, help="What it may do; see: scutum roles list.")],
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Only there; else in all of it.")] = None,
    expires: Expires = None,
    dry_run: DryRun = False,
) -> None:
    """Let a program in and print its token, once."""
    body = cast("ServiceAccountCreate", {"name": name, "role": role})
    if org is not None:
        body["org"] = org
    if expires is not None:
        body["expires_in"] = options.seconds(expires, "--expires")
    if dry_run:
        output.preview(f"create the service account {name}", body)
        return
    issued = api.connect().create_service_account(body)
    _hand_over(issued, f"Service account {issued['name']} created ({issued['id']}); its token is shown this once.")


@app.command(
    epilog=examples(
        "scutum service-accounts update ci --role viewer", "scutum service-accounts update ci --expires never"
    )
)
def update(
    account: Account,
    role: Annotated[str | None, typer.Option("--role", metavar=ROLES, help="What it may do.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What to call it.")] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="90d", help="How long from now; or never.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Change a service account; it holds in its open sessions at once."""
    body = cast("ServiceAccountUpdate", {} if role is None else {"role": role})
    if name is not None:
        body["name"] = name
    if expires is not None:
        body["expires_in"] = None if expires == "never" else options.seconds(expires, "--expires")
    if not body:
        raise CliError("Nothing to change was given.", hint="scutum service-accounts update --help")
    if dry_run:
        output.preview(f"update the service account {account}", body)
        return
    changed = api.connect().update_service_account(account, body)
    output.changed(changed, f"Service account {changed['name']} updated: {changed['role']}.")


@app.command(epilog=examples("scutum service-accounts rotate ci --overlap 1h > token.txt"))
def rotate(
    account: Account,
    overlap: Annotated[
        str | None, typer.Option("--overlap", metavar="1h", help="How long the former token still opens.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Give a service account a new token and print it, once."""
    kept = 0 if overlap in {None, "0"} else options.seconds(str(overlap), "--overlap")
    body: ServiceAccountRotate = {"overlap_seconds": kept}
    server = api.connect()
    found = server.service_account(account)
    if dry_run:
        output.preview(f"give the service account {found['name']} ({found['id']}) a new token", body)
        return
    if not kept:
        output.confirm(f"Rotate the token of {found['name']}? Its sessions end now.", yes=yes)
    issued = server.rotate_service_account(found["id"], body)
    until = issued["previous_valid_until"]
    former = f"opens until {clock(until, present.face())}" if until else "no longer opens"
    _hand_over(issued, f"Token of {issued['name']} rotated; the new one is shown this once, the former {former}.")


@app.command(epilog=examples("scutum service-accounts revoke ci"))
def revoke(account: Account, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Revoke its token and its sessions for good, at once."""
    server = api.connect()
    found = server.service_account(account)
    if dry_run:
        output.preview(f"revoke the service account {found['name']} ({found['id']})")
        return
    output.confirm(f"Revoke the service account {found['name']}?", yes=yes)
    revoked = server.revoke_service_account(found["id"])
    output.changed(revoked, f"Service account {revoked['name']} revoked.")


@app.command(epilog=examples("scutum service-accounts delete ci"))
def delete(account: Account, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete a service account; what it did stays on the audit trail."""
    server = api.connect()
    found = server.service_account(account)
    if dry_run:
        output.preview(f"delete the service account {found['name']} ({found['id']})")
        return
    output.confirm(f"Delete the service account {found['name']}?", yes=yes)
    server.delete_service_account(found["id"])
    output.changed({"id": found["id"], "deleted": True}, f"Service account {found['name']} deleted.")


def _hand_over(issued: IssuedServiceAccount, words: str) -> None:
    """The token alone goes to stdout, so that it can be piped; in the other formats it is a field of the object."""
    if output.style.format == "table":
        output.emit_text(issued["token"])
        output.say(words)
    else:
        output.emit_object(issued)
