"""The options that mean the same on every command (see `scutum COMMAND --help`)."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from scutum_cli import output
from scutum_cli.errors import CliError


def _format(value: str) -> str:
    if value not in output.FORMATS:
        raise CliError(f"--output must be one of {', '.join(output.FORMATS)}, not {value!r}.")
    output.style.format = value
    return value


def _flag(name: str, *, turns: bool) -> object:
    def apply(value: bool) -> bool:
        if value:
            setattr(output.style, name, turns)
        return value

    return apply


def _no_color(value: bool) -> bool:
    if value or os.environ.get("NO_COLOR"):
        output.style.color = False
    return value


Output = Annotated[
    str,
    typer.Option("-o", "--output", help="table, json, yaml or csv.", callback=_format, is_eager=True, metavar="FORMAT"),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Say nothing but data and errors.", callback=_flag("quiet", turns=True))
]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Say more on stderr.", callback=_flag("verbose", turns=True), hidden=True)
]
Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show tracebacks.", callback=_flag("debug", turns=True), is_eager=True, hidden=True),
]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours.", callback=_no_color, hidden=True)]
NoProgress = Annotated[
    bool,
    typer.Option(
        "--no-progress", help="No live progress lines.", callback=_flag("progress", turns=False), hidden=True
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")]
Home = Annotated[
    str | None,
    typer.Option("--home", envvar="SCUTUM_HOME", help="The deploy root.", metavar="DIR", show_default=False),
]
Context = Annotated[
    str | None,
    typer.Option("--context", envvar="SCUTUM_CONTEXT", help="The server to talk to.", metavar="NAME"),
]
