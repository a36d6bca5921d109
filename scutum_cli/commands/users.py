"""`scutum users`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, cast

import typer

from scutum_cli import options, output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import accounts

if TYPE_CHECKING:
    from scutum_cli.client.types import PasswordChange, UserCreate, UserUpdate

app = typer.Typer(
    help="The people who may use the control plane, each with a role in one org or in the whole install.",
    epilog=examples(
        "scutum users create ada@example.com --role operator",
        "scutum users update ada@example.com --role admin",
        "scutum users list --filter role=owner",
    ),
)
ROLES = "owner|admin|operator|approver|viewer"
User = Annotated[str, typer.Argument(metavar="USER", help="Address of mail, or id.")]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="What they are called.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, without a prompt.")
]


@app.command("list", epilog=examples("scutum users list", "scutum users list --filter org=acme --sort email"))
@listing
def list_() -> None:
    """List the users."""
    empty = "No users yet; the master key is the only way in. Make one: scutum users create EMAIL --role owner"
    present.show_list(api.connect().users, accounts.USERS, empty=empty)


@app.command(epilog=examples("scutum users show ada@example.com"))
def show(user: User) -> None:
    """Show somebody: role, org, and how they log in."""
    present.show_one(api.connect().user(user), accounts.USER_DETAILS)


@app.command(
    epilog=examples(
        "scutum users create ada@example.com --role operator",
        "scutum users create bob@acme.example --role admin --org acme --sso",
        "scutum users create eve@example.com --role viewer --password-stdin < password.txt",
    )
)
def create(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Their address of mail: what they log in with.")],
    role: Annotated[str, typer.Option("--role", metavar=ROLES, help="What they may do; see: scutum roles list.")],
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Only there; else in all of it.")] = None,
    name: Name = None,
    password_stdin: PasswordStdin = False,
    sso: Annotated[bool, typer.Option("--sso", help="No password: they come by single sign-on.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Let somebody in; asks for a first password unless --sso or --password-stdin is given."""
    body = cast("UserCreate", {"email": email, "role": role})
    if org is not None:
        body["org"] = org
    if name is not None:
        body["name"] = name
    if dry_run:
        output.preview(f"let {email} in as {role}", body)
        return
    if not sso:
        body["password"] = _new_password(password_stdin)
    made = api.connect().create_user(body)
    output.changed(made, f"{made['email']} may log in as {made['role']} ({made['id']}).")


@app.command(
    epilog=examples(
        "scutum users update ada@example.com --role admin",
        "scutum users update ada@example.com --disable  # ends their sessions at once",
        "scutum users update ada@example.com --org none  # for the whole install",
    )
)
def update(
    user: User,
    role: Annotated[str | None, typer.Option("--role", metavar=ROLES, help="What they may do.")] = None,
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Only there; none for all of it.")] = None,
    name: Name = None,
    disable: Annotated[bool, typer.Option("--disable", help="They cannot log in; their sessions end.")] = False,
    enable: Annotated[bool, typer.Option("--enable", help="They can log in again.")] = False,
    password: Annotated[bool, typer.Option("--password", help="Ask for a new password; ends their sessions.")] = False,
    password_stdin: PasswordStdin = False,
    dry_run: DryRun = False,
) -> None:
    """Change somebody; a changed role holds in their open sessions at once."""
    body = cast("UserUpdate", {} if role is None else {"role": role})
    if org is not None:
        body["org"] = None if org == "none" else org
    if name is not None:
        body["name"] = name or None
    if disable and enable:
        raise CliError("Give --disable or --enable, not both.")
    if disable or enable:
        body["disabled"] = disable
    if not body and not password and not password_stdin:
        raise CliError("Nothing to change was given.", hint="scutum users update --help")
    if dry_run:
        output.preview(f"update {user}", body)
        return
    if password or password_stdin:
        body["password"] = _new_password(password_stdin)
    changed = api.connect().update_user(user, body)
    output.changed(changed, f"{changed['email']} updated: {changed['role']}, {changed['state']}.")


@app.command(epilog=examples("scutum users password", "printf 'old\\nnew\\n' | scutum users password"))
def password() -> None:
    """Change your own password; your other sessions end."""
    if sys.stdin.isatty():
        current = options.secret_from_stdin("current password")
        fresh = _twice()
    else:
        lines = sys.stdin.read(4096).splitlines()
        if len(lines) != 2:
            raise CliError("Standard input must hold two lines: the current password and the new one.")
        current, fresh = lines
    body: PasswordChange = {"current_password": current, "new_password": fresh}
    api.connect().change_password(body)
    output.changed({"changed": True}, "Password changed; your other sessions have ended.")


@app.command("sign-out", epilog=examples("scutum users sign-out ada@example.com"))
def sign_out(user: User, yes: Yes = False, dry_run: DryRun = False) -> None:
    """End every session of somebody, at once and everywhere."""
    server = api.connect()
    found = server.user(user)
    if dry_run:
        output.preview(f"end the sessions of {found['email']} ({found['id']})")
        return
    output.confirm(f"End the sessions of {found['email']}?", yes=yes)
    ended = server.sign_out_user(found["id"])
    output.changed(ended, f"{found['email']} is signed out; sessions ended: {ended['sessions']}.")


@app.command(epilog=examples("scutum users delete ada@example.com"))
def delete(user: User, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Shut somebody out for good; what they did stays on the audit trail."""
    server = api.connect()
    found = server.user(user)
    if dry_run:
        output.preview(f"delete the user {found['email']} ({found['id']})")
        return
    output.confirm(f"Delete the user {found['email']}?", yes=yes)
    server.delete_user(found["id"])
    output.changed({"id": found["id"], "deleted": True}, f"User {found['email']} deleted.")


def _new_password(from_stdin: bool) -> str:
    if from_stdin:
        return options.secret_from_stdin("password")
    if not sys.stdin.isatty():
        raise CliError("A password is needed.", code="answer_needed", hint="add --password-stdin, or --sso for none")
    return _twice()


def _twice() -> str:
    first = options.secret_from_stdin("new password")
    if options.secret_from_stdin("the same again") != first:
        raise CliError("The two passwords differ.", code="declined")
    return first
