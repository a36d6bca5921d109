"""The root of the `scutum` command: a static table of nouns, each imported only when it is called."""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from typing import Any

from scutum_cli import errors, grammar, options, output

import typer  # isort: skip  (grammar decides first that it does without Rich)
from typer._click.exceptions import NoArgsIsHelpError  # isort: skip

HOST = "Host"
SERVER = "Gateway"
WATCH_SECONDS = 2.0

# name: (module, attribute that is a Typer app, section, one line of help)
COMMANDS: dict[str, tuple[str, str, str, str]] = {
    "install": (
        "scutum_cli.commands.install",
        "app",
        HOST,
        "Set up a gateway on this host, from nothing to an answer.",
    ),
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
    "orgs": ("scutum_cli.commands.orgs", "app", SERVER, "The organisations that everything else belongs to."),
    "units": ("scutum_cli.commands.units", "app", SERVER, "Parts of an org that teams belong to."),
    "teams": ("scutum_cli.commands.teams", "app", SERVER, "The teams that keys belong to."),
    "keys": ("scutum_cli.commands.keys", "app", SERVER, "The keys that clients authenticate with."),
    "users": ("scutum_cli.commands.users", "app", SERVER, "The people who may use the control plane."),
    "service-accounts": ("scutum_cli.commands.service_accounts", "app", SERVER, "Programs that may use it."),
    "roles": ("scutum_cli.commands.roles", "app", SERVER, "What owners, operators and others may do."),
    "sso": ("scutum_cli.commands.sso", "app", SERVER, "Logging in through the company's own provider."),
    "limits": ("scutum_cli.commands.limits", "app", SERVER, "Rate limits: requests, tokens and concurrency."),
    "budgets": ("scutum_cli.commands.budgets", "app", SERVER, "What may be spent in a day, week or month."),
    "audit": ("scutum_cli.commands.audit", "app", SERVER, "Who did what, and the proof of it."),
    "settings": ("scutum_cli.commands.settings", "app", SERVER, "The server's own settings."),
    "license": ("scutum_cli.commands.license", "app", SERVER, "What this install is licensed for."),
    "archives": ("scutum_cli.commands.archives", "app", SERVER, "Old months of audit and spend in the object store."),
    "maintenance": ("scutum_cli.commands.maintenance", "app", SERVER, "Let no new requests in, and let them in again."),
    "login": ("scutum_cli.commands.session", "login_app", SERVER, "Log in to the context's server."),
    "logout": ("scutum_cli.commands.session", "logout_app", SERVER, "End the context's session."),
    "whoami": ("scutum_cli.commands.session", "whoami_app", SERVER, "Show whose session this is."),
    "context": ("scutum_cli.commands.context", "app", SERVER, "The servers that this command knows."),
}


class Root(grammar.Group):
    """Lists from the table above; imports a command's module when it runs or shows its own help."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        return load(cmd_name) if cmd_name in COMMANDS else None

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        del ctx
        return ["COMMAND", "[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        del ctx
        for section in (HOST, SERVER):
            rows = [(name, row[3]) for name, row in COMMANDS.items() if row[2] == section]
            with formatter.section(section):
                formatter.write_dl(rows)

        with formatter.section("Every command takes"):
            formatter.write_dl([*grammar.common_options(), ("-h, --help", "What it does, with examples.")])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        del ctx
        formatter.write_paragraph()
        formatter.write_text("Start with: scutum status. Each command has --help with examples.")


def load(name: str) -> Any:
    """The command or group called `name`, from its module."""
    module, attribute, section, help_line = COMMANDS[name]
    command = grammar.build(getattr(importlib.import_module(module), attribute), name, server=section == SERVER)
    command.help = command.help or help_line
    return command


app = typer.Typer(
    cls=Root,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """Scutum: an LLM gateway you can keep running."""


def main() -> None:
    """Runs the command line; turns every error into its exit code, with no traceback unless --debug."""
    output.prepare()
    _prescan(sys.argv[1:])
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has had enough; the interpreter's own last flush must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = errors.OK
    raise SystemExit(code)


def run() -> int:
    """Runs the command line of sys.argv and returns its exit code; raises only with --debug."""
    try:
        command: Any = typer.main.get_command(app)
        grammar.equip(command, server=True)
        returned = command.main(prog_name="scutum", standalone_mode=False)
        if options.view.watch and returned != errors.INTERRUPTED:
            _watch(command)
            return errors.OK
        code = returned if isinstance(returned, int) else errors.OK
        _remind()
        if code == errors.INTERRUPTED:
            # Typer turns Ctrl-C into this exit code by itself.
            output.complain("interrupted")
        return code
    except NoArgsIsHelpError as error:
        output.complain(error.format_message())
        return errors.USAGE
    except typer.TyperException as error:
        return output.fail(grammar.usage_error(error))
    except errors.CliError as error:
        if output.style.debug:
            raise
        error.hint = _aimed(error.hint)
        return output.fail(error)
    except (KeyboardInterrupt, typer.Abort):
        output.complain("interrupted")
        return errors.INTERRUPTED
    except BrokenPipeError:
        raise
    except SystemExit as error:
        # Typer ends a command whose reader went away by itself, as if that were a failure.
        if isinstance(error.__context__, BrokenPipeError):
            raise error.__context__ from None
        raise
    except Exception as error:
        if output.style.debug:
            raise
        return output.fail(_unexpected(error))


def _remind() -> None:
    """Of the licence, where a server was talked to; what that takes is not loaded otherwise."""
    reminder: Any = sys.modules.get("scutum_cli.client.reminder")
    client = reminder.due() if reminder is not None else None
    if client is None:
        return
    sys.stdout.flush()
    found = reminder.ask(client)
    if found is not None:
        from scutum_cli.render import licenses

        words = licenses.reminder(found)
        if words is not None:
            output.say(output.paint("licence: ", "yellow", err=True) + words)


def _watch(command: Any) -> None:
    """Runs the same list again and again, on a terminal in the same place, until Ctrl-C."""
    try:
        while True:
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)
            options.view.reset()
            with output.in_place():
                ended = command.main(prog_name="scutum", standalone_mode=False) == errors.INTERRUPTED
            if ended:
                return
    except KeyboardInterrupt:
        return


def _aimed(hint: str | None) -> str | None:
    """The hint's commands for the gateway that --context named, where they talk to one."""
    if not hint or not output.style.context or "--context" in hint:
        return hint
    nouns = "providers|models|aliases|teams|keys|users|service-accounts|roles|settings|archives|license"
    talk = rf"(?:chat|usage|login|logout|whoami)\b|(?:{nouns})\b(?: [a-z]+)?"
    return re.sub(rf"\bscutum ({talk})", rf"scutum \1 --context {output.style.context}", hint)


def _unexpected(error: Exception) -> errors.CliError:
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        message = f"The system refused: {place}{error.strerror}."
    else:
        message = f"Something unexpected went wrong ({type(error).__name__})."
    return errors.CliError(
        message, exit_code=errors.HALF_WAY, code="unexpected", hint="run the same again with --debug to see where"
    )


def _prescan(args: list[str]) -> None:
    """An error before the options are read must come out in the format that they ask for."""
    for at, word in enumerate(args):
        if word in {"-o", "--output"}:
            chosen = args[at + 1] if at + 1 < len(args) else ""
        elif word.startswith("--output="):
            chosen = word.partition("=")[2]
        else:
            chosen = word[2:].removeprefix("=") if word.startswith("-o") else ""
        if chosen in output.FORMATS:
            output.style.format = chosen
        if word == "--debug":
            output.style.debug = True


if __name__ == "__main__":
    main()
