"""The options that mean the same on every command, and how their values are read.

`grammar` gives every command the ones of `everywhere` and every list those of `on_lists`: a command declares only what
is its own. Parameters are strings, read by the functions below: Typer's own conversion loads pydantic (70 ms).
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import typer

from scutum_cli import output
from scutum_cli.errors import CliError

Command = TypeVar("Command", bound=Callable[..., object])
LIST_MARK = "scutum_list"
DEFAULT_LIMIT = 100
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(slots=True)
class View:
    """What a list command was asked to show."""

    columns: list[str] = field(default_factory=list)
    sort: str | None = None
    descending: bool = False
    filters: list[tuple[str, str]] = field(default_factory=list)
    limit: int | None = None
    everything: bool = False
    watch: bool = False

    def reset(self) -> None:
        """Back to what a list shows when it is asked for nothing; `watch` stays."""
        self.columns, self.filters = [], []
        self.sort, self.descending, self.limit, self.everything = None, False, None, False

    @property
    def to_fetch(self) -> int | None:
        """How many items to ask the server for; None for all, which sorting and filtering need."""
        return None if self.everything or self.sort or self.filters else self.limit or DEFAULT_LIMIT

    @property
    def to_show(self) -> int | None:
        """How many items to show; None for all."""
        return None if self.everything else self.limit


view = View()


def listing(command: Command) -> Command:
    """Marks a command as a list: it takes --columns, --sort, --filter, --limit and --all, and reads them in `view`."""
    setattr(command, LIST_MARK, True)
    return command


def examples(*lines: str) -> str:
    """A help epilog of commands to try, each `command` or `command  # why`."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _format(value: str | None) -> str | None:
    if value is not None:
        if value not in output.FORMATS:
            raise CliError(f"--output must be one of {', '.join(output.FORMATS)}, not {value!r}.")
        output.style.format = value
    return value


def _flag(name: str, *, turns: bool) -> Callable[[bool], bool]:
    def apply(value: bool) -> bool:
        if value:
            setattr(output.style, name, turns)
        return value

    return apply


def _context(value: str | None) -> str | None:
    if value is not None:
        output.style.context = value
    return value


def _columns(value: str | None) -> str | None:
    if value is not None:
        view.columns = names(value, "--columns")
    return value


def _sort(value: str | None) -> str | None:
    if value is not None:
        view.descending = value.startswith("-")
        view.sort = value.removeprefix("-")
    return value


def _filter(value: list[str] | None) -> list[str] | None:
    view.filters.extend(pairs(value or [], "--filter").items())
    return value


def _limit(value: str | None) -> str | None:
    if value is not None:
        view.limit = whole(value, "--limit", low=1)
    return value


def _watch(value: bool) -> bool:
    view.watch = view.watch or value
    return value


def _everything(value: bool) -> bool:
    view.everything = view.everything or value
    return value


