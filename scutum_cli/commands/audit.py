"""`scutum audit`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scutum_cli import errors, options, output
from scutum_cli.client import audit as client
from scutum_cli.commands import audit_export, audit_proof, present
from scutum_cli.errors import CliError
from scutum_cli.options import examples, listing
from scutum_cli.render import audit
from scutum_cli.render.columns import arrange

if TYPE_CHECKING:
    from scutum_cli.client.types import AuditLog

app = typer.Typer(
    help="Who did what, and the proof that nobody changed the record of it.",
    epilog=examples(
        "scutum audit list", "scutum audit query --actor ann@example.com --since 7d", "scutum audit verify"
    ),
)
Actor = Annotated[str | None, typer.Option("--actor", metavar="WHO", help="An id, or an e-mail address.")]
Action = Annotated[str | None, typer.Option("--action", metavar="ACTION", help="Such as key.revoke.")]
Type = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Kind of the thing, such as key.")]
Resource = Annotated[str | None, typer.Option("--resource", metavar="ID", help="The id of the thing.")]
Org = Annotated[str | None, typer.Option("--org", metavar="ORG", help="Id or name; global for what has no org.")]
Source = Annotated[str | None, typer.Option("--source", metavar="WAY", help="cli, tui, api, sre-agent or system.")]
Outcome = Annotated[str | None, typer.Option("--outcome", metavar="HOW", help="success or denied.")]
Text = Annotated[str | None, typer.Option("--text", metavar="TEXT", help="Anywhere in the row; slower.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="24h, 30d, or an ISO time.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="The same forms; rows before it.")]
Export = Annotated[
    str | None,
    typer.Option("--export", metavar="FILE", help="All of it into FILE.csv, .json or .parquet."),
]
Count = Annotated[bool, typer.Option("--count", help="Only how many there are.")]
FILTERS = ("actor", "action", "resource_type", "resource_id", "org", "source", "outcome")
_OVERLAP_SECONDS = 10
_POLL_SECONDS = 2.0


@app.command(
    "list", epilog=examples("scutum audit list", "scutum audit list --limit 20 --columns timestamp,actor,change")
)
@listing
def list_() -> None:
    """List what was done last, newest first."""
    _show(client.connect(), {})


@app.command(
    epilog=examples(
        "scutum audit query --actor ann@example.com --since 7d",
        "scutum audit query --action key.revoke --outcome denied",
        "scutum audit query --resource key_01j9c0x4 --columns timestamp,actor,action,change",
        "scutum audit query --since 2026-01-01 --until 2026-04-01 --export q1.parquet",
    )
)
@listing
def query(
    actor: Actor = None,
    action: Action = None,
    type_: Type = None,
    resource: Resource = None,
    org: Org = None,
    source: Source = None,
    outcome: Outcome = None,
    text: Text = None,
    since: Since = None,
    until: Until = None,
    export: Export = None,
    count: Count = False,
) -> None:
    """Find what was done: by whom, to what, when; in the database and in the archives alike."""
    server = client.connect()
    wanted = _wanted(server, actor, action, type_, resource, org, source, outcome, text) | {
        "since": since,
        "until": until,
    }
    if count:
        found = server.count({name: value for name, value in wanted.items() if name != "text" or value})
        output.emit_object({"count": found}, [("rows", f"{found:,}")])
        return
    if export is not None:
        audit_export.write(server, wanted, export, options.view.limit)
        return
    _show(server, wanted)


@app.command(
    epilog=examples("scutum audit tail", "scutum audit tail -f --action key.create", "scutum audit tail -f -o json")
)
def tail(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until interrupted.")] = False,
    lines: Annotated[str | None, typer.Option("-n", "--lines", metavar="N", help="So many at first (20).")] = None,
    actor: Actor = None,
    action: Action = None,
    type_: Type = None,
    resource: Resource = None,
    org: Org = None,
    source: Source = None,
    outcome: Outcome = None,
    text: Text = None,
) -> None:
    """Show the last rows, the newest at the end, one a line."""
    server = client.connect()
    wanted = _wanted(server, actor, action, type_, resource, org, source, outcome, text)
    count = options.whole(lines, "--lines", low=1, high=10_000) if lines else 20
    for row in _follow(server, wanted, count) if follow else _last(server, wanted, count):
        if output.style.format == "table":
            output.emit_words(audit.line(row, present.face()))
        else:
            output.emit_text(json.dumps(row, ensure_ascii=False))


audit_proof.mount(app)


def _wanted(
    server: client.AuditApi,
    actor: str | None,
    action: str | None,
    type_: str | None,
    resource: str | None,
    org: str | None,
    source: str | None,
    outcome: str | None,
    text: str | None,
) -> dict[str, str | None]:
    return {
        "actor": actor, "action": action, "resource_type": type_, "resource_id": resource,
        "org": None if org is None else server.org_id(org), "source": source, "outcome": outcome, "text": text,
    }  # fmt: skip


def _show(server: client.AuditApi, wanted: dict[str, str | None]) -> None:
    view = options.view
    for name, value in view.filters:
        if name not in FILTERS:
            raise CliError(
                f"The audit trail cannot be filtered by {name!r}.", hint=f"--filter knows {', '.join(FILTERS)}"
            )
        wanted = wanted | {name: server.org_id(value) if name == "org" else value}
    if view.sort not in {None, "timestamp"} or (view.sort and not view.descending):
        raise CliError("The audit trail is in the order of time, newest first.", hint="sort an --export")
    view.filters.clear()
    limit = None if view.everything else view.limit or options.DEFAULT_LIMIT
    rows: list[Any] = []
    following = None
    for page, cursor in server.pages(wanted, limit):
        rows, following = rows + page, cursor
    table = arrange(rows, audit.COLUMNS, view, present.face())
    output.emit_list(
        [dict(zip(table.names, row, strict=True)) for row in table.raw] if view.columns else table.items,
        table.headers,
        table.rows,
        next_cursor=following,
        empty="Nothing like that was done.",
        right=table.right,
        csv_headers=table.names,
        csv_rows=table.raw,
        spare=audit.SPARE,
    )


def _last(server: client.AuditApi, wanted: dict[str, str | None], count: int) -> list[AuditLog]:
    rows = [row for page, _ in server.pages(wanted, count) for row in page]
    return rows[::-1]


def _follow(server: client.AuditApi, wanted: dict[str, str | None], count: int) -> Iterator[AuditLog]:
    """The last rows, then those that come. Rows of several orgs may come a little out of order: hence the overlap."""
    seen: dict[str, None] = {}
    rows = _last(server, wanted, count)
    since: str | None = None
    while True:
        for row in rows:
            if row["id"] not in seen:
                yield row
            seen[row["id"]] = None
        for old in list(seen)[:-10_000]:
            del seen[old]
        time.sleep(_POLL_SECONDS)
        since = f"{_OVERLAP_SECONDS + int(_POLL_SECONDS)}s"
        try:
            rows = [row for page, _ in server.pages(wanted | {"since": since}, None) for row in page][::-1]
        except CliError as error:
            if error.exit_code != errors.UNREACHABLE:
                raise
            output.complain(f"{error.message} Trying again.")
            rows = []
