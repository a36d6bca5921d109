"""The only writer of stdout (data) and stderr (words)."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scutum_cli.errors import CliError

FORMATS = ("table", "json", "yaml", "csv")


@dataclass(slots=True)
class Style:
    """How this run speaks: set once by the options, read by the functions below."""

    format: str = "table"
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    color: bool = False
    progress: bool = True
    utc: bool = False
    context: str | None = None


style = Style(color=not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")

# Control characters in data could steer the terminal: people see a mark instead, programs get the data as it is.
_VISIBLE = dict.fromkeys((*range(32), *range(127, 160)), "�") | {9: " ", 10: " ", 13: " "}
_VISIBLE_TEXT = {code: mark for code, mark in _VISIBLE.items() if code not in {9, 10}}
_LAST_COLUMN = 24
_COLORS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


def prepare() -> None:
    """Makes the streams fit to be written to: a closed one swallows, a narrow encoding replaces."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (for the rest of the process)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def paint(text: str, color: str, *, err: bool = False) -> str:
    """`text` in a colour where stdout (or stderr) is a terminal; the text itself must say what the colour says."""
    stream = sys.stderr if err else sys.stdout
    return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if style.color and stream.isatty() else text


def say(text: str) -> None:
    """One line for people, on stderr; nothing with --quiet."""
    if not style.quiet:
        print(text, file=sys.stderr)


def complain(text: str) -> None:
    """Words that even --quiet lets through, on stderr."""
    print(text, file=sys.stderr)


def verbose(text: str) -> None:
    """One line for the curious, on stderr; only with --verbose or --debug."""
    if style.verbose or style.debug:
        print(paint(text, "dim", err=True), file=sys.stderr)