Output = Annotated[
    str | None,
    typer.Option(
        "-o", "--output", help="How to print data.", callback=_format, is_eager=True, metavar="|".join(output.FORMATS)
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Say nothing but data and errors.", callback=_flag("quiet", turns=True))
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say more on stderr.", callback=_flag("verbose", turns=True))]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show tracebacks.", callback=_flag("debug", turns=True), is_eager=True)
]
NoColor = Annotated[
    bool, typer.Option("--no-color", help="No colours (NO_COLOR).", callback=_flag("color", turns=False))
]
NoProgress = Annotated[
    bool, typer.Option("--no-progress", help="No live progress lines.", callback=_flag("progress", turns=False))
]
Utc = Annotated[bool, typer.Option("--utc", help="Times in UTC.", callback=_flag("utc", turns=True))]
Context = Annotated[
    str | None,
    typer.Option("--context", help="The server to talk to (SCUTUM_CONTEXT).", metavar="NAME", callback=_context),
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", help="Only these, in this order.", metavar="A,B", callback=_columns),
]
Sort = Annotated[
    str | None,
    typer.Option("--sort", help="By this column; -COLUMN for the other way.", metavar="COLUMN", callback=_sort),
]
Filter = Annotated[
    list[str] | None,
    typer.Option("--filter", help="Only where it holds; may be repeated.", metavar="COLUMN=VALUE", callback=_filter),
]
Limit = Annotated[
    str | None,
    typer.Option("--limit", help=f"At most so many; {DEFAULT_LIMIT} unless told.", metavar="N", callback=_limit),
]
All = Annotated[bool, typer.Option("--all", help="Without a limit.", callback=_everything)]
Watch = Annotated[bool, typer.Option("--watch", help="Show it anew every two seconds, until Ctrl-C.", callback=_watch)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")]
Home = Annotated[
    str | None,
    typer.Option("--home", envvar="SCUTUM_HOME", help="The deploy root.", metavar="DIR", show_default=False),
]


def everywhere(
    output: Output = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
    no_color: NoColor = False,
    no_progress: NoProgress = False,
    utc: Utc = False,
) -> None:
    """Carries, as its parameters, the options that every command takes."""


def on_server_commands(context: Context = None) -> None:
    """Carries the options of commands that talk to a server."""


def on_lists(
    columns: Columns = None,
    sort: Sort = None,
    filters: Filter = None,
    limit: Limit = None,
    everything: All = False,
    watch: Watch = False,
) -> None:
    """Carries the options that every list takes."""


def names(text: str, flag: str) -> list[str]:
    """`a,b` as a list; CliError when a name is empty."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise CliError(f"{flag} takes names with commas between them, not {text!r}.")
    return found


def pairs(values: list[str], flag: str) -> dict[str, str]:
    """`NAME=VALUE`s as a mapping; CliError for anything else."""
    found = {}
    for item in values:
        name, sign, value = item.partition("=")
        if not sign or not name:
            raise CliError(f"{flag} takes NAME=VALUE, not {item!r}.")
        found[name] = value
    return found


def whole(text: str, flag: str, *, low: int = 0, high: int = 2**31) -> int:
    """A whole number from `low` to `high`; CliError otherwise."""
    if not re.fullmatch(r"-?\d{1,12}", text) or not low <= int(text) <= high:
        limit = f"of at least {low}" if high >= 2**31 else f"from {low} to {high}"
        raise CliError(f"{flag} takes a whole number {limit}, not {text!r}.")
    return int(text)


def fraction(text: str, flag: str) -> float:
    """A number from 0 to 1, or a percentage; CliError otherwise."""
    match = re.fullmatch(r"(\d*\.?\d+)(%?)", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else math.nan
    if not 0 <= value <= 1:
        raise CliError(f"{flag} takes a number from 0 to 1, or 30%, not {text!r}.")
    return value


def seconds(text: str, flag: str) -> int:
    """A duration such as 90s, 15m, 24h, 30d or 2w, in seconds; CliError otherwise."""
    match = re.fullmatch(r"(\d{1,9})([smhdw])", text)
    if match is None or int(match[1]) == 0:
        raise CliError(f"{flag} takes a duration such as 15m, 24h or 30d, not {text!r}.")
    return int(match[1]) * UNITS[match[2]]


def milliseconds(text: str, flag: str) -> int:
    """A short duration such as 200ms, 1.5s or 2m, or a bare number of milliseconds; CliError otherwise."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)?", text)
    if match is None:
        raise CliError(f"{flag} takes a duration such as 200ms or 1.5s, not {text!r}.")
    return round(float(match[1]) * {"ms": 1, "s": 1000, "m": 60_000}[match[2] or "ms"])


def ask(what: str) -> str:
    """One line from the terminal; CliError when it is empty."""
    sys.stderr.write(f"{what}: ")
    sys.stderr.flush()
    text = sys.stdin.readline().strip()
    if not text:
        raise CliError(f"No {what} was given.", code="declined")
    return text


def secret_from_stdin(what: str, *, lines: bool = False) -> str:
    """One secret from standard input: a hidden prompt on a terminal, else all of it; CliError when it is empty.

    `lines` says that it may be a whole document.
    """
    if sys.stdin.isatty():
        import getpass

        text = getpass.getpass(f"{what}: ")
    else:
        text = sys.stdin.read(65_537)
    text = text.strip()
    if not text:
        raise CliError(f"No {what} came on standard input.", code="secret_missing")
    if len(text) > 65_536 or ("\n" in text and not lines):
        raise CliError(f"The {what} on standard input must be one line.", code="secret_malformed")
    return text
