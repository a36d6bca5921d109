"""What every command gets without declaring it: the common options, light parsing, and usage errors in our voice."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

# Read by Typer when it is imported: its Rich help costs 100 ms.
os.environ.setdefault("TYPER_USE_RICH", "0")

import typer
import typer.main
from typer._click.exceptions import BadOptionUsage, MissingParameter, NoSuchOption, UsageError
from typer.core import TyperCommand, TyperGroup

from scutum_cli import options
from scutum_cli.errors import CliError

EVERYWHERE = "More options, the same on every command: scutum --help"
PLAIN = (str, bool, list[str])


class PlainText:
    """Takes strings and flags as they come; stands in for Typer's coercion, which loads pydantic even for these."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        del ctx
        return () if value is None and (param.multiple or param.nargs == -1) else value


class Plainer:
    """Help without Typer's braces, type names and cut sentences; mixed into commands and groups."""

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help = "Show this help."
            _lighten(option)
        return option

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = [_spelled(param) for param in self.get_params(ctx) if param.param_type_name == "argument"]  # type: ignore[attr-defined]
        return [*pieces, "[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        params = [param for param in self.get_params(ctx) if not param.hidden]  # type: ignore[attr-defined]
        arguments = [(_spelled(param), param.help or "") for param in params if param.param_type_name == "argument"]
        flags = [param.get_help_record(ctx) for param in params if param.param_type_name == "option"]
        for heading, rows in (("Arguments", arguments), ("Options", flags)):
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        del ctx
        for text in (self.epilog, EVERYWHERE):  # type: ignore[attr-defined]
            if text:
                formatter.write_paragraph()
                formatter.write_text(text)


class Command(Plainer, TyperCommand):
    """A verb."""


class Group(Plainer, TyperGroup):
    """A noun; an unknown verb names the nearest one."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        del ctx
        return ["[VERB]" if self.invoke_without_command else "VERB", "[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        del ctx
        with formatter.section("Verbs"):
            formatter.write_dl([(name, _first_line(verb)) for name, verb in self.commands.items() if not verb.hidden])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise unknown_command(ctx.command_path, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def build(app: typer.Typer, name: str, *, server: bool) -> Any:
    """The command or group that `app` describes, with the common options; `server` when it talks to one."""
    _dress(app)
    # Scripts for completion are our own: `scutum completions`.
    app._add_completion = False  # noqa: SLF001
    command: Any = typer.main.get_command(app)
    command.name = name
    if isinstance(command, Group):
        command.no_args_is_help = not command.invoke_without_command
    equip(command, server=server)
    return command


def _dress(app: typer.Typer) -> None:
    """Our classes for the app's verbs and its groups, nested ones too."""
    for info in app.registered_commands:
        info.cls = Command
    app.info.cls = Group
    if app.registered_callback is not None:
        app.registered_callback.cls = Group
    for group in app.registered_groups:
        group.cls = Group
        if group.typer_instance is not None:
            _dress(group.typer_instance)


def equip(command: Any, *, server: bool) -> None:
    """Adds the common options that the command does not declare itself, and makes its parameters cheap to read."""
    extra = [*_carried(options.everywhere), *(_carried(options.on_server_commands) if server else ())]
    if getattr(command.callback, options.LIST_MARK, False):
        extra = [*_carried(options.on_lists), *extra]
    taken = {opt for param in command.params for opt in param.opts}
    command.params.extend(param for param in extra if not taken & set(param.opts))
    for param in command.params:
        _lighten(param)
    for child in getattr(command, "commands", {}).values():
        equip(child, server=server)


def unknown_command(path: str, word: str, known: Iterable[str]) -> CliError:
    """No such command; names the nearest one."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return CliError(
        f"There is no command '{path} {word}'.",
        code="unknown_command",
        hint=f"did you mean: {path} {near[0]}" if near else f"{path} --help",
    )


def usage_error(error: Exception) -> CliError:
    """What the parser found wrong with the command line, in one sentence."""
    path = error.ctx.command_path if isinstance(error, UsageError) and error.ctx is not None else "scutum"
    hint = f"{path} --help"
    if isinstance(error, MissingParameter) and error.param is not None:
        name = error.param.display_name_raw if error.param.param_type_name == "argument" else error.param.opts[-1]
        return CliError(f"{path} needs {name}.", hint=hint)
    if isinstance(error, NoSuchOption):
        near = sorted(error.possibilities or ())
        return CliError(f"{path} has no option {error.option_name}.", hint=f"did you mean: {near[0]}" if near else hint)
    if isinstance(error, BadOptionUsage):
        return CliError(f"{error.option_name} needs a value.", hint=hint)
    message = str(getattr(error, "message", "")) or "The command line is wrong."
    extra = re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)\.?", message)
    if extra:
        return CliError(f"{path} does not know what to do with: {extra[1]}.", hint=hint)
    return CliError(message if message.endswith(".") else f"{message}.", hint=hint)


@cache
def _carried(carrier: Callable[..., None]) -> tuple[Any, ...]:
    app = typer.Typer(add_completion=False)
    app.command()(carrier)
    params = typer.main.get_command(app).params
    for param in params:
        param.expose_value = False
        # Lists and -o are worth a line in each help; the rest is told once, in `scutum --help`.
        param.hidden = carrier is not options.on_lists and "--output" not in param.opts  # type: ignore[attr-defined]
    return tuple(params)


def common_options() -> list[tuple[str, str]]:
    """The options that every command takes, as rows of a help text."""
    rows = []
    for param in (*_carried(options.everywhere), *_carried(options.on_server_commands)):
        spelled = ", ".join(param.opts) + (f" {param.metavar}" if param.metavar else "")
        rows.append((spelled, param.help))
    return rows


def _lighten(param: Any) -> None:
    if param.type_descriptor.annotation in PLAIN:
        param._runtime_param = PlainText()  # noqa: SLF001


def _spelled(argument: Any) -> str:
    name = re.sub(r"[\[\]….]", "", argument.metavar or argument.name.upper())
    name = f"{name}…" if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _first_line(command: Any) -> str:
    return str(command.help or "").strip().partition("\n")[0]
