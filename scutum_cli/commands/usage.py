"""`scutum usage`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scutum_cli import export, options, output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import examples, listing
from scutum_cli.render import usage
from scutum_cli.render.columns import arrange
from scutum_cli.render.text import plural

if TYPE_CHECKING:
    from scutum_cli.client.types import UsageReport

app = typer.Typer()


@app.command(
    epilog=examples(
        "scutum usage",
        "scutum usage --by team,model --since 30d --trend",
        "scutum usage --by day --since 2w --team search",
        "scutum usage --by team,day --since 2026-01-01 --until 2026-02-01 --export january.parquet",
    )
)
@listing
def usage_(
    by: Annotated[
        str | None, typer.Option("--by", metavar="DIM", help=f"{', '.join(usage.DIMENSIONS)}; two with a comma.")
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="24h; from midnight 30d or a date; an ISO time.")
    ] = "24h",
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="The same forms; default now.")] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", metavar="ZONE", help="Whose days, as Europe/Berlin; default the org's.")
    ] = None,
    trend: Annotated[bool, typer.Option("--trend", help="Compare with the period before.")] = False,
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Only of this org.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", metavar="UNIT", help="Only of this unit.")] = None,
    team: Annotated[str | None, typer.Option("--team", metavar="TEAM", help="Only of this team.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help="Only of this key.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="WHO", help="Only of this user.")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Only of this model.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", metavar="NAME", help="Only of this provider.")] = None,
    route: Annotated[
        str | None, typer.Option("--route", metavar="ROUTE", help="Only of this one, as /v1/embeddings.")
    ] = None,
    export_: Annotated[
        str | None,
        typer.Option("--export", metavar="FILE", help="Write all of it to FILE.csv, FILE.json or FILE.parquet."),
    ] = None,
) -> None:
    """Show requests, tokens and cost: dearest first, or day by day."""
    dimensions = options.names(by, "--by") if by is not None else ["model"]
    for name in dimensions:
        if name not in usage.DIMENSIONS:
            raise CliError(f"--by knows {', '.join(usage.DIMENSIONS)}, not {name!r}.")
    target = export.checked(export_) if export_ is not None else None
    view = options.view
    asked = {
        "by": ",".join(dimensions), "since": since, "until": until, "zone": zone, "trend": "true" if trend else None,
        "org": org, "unit": unit, "team": team, "key": key, "user": user, "model": model, "provider": provider,
        "route": route,
    }  # fmt: skip
    report = api.connect().usage(asked, limit=view.to_fetch if target is None else view.to_show)
    if target is not None:
        export.write(target, usage.fields(dimensions, trend=trend), usage.flat(report["items"]), report)
        output.done(f"{plural(len(report['items']), 'row')} in {target}: {usage.summary(report, present.face())}")
        _warn(report)
        return
    _show(report, dimensions)


def _show(report: UsageReport, dimensions: list[str]) -> None:
    view = options.view
    columns = usage.columns(dimensions, trend="before" in report)
    table = arrange(report["items"], columns, view, present.face())
    if output.style.format in {"json", "yaml"}:
        output.emit_object({**report, "items": table.items})
        return
    rows = table.rows
    if rows and not view.filters and not view.columns:
        rows = [*rows, usage.total_row(report, columns, present.face())]
    output.emit_list(
        table.items,
        table.headers,
        rows,
        next_cursor=report["next"],
        empty="No requests in this time. Send one: scutum chat hello",
        right=table.right,
        csv_headers=table.names,
        csv_rows=table.raw,
        spare=usage.SPARE,
    )
    if output.style.format == "table" and rows:
        output.say(usage.summary(report, present.face()))
    _warn(report)


def _warn(report: UsageReport) -> None:
    for text in usage.warnings(report, present.face()):
        output.say(text)
