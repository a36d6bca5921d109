"""`scutum login` and `scutum logout`."""

from __future__ import annotations

from typing import Annotated

import typer

from scutum_cli import options, output, settings
from scutum_cli.client.http import AdminClient
from scutum_cli.options import examples

login_app = typer.Typer()
logout_app = typer.Typer()


@login_app.command(
    epilog=examples("scutum login", "scutum login --context prod", "scutum login --api-key-stdin < master-key.txt")
)
def login(
    api_key_stdin: Annotated[
        bool, typer.Option("--api-key-stdin", help="Read the master key from standard input, without a prompt.")
    ] = False,
) -> None:
    """Log in to the context's server with its master key.

    On the host of an install this is never needed: the key is read from the deploy root.
    """
    context = settings.load().current
    key = None if context.master_key() and not api_key_stdin else options.secret_from_stdin("master key")
    AdminClient(context).login(key)
    output.changed(
        {"context": context.name, "admin_url": context.admin_url, "logged_in": True},
        f"Logged in to {context.name} ({context.admin_url}).",
    )


@logout_app.command(epilog=examples("scutum logout", "scutum logout --context prod"))
def logout() -> None:
    """Forget the context's session."""
    context = settings.load().current
    settings.remember(context.name, token=None, token_expires_at=None)
    output.changed(
        {"context": context.name, "admin_url": context.admin_url, "logged_in": False},
        f"Logged out of {context.name} ({context.admin_url}).",
    )
