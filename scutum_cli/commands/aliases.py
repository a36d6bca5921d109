"""`scutum aliases`; without a verb it lists, since that is all one wants of it most days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scutum_cli import output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing, milliseconds, names, whole
from scutum_cli.render import aliases

if TYPE_CHECKING:
    from scutum_cli.client.types import AliasPut

app = typer.Typer(
    invoke_without_command=True,
    epilog=examples("scutum aliases", "scutum aliases set fast gpt-5-mini sim", "scutum chat hello --model fast"),
)
STRATEGIES = ("ordered", "weighted", "least-busy", "lowest-latency", "cheapest", "usage-based")
Alias = Annotated[str, typer.Argument(metavar="NAME", help="The alias.")]


@app.callback()
@listing
def aliases_(ctx: typer.Context) -> None:
    """Names such as fast or smart, and the models that they stand for."""
    if ctx.invoked_subcommand is None:
        _list()


@app.command("list", epilog=examples("scutum aliases list", "scutum aliases list -o json"))
@listing
def list_() -> None:
    """List the aliases and what they resolve to now."""
    _list()


@app.command(
    "set",
    epilog=examples(
        "scutum aliases set smart gpt-5 claude sim   # the first; the others when it fails",
        "scutum aliases set fast gpt-5-mini haiku --strategy weighted --weights 3,1",
        "scutum aliases set gpt-5 gpt-5 claude --retries 2   # fallbacks for a model, under its own name",
    ),
)
def set_(
    name: Alias,
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Models, best first.")],
    strategy: Annotated[
        str | None, typer.Option("--strategy", metavar="|".join(STRATEGIES), help="Which one is asked first.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="3,1", help="For weighted: a share for each model.")
    ] = None,
    retries: Annotated[
        str | None, typer.Option("--retries", metavar="N", help="More tries at one that fails in passing; default 1.")
    ] = None,
    first_byte: Annotated[
        str | None, typer.Option("--first-byte-timeout", metavar="10s", help="For each try, to its first byte.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="60s", help="For the request, with all its tries.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Create an alias, or replace what it stands for."""
    body: AliasPut = {"targets": models}
    if strategy is not None:
        body["strategy"] = _strategy(strategy)
    if weights is not None:
        body["weights"] = [whole(each, "--weights", high=1000) for each in names(weights, "--weights")]
    if retries is not None:
        body["retries"] = whole(retries, "--retries", high=10)
    if first_byte is not None:
        body["first_byte_ms"] = milliseconds(first_byte, "--first-byte-timeout")
    if timeout is not None:
        body["total_ms"] = milliseconds(timeout, "--timeout")
    alias = api.connect(dry_run=dry_run).set_alias(name, body)
    if dry_run:
        how = "" if strategy is None else f", {strategy}"
        output.preview(f"let {name} stand for {', '.join(models)}{how}", body, alias)
        return
    now = alias["resolves_to"] or "nothing: none of these models exists"
    output.changed(alias, f"Alias {alias['name']} now resolves to {now}.")


@app.command(epilog=examples("scutum aliases show fast"))
def show(name: Alias) -> None:
    """Show one alias: its models, how they are chosen and tried."""
    present.show_one(api.connect().alias(name), aliases.DETAILS)


@app.command(epilog=examples("scutum aliases delete fast"))
def delete(name: Alias, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete an alias."""
    server = api.connect(dry_run=dry_run)
    if not dry_run:
        output.confirm(f"Delete the alias {name}?", yes=yes)
    server.delete_alias(name)
    if dry_run:
        output.preview(f"delete the alias {name}")
        return
    output.changed({"name": name, "deleted": True}, f"Alias {name} deleted.")


def _strategy(text: str) -> Any:
    if text not in STRATEGIES:
        raise CliError(f"--strategy must be one of {', '.join(STRATEGIES)}, not {text!r}.")
    return text


def _list() -> None:
    empty = "No aliases yet. Make one: scutum aliases set NAME MODEL"
    present.show_served("aliases", api.connect().aliases, aliases.COLUMNS, empty=empty)
