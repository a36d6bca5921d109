"""scutum status."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from scutum_cli import options, output

if TYPE_CHECKING:
    from scutum_cli.host.overview import Overview

app = typer.Typer()
_COLORS = {"healthy": "green", "degraded": "yellow", "down": "red"}


@app.command(
    epilog=options.examples("scutum status", "scutum status -o json  # exit code 0 healthy, 1 degraded, 7 down")
)
def status(home: options.Home = None) -> None:
    """Show in one look whether the gateway is healthy."""
    from scutum_cli.host import overview
    from scutum_cli.host.layout import installed

    seen = overview.look(installed(home))
    if output.style.format == "table":
        _show(seen)
    else:
        output.emit_object(seen.as_json())
    raise typer.Exit(overview.EXIT_CODES[seen.word])


def _show(seen: Overview) -> None:
    from scutum_cli.host import words
    from scutum_cli.render import licenses
    from scutum_cli.render.text import money, plural

    output.emit_text(f"{output.paint(seen.word, _COLORS[seen.word])}   Scutum {seen.version or '?'} in {seen.home}")
    output.emit_text("")
    for service in seen.services:
        up = words.duration(time.time() - service.since) if service.since is not None else "-"
        again = plural(service.restarts, "restart")
        restarts = f"   {again}, last {words.ago(service.last_at)}" if service.last_at is not None else ""
        where = f"external, {service.external}" if service.external else up
        output.emit_text(f"  {service.name:<10} {service.state:<12} {where:<10}{restarts}".rstrip())
    output.emit_text("")
    output.emit_text(f"  proxy   {seen.proxy_url}")
    output.emit_text(f"  admin   {seen.admin_url}")
    if seen.schema:
        output.emit_text(f"  schema  {seen.schema.get('current') or 'unknown'}")
    if seen.today is not None:
        failed = f", {seen.today['errors']} failed" if seen.today.get("errors") else ""
        output.emit_text(
            f"  today   {plural(seen.today.get('requests') or 0, 'request')}{failed},"
            f" {money(seen.today.get('cost_usd') or '0')}"
        )
    if seen.license is not None:
        output.emit_text(f"  licence {licenses.words(seen.license)}")
    for finding in seen.findings:
        output.emit_text(f"  {output.paint('!', 'yellow')} {finding}")
    if seen.hints:
        output.emit_text("")
        for hint in seen.hints:
            output.say(f"next: {hint}")
