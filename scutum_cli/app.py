"""The root of the `scutum` command: a static table of nouns, each imported only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

os.environ.setdefault("TYPER_USE_RICH", "0")

import typer  # noqa: E402  (reads the variable above when it is imported)
from typer.core import TyperGroup  # noqa: E402

from scutum_cli import errors, output  # noqa: E402

HOST = "Host"
SERVER = "Gateway"

# name: (module, attribute that is a Typer app, section, one line of help)
COMMANDS: dict[str, tuple[str, str, str, str]] = {
    "install": ("scutum_cli.commands.install", "app", HOST, "Set up a gateway on this host, from nothing to an answer."),
    "uninstall": ("scutum_cli.commands.uninstall", "app", HOST, "Remove this install; data stays unless told twice."),
    "up": ("scutum_cli.commands.lifecycle", "up_app", HOST, "Start every service."),
    "down": ("scutum_cli.commands.lifecycle", "down_app", HOST, "Stop every service."),
    "restart": ("scutum_cli.commands.lifecycle", "restart_app", HOST, "Restart all services, or the ones named."),
    "ps": ("scutum_cli.commands.ps", "app", HOST, "Show the services: state, restarts and why."),
    "logs": ("scutum_cli.commands.logs", "app", HOST, "Show what the services wrote."),
    "status": ("scutum_cli.commands.status", "app", HOST, "Show in one look whether the gateway is healthy."),
    "config": ("scutum_cli.commands.config", "app", HOST, "Where the configuration lies and what it says."),
    "version": ("scutum_cli.commands.version", "app", HOST, "Show the versions of command and server."),
    "completions": ("scutum_cli.commands.completions", "app", HOST, "Print a completion script for your shell."),
    "chat": ("scutum_cli.commands.chat", "app", SERVER, "Send one message through the gateway."),
    "usage": ("scutum_cli.commands.usage", "app", SERVER, "Show requests, tokens and cost."),
    "providers": ("scutum_cli.commands.providers", "app", SERVER, "The vendor accounts that requests go to."),
    "models": ("scutum_cli.commands.models", "app", SERVER, "The models that clients may call."),
    "aliases": ("scutum_cli.commands.aliases", "app", SERVER, "Names such as fast or smart, and what they resolve to."),
    "teams": ("scutum_cli.commands.teams", "app", SERVER, "The teams that keys belong to."),
    "keys": ("scutum_cli.commands.keys", "app", SERVER, "The keys that clients authenticate with."),
    "settings": ("scutum_cli.commands.settings", "app", SERVER, "The server's own settings."),
    "login": ("scutum_cli.commands.session", "login_app", SERVER, "Log in to the context's server."),
    "logout": ("scutum_cli.commands.session", "logout_app", SERVER, "Forget the context's session."),
    "context": ("scutum_cli.commands.context", "app", SERVER, "The servers that this command knows."),
}


class LazyGroup(TyperGroup):
    """Lists from the table above; imports a command's module when it runs or shows its own help."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _, help_line = COMMANDS[cmd_name]
        command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
        command.name = cmd_name
        command.help = command.help or help_line
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for section in (HOST, SERVER):
            rows = [(name, row[3]) for name, row in COMMANDS.items() if row[2] == section]
            with formatter.section(section):
                formatter.write_dl(rows)


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(epilog="Start with: scutum status. Each command has --help with examples.")
def root() -> None:
    """Scutum: an LLM gateway you can keep running."""


def main() -> None:
    """Runs the command line; turns every error into its exit code, with no traceback unless --debug."""
    try:
        code = app(standalone_mode=False)
        code = code if isinstance(code, int) else errors.OK
    except errors.CliError as error:
        if output.style.debug:
            raise
        code = output.fail(error)
    except KeyboardInterrupt:
        output.say("\ninterrupted")
        code = errors.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = errors.OK
    raise SystemExit(code)


if __name__ == "__main__":
    main()
