"""`scutum providers keys`."""

from __future__ import annotations

from typing import Annotated

import typer

from scutum_cli import options, output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import providers

app = typer.Typer(
    help="The keys between which a provider's calls are shared out.",
    epilog=examples("scutum providers keys add openai --api-key-stdin < second-key.txt"),
)
Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="Id or name.")]


@app.command("list", epilog=examples("scutum providers keys list openai"))
@listing
def list_(provider: Provider) -> None:
    """List a provider's keys, the beginning and the end of each."""
    server = api.connect()
    empty = f"No keys yet. Add one: scutum providers keys add {provider} --api-key-stdin"
    present.show_list(lambda limit: server.provider_keys(provider, limit), providers.KEYS, empty=empty)


@app.command(epilog=examples("scutum providers keys add openai --api-key-stdin < second-key.txt"))
def add(
    provider: Provider,
    api_key_stdin: Annotated[bool, typer.Option("--api-key-stdin", help="Read the key from standard input.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Add a key beside those there are; one that is told to wait rests while the others go on."""
    if not api_key_stdin:
        raise CliError(
            "The key comes from standard input.", hint=f"scutum providers keys add {provider} --api-key-stdin"
        )
    secret = options.secret_from_stdin("API key", lines=True)
    made = api.connect(dry_run=dry_run).add_provider_key(provider, {"api_key": secret})
    if dry_run:
        output.preview(f"add a key to the provider {provider}", None, made)
        return
    output.changed(made, f"Key {made['hint']} added to {provider} ({made['id']}).")


@app.command(epilog=examples("scutum providers keys remove openai primary"))
def remove(
    provider: Provider,
    key: Annotated[str, typer.Argument(metavar="ID", help="As `scutum providers keys list` shows it.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Remove a key; the oldest of the others takes the place of the primary one."""
    server = api.connect(dry_run=dry_run)
    if not dry_run:
        output.confirm(f"Remove the key {key} of the provider {provider}?", yes=yes)
    server.remove_provider_key(provider, key)
    if dry_run:
        output.preview(f"remove the key {key} of the provider {provider}")
        return
    output.changed({"id": key, "deleted": True}, f"Key {key} of {provider} removed.")
