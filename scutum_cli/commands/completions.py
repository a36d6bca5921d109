"""`scutum completions`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from scutum_cli import output, settings
from scutum_cli.client.api import Api
from scutum_cli.client.http import AdminClient
from scutum_cli.errors import CliError
from scutum_cli.options import examples
from scutum_cli.render import completions
from scutum_cli.render.completions import Flag, Node

app = typer.Typer()
SHELLS = ("bash", "zsh", "fish")
# Nobody waits longer for a list of names when a key is pressed.
LIVE_SECONDS = 2.0
LIVE_LIMIT = 500

# What completes an argument or an option's value, by how its help calls it.
SOURCES = {
    "USER": "@users",
    "ACCOUNT": "@service-accounts",
    "ROLE": "owner admin operator approver viewer",
    "ORG": "@orgs",
    "UNIT": "@units",
    "TEAM": "@teams",
    "KEY": "@keys",
    "PROVIDER": "@providers",
    "P": "@providers",
    "MODEL": "@models",
    "M": "@callable",
    "LIMIT": "@limits",
    "BUDGET": "@budgets",
    "DIR": "@files",
    "FILE": "@files",
    "SERVICE": "postgres valkey worker admin proxy",
    "DIM": "model team key provider",
}
NAMED = {
    "aliases set": "@aliases",
    "aliases show": "@aliases",
    "aliases delete": "@aliases",
    "context use": "@contexts",
    "context delete": "@contexts",
    "settings get": "@settings",
    "settings set": "@settings",
    "settings show": "@settings",
    "settings reset": "@settings",
}


@app.command(
    epilog=examples(
        "source <(scutum completions bash)   # this shell; put it into ~/.bashrc for all",
        "scutum completions zsh > ~/.zfunc/_scutum",
        "scutum completions fish > ~/.config/fish/completions/scutum.fish",
    )
)
def completions_(
    ctx: typer.Context,
    shell: Annotated[str | None, typer.Argument(metavar="bash|zsh|fish")] = None,
    live: Annotated[str | None, typer.Option("--live", hidden=True)] = None,
) -> None:
    """Print a completion script for your shell; it completes names that the server knows, too."""
    if live is not None:
        _print_live(live)
        return
    if shell not in SHELLS:
        said = f"not {shell!r}" if shell else "but none was named"
        raise CliError(f"completions knows {', '.join(SHELLS)}, {said}.", hint="scutum completions bash")
    root: Any = ctx.find_root().command
    output.emit_text(completions.script(shell, list(nodes(root, ctx, ""))), end="")


def nodes(command: Any, ctx: Any, path: str) -> Iterator[Node]:
    """The command at `path` and everything below it."""
    below = {}
    if hasattr(command, "list_commands"):
        below = {name: command.get_command(ctx, name) for name in command.list_commands(ctx)}
        below = {name: verb for name, verb in below.items() if not verb.hidden}
    yield Node(
        path=path,
        verbs=tuple((name, str(verb.help or "").partition("\n")[0]) for name, verb in below.items()),
        flags=(*_flags(command), Flag(("--help", "-h"), "Show this help.")),
        arguments=tuple(
            NAMED.get(path, "") if position == 0 and path in NAMED else _source(param.metavar or "") or ""
            for position, param in enumerate(p for p in command.params if p.param_type_name == "argument")
        ),
    )
    for name, verb in below.items():
        yield from nodes(verb, ctx, f"{path} {name}".strip())


def _flags(command: Any) -> Iterator[Flag]:
    for param in command.params:
        if param.param_type_name == "option" and "--live" not in param.opts:
            source = None if param.is_flag else _source(param.metavar or "")
            if "--context" in param.opts:
                source = "@contexts"
            yield Flag(tuple(sorted(param.opts, reverse=True)), param.help or "", source)


def _source(metavar: str) -> str:
    if re.fullmatch(r"[a-z_-]+(\|[a-z_-]+)+", metavar):
        return metavar.replace("|", " ")
    return SOURCES.get(re.sub(r"[^A-Z_].*", "", metavar.lstrip("[")), "")


def _print_live(noun: str) -> None:
    """One name a line; nothing when the server cannot be asked, since a key press is no place for errors."""
    try:
        for name in _live(noun):
            output.emit_text(name)
    except CliError as error:
        output.verbose(error.message)


def _live(noun: str) -> list[str]:
    if noun == "contexts":
        return list(settings.load().contexts)
    api = Api(AdminClient(settings.load().current, seconds=LIVE_SECONDS))
    names: dict[str, Callable[[], list[str]]] = {
        "budgets": lambda: [budget["id"] for budget in api.budgets(LIVE_LIMIT)["items"]],
        "limits": lambda: [limit["id"] for limit in api.limits(LIVE_LIMIT)["items"]],
        "aliases": lambda: [alias["name"] for alias in api.aliases(LIVE_LIMIT)["items"]],
        "keys": lambda: [key["name"] for key in api.keys(LIVE_LIMIT)["items"] if key["state"] != "revoked"],
        "models": lambda: [model["name"] for model in api.models(LIVE_LIMIT)["items"]],
        "providers": lambda: [provider["name"] for provider in api.providers(LIVE_LIMIT)["items"]],
        "settings": lambda: [setting["key"] for setting in api.settings()["items"]],
        "users": lambda: [user["email"] for user in api.users(LIVE_LIMIT)["items"]],
        "service-accounts": lambda: [
            account["name"] for account in api.service_accounts(LIVE_LIMIT)["items"] if account["state"] != "revoked"
        ],
        "orgs": lambda: [org["name"] for org in api.orgs(LIVE_LIMIT)["items"]],
        "units": lambda: [unit["name"] for unit in api.units(LIVE_LIMIT)["items"]],
        "teams": lambda: [team["name"] for team in api.teams(LIVE_LIMIT)["items"]],
    }
    if noun == "callable":
        return names["aliases"]() + names["models"]()
    return names[noun]() if noun in names else []
