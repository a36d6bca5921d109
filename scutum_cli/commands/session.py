"""`scutum login`, `scutum logout` and `scutum whoami`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from scutum_cli import keyring_store, options, output, settings
from scutum_cli.client import api, device_login
from scutum_cli.client.http import AdminClient
from scutum_cli.commands import present
from scutum_cli.errors import NOT_ALLOWED, UNREACHABLE, CliError
from scutum_cli.options import examples
from scutum_cli.render import accounts
from scutum_cli.settings import Context

login_app = typer.Typer()
logout_app = typer.Typer()
whoami_app = typer.Typer()


@login_app.command(
    epilog=examples(
        "scutum login --email ada@example.com",
        "scutum login --context prod --token-stdin < token.txt  # a service account",
        "scutum login --sso  # in any browser, through the company's own login",
        "scutum login --api-key-stdin < master-key.txt",
    )
)
def login(
    email: Annotated[
        str | None, typer.Option("--email", metavar="EMAIL", help="As this user; asks for the password.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="With --email: read the password from standard input.")
    ] = False,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="As a service account: read its token from standard input.")
    ] = False,
    api_key_stdin: Annotated[
        bool, typer.Option("--api-key-stdin", help="With the master key, read from standard input.")
    ] = False,
    sso: Annotated[
        bool, typer.Option("--sso", help="Through the company's own login, in a browser on any machine.")
    ] = False,
    no_keyring: Annotated[
        bool, typer.Option("--no-keyring", help="Keep the session in a file (0600), not in the system's keyring.")
    ] = False,
) -> None:
    """Log in to the context's server: as a user, as a service account, or with the master key.

    On the host of an install this is never needed: the master key is read from the deploy root.
    """
    if [email is not None, token_stdin, api_key_stdin, sso].count(True) > 1:
        raise CliError("Give one of --email, --token-stdin, --api-key-stdin and --sso.", hint="scutum login --help")
    context = settings.load().current
    client = AdminClient(context)
    vault = not no_keyring and keyring_store.find() is not None
    if sso:
        _logged_in(context, device_login.run(client, vault=vault))
        return
    credentials, account = _credentials(context, email, password_stdin, token_stdin, api_key_stdin)
    client.session.log_in(credentials, account=account, vault=vault)
    _logged_in(context, account)


def _credentials(
    context: Context, email: str | None, password_stdin: bool, token_stdin: bool, api_key_stdin: bool
) -> tuple[dict[str, Any], str | None]:
    """What to show the server, and whose it is (None: the master key's)."""
    if token_stdin:
        return {"service_token": options.secret_from_stdin("token")}, "a service account"
    if email is None and not api_key_stdin and context.master_key() is not None:
        return {"master_key": context.master_key()}, None
    if email is None and not api_key_stdin and sys.stdin.isatty():
        email = options.ask("E-mail")
    if email is None:
        return {"master_key": options.secret_from_stdin("master key")}, None
    if not password_stdin and not sys.stdin.isatty():
        raise CliError("A password is needed.", code="answer_needed", hint="add --password-stdin")
    return {"email": email, "password": options.secret_from_stdin("password")}, email


def _logged_in(context: Context, account: str | None) -> None:
    output.changed(
        {"context": context.name, "admin_url": context.admin_url, "logged_in": True, "account": account},
        f"Logged in to {context.name} ({context.admin_url})" + (f" as {account}." if account else "."),
    )


@logout_app.command(epilog=examples("scutum logout", "scutum logout --context prod"))
def logout() -> None:
    """End the context's session, at the server too."""
    context = settings.load().current
    client = AdminClient(context)
    try:
        if context.token or context.vault:
            api.Api(client).logout()
    except CliError as error:
        # A session that is over, or a server that is away: it ends by itself within 15 minutes.
        if error.exit_code not in {NOT_ALLOWED, UNREACHABLE}:
            raise
        if error.exit_code == UNREACHABLE:
            output.complain(f"{context.admin_url} does not answer; the session ends there by itself in 15 minutes.")
    client.session.forget()
    settings.remember(context.name, account=None, vault=False)
    output.changed(
        {"context": context.name, "admin_url": context.admin_url, "logged_in": False},
        f"Logged out of {context.name} ({context.admin_url}).",
    )


@whoami_app.command(epilog=examples("scutum whoami", "scutum whoami -o json"))
def whoami() -> None:
    """Show whose session this is, and what it may do."""
    present.show_one(api.connect().whoami(), accounts.ME)