def live(text: str | None) -> None:
    """One line on stderr that the next one takes the place of, on a terminal only; None takes it away."""
    if style.progress and not style.quiet and sys.stderr.isatty():
        room = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[2K{(text or '')[:room]}")
        sys.stderr.flush()


def done(text: str) -> None:
    """The one line that a successful change prints; in JSON mode the data says it instead."""
    if style.format == "table":
        say(text)


def changed(item: Mapping[str, Any], text: str) -> None:
    """What a successful change prints: one line for people, or the changed object in the other formats."""
    if style.format == "table":
        say(text)
    else:
        emit_object(item)


def preview(text: str, body: Any = None, result: Mapping[str, Any] | None = None) -> None:
    """What --dry-run prints: what would be done, as a line for people or as data; `result` is what would be then."""
    if style.format == "table":
        emit_text(f"would {text}")
    else:
        outcome = {} if result is None else {"result": result}
        emit_object({"dry_run": True, "would": text, "request": body, **outcome})


@contextmanager
def in_place() -> Iterator[None]:
    """Shows what is written to stdout over what stood there, at once; as it is where that is no terminal."""
    if not sys.stdout.isatty():
        yield
        return
    terminal, page = sys.stdout, io.StringIO()
    page.isatty = terminal.isatty  # type: ignore[method-assign]
    sys.stdout = page
    try:
        yield
    finally:
        sys.stdout = terminal
    terminal.write("\x1b[H\x1b[2J" + page.getvalue())
    terminal.flush()


def emit_object(item: Mapping[str, Any], rows: Sequence[tuple[str, str]] | None = None) -> None:
    """One object: itself in json and yaml, one csv row, or `rows` of (label, text) as a table."""
    if style.format == "json":
        _print_json(item)
    elif style.format == "yaml":
        _print_yaml(item)
    elif style.format == "csv":
        _print_csv(list(item), [[_raw(value) for value in item.values()]])
    else:
        pairs = rows if rows is not None else [(key, _cell(value)) for key, value in item.items()]
        width = max((len(label) for label, _ in pairs), default=0)
        for label, text in pairs:
            print(f"{label:<{width}}  {text.translate(_VISIBLE)}".rstrip())


def emit_list(
    items: Sequence[Mapping[str, Any]],
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    next_cursor: str | None = None,
    empty: str = "Nothing here yet.",
    right: Iterable[str] = (),
    csv_headers: Sequence[str] | None = None,
    csv_rows: Sequence[Sequence[Any]] | None = None,
    spare: Sequence[str] = (),
) -> None:
    """A list: `{"items", "next"}` in json and yaml, csv with the headers in lower case, or an aligned table.

    `empty` is said on stderr for an empty table and names the way to make the first row; `right` names the headers
    whose cells are numbers, `spare` those that a narrow terminal does without, the first one first. `csv_headers` and
    `csv_rows` take their place in csv, where cells carry raw values.
    """
    if style.format == "json":
        _print_json({"items": list(items), "next": next_cursor})
    elif style.format == "yaml":
        _print_yaml({"items": list(items), "next": next_cursor})
    elif style.format == "csv":
        names = csv_headers or [header.lower().replace(" ", "_") for header in headers]
        _print_csv(names, [[_raw(cell) for cell in row] for row in (rows if csv_rows is None else csv_rows)])
    elif not rows:
        say(empty)
    else:
        _print_table(headers, rows, frozenset(right), spare)
        if next_cursor:
            say("There is more: --all shows it, or --limit N so many.")


def emit_text(text: str, *, end: str = "\n") -> None:
    """Plain data of our own, such as a path or a key; flushed at once."""
    print(text, end=end, flush=True)


def emit_words(text: str, *, end: str = "\n") -> None:
    """Somebody else's words, such as a model's, flushed at once; they cannot steer a terminal."""
    emit_text(text.translate(_VISIBLE_TEXT) if sys.stdout.isatty() else text, end=end)


def fail(error: CliError) -> int:
    """Says the error in at most three lines on stderr, or as JSON; returns the exit code."""
    if style.format == "json":
        body = {
            "code": error.code,
            "message": error.message if not error.why else f"{error.message} {error.why}",
            "hint": error.hint,
            "request_id": error.request_id,
        }
        print(json.dumps({"error": body}, ensure_ascii=False), file=sys.stderr)
        return error.exit_code
    first = f"{paint('error:', 'red', err=True)} {error.message.translate(_VISIBLE)}"
    if error.request_id:
        first += f" (request {error.request_id})"
    why = error.why.translate(_VISIBLE) if error.why else None
    hint = f"next: {error.hint.translate(_VISIBLE)}" if error.hint else None
    for line in (first, why, hint):
        if line:
            print(line, file=sys.stderr)
    return error.exit_code


def confirm(question: str, *, yes: bool, flag: str = "--yes") -> None:
    """Asks on a terminal; without one, fails with exit code 2 and names the flag that answers."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CliError(f"{question} needs an answer.", code="answer_needed", hint=f"add {flag} to answer yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CliError("Nothing was changed.", code="declined")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):
        return json.dumps(value) if value else "-"
    return str(value)


def _raw(value: Any) -> str:
    """A csv cell for a machine: nothing for null, lower-case booleans, JSON for what is nested."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def _print_yaml(data: Any) -> None:
    import yaml

    print(yaml.safe_dump(json.loads(json.dumps(data, default=str)), sort_keys=False, allow_unicode=True), end="")


def _print_csv(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows(rows)


def _print_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[str], spare: Sequence[str]
) -> None:
    rows = [[cell.translate(_VISIBLE) for cell in row] for row in rows]
    widths = [max(len(header), *(len(row[at]) for row in rows)) for at, header in enumerate(headers)]
    if sys.stdout.isatty():
        kept = _kept(headers, widths, spare, shutil.get_terminal_size().columns)
        headers, widths = [headers[at] for at in kept], [widths[at] for at in kept]
        rows = [[row[at] for at in kept] for row in rows]
        _narrow(widths, shutil.get_terminal_size().columns)

    def line(cells: Sequence[str]) -> str:
        shown = [
            cell if len(cell) <= width else cell[: width - 1] + "…" for cell, width in zip(cells, widths, strict=True)
        ]
        return "  ".join(
            f"{cell:>{width}}" if header in right else f"{cell:<{width}}"
            for cell, width, header in zip(shown, widths, headers, strict=True)
        ).rstrip()

    print(paint(line(headers), "bold"))
    for row in rows:
        print(line(row))


def _kept(headers: Sequence[str], widths: Sequence[int], spare: Sequence[str], terminal: int) -> list[int]:
    """The columns to show: without those of `spare` that must go for the others to fit, cut a little."""
    kept = list(range(len(headers)))
    for name in spare:
        # The last column may be long and is cut; all others are to stay whole.
        if sum(widths[at] for at in kept[:-1]) + 2 * len(kept) + _LAST_COLUMN <= terminal:
            break
        kept = [at for at in kept if headers[at] != name]
    return kept


def _narrow(widths: list[int], terminal: int) -> None:
    """Shrinks columns until they fit, the widest first and the names in the first column last."""
    for candidates, least in ((range(1, len(widths)), 12), (range(1), 16), (range(len(widths)), 6)):
        while candidates and sum(widths) + 2 * (len(widths) - 1) > terminal:
            widest = max(candidates, key=widths.__getitem__)
            if widths[widest] <= least:
                break
            widths[widest] -= 1
