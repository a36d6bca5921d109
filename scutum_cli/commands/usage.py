"""`scutum usage`."""

from __future__ import annotations

from typing import Annotated

import typer

from scutum_cli import options, output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import examples, listing
from scutum_cli.render import usage
from scutum_cli.render.columns import arrange

app = typer.Typer()


@app.command(
    epilog=examples(
        "scutum usage",
        "scutum usage --by team,model --since 30d",
        "scutum usage --by key --since 2026-01-01 --until 2026-02-01 -o csv > january.csv",
    )
)
@listing
def usage_(
    by: Annotated[
        str | None, typer.Option("--by", metavar="DIM", help="model, team, key or provider; two with a comma.")
    ] = None,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="24h, 30d, or an ISO time.")] = "24h",
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="The same forms; default now.")] = None,
) -> None:
    """Show requests, tokens and cost, dearest first."""
    dimensions = options.names(by, "--by") if by is not None else ["model"]
    for name in dimensions:
        if name not in usage.DIMENSIONS:
            raise CliError(f"--by knows {', '.join(usage.DIMENSIONS)}, not {name!r}.")
    view = options.view
    report = api.connect().usage(by=",".join(dimensions), since=since, until=until, limit=view.to_fetch)
    table = arrange(report["items"], usage.columns(dimensions), view, present.face())
    if output.style.format in {"json", "yaml"}:
        output.emit_object({**report, "items": table.items})
        return
    output.emit_list(
        table.items,
        table.headers,
        table.rows,
        next_cursor=report["next"],
        empty="No requests in this time. Send one: scutum chat hello",
        right=table.right,
        csv_headers=table.names,
        csv_rows=table.raw,
    )
    if output.style.format == "table" and table.rows:
        output.say(usage.summary(report, present.face()))
