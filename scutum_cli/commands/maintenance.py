"""`scutum maintenance`."""

from __future__ import annotations

from typing import Annotated

import typer

from scutum_cli import options, output
from scutum_cli.client import api
from scutum_cli.options import DryRun, examples

app = typer.Typer(
    help="Let no new requests in while something is mended; those in flight are finished.",
    epilog=examples("scutum maintenance on --retry-after 5m", "scutum maintenance status", "scutum maintenance off"),
)
ENABLED, RETRY_AFTER = "maintenance.enabled", "maintenance.retry_after_seconds"


@app.command(epilog=examples("scutum maintenance on", "scutum maintenance on --retry-after 5m"))
def on(
    retry_after: Annotated[
        str | None, typer.Option("--retry-after", help="When clients may try again (60s).", metavar="5m")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Answer 503 with Retry-After to all new requests but health checks, within a second on every proxy."""
    seconds = None if retry_after is None else round(options.seconds(retry_after, "--retry-after"))
    if dry_run:
        output.preview("switch maintenance on", {"enabled": True, "retry_after_seconds": seconds})
        return
    server = api.connect()
    if seconds is not None:
        server.set_setting(RETRY_AFTER, {"value": seconds})
    server.set_setting(ENABLED, {"value": True})
    state = _state(server)
    wait = state["retry_after_seconds"]
    output.changed(state, f"Maintenance is on: new requests get 503 with Retry-After {wait} s.")


@app.command(epilog=examples("scutum maintenance off"))
def off(dry_run: DryRun = False) -> None:
    """Take requests again."""
    if dry_run:
        output.preview("switch maintenance off", {"enabled": False})
        return
    server = api.connect()
    server.set_setting(ENABLED, {"value": False})
    output.changed(_state(server), "Maintenance is off.")


@app.command(epilog=examples("scutum maintenance status -o json"))
def status() -> None:
    """Show whether maintenance is on, and since when."""
    state = _state(api.connect())
    if output.style.format != "table":
        output.emit_object(state)
    elif state["enabled"]:
        output.emit_text(f"on since {state['since']}, Retry-After {state['retry_after_seconds']} s")
    else:
        output.emit_text("off")


def _state(server: api.Api) -> dict[str, object]:
    known = {setting["key"]: setting for setting in server.settings()["items"]}
    enabled = bool(known[ENABLED]["value"])
    return {
        "enabled": enabled,
        "retry_after_seconds": known[RETRY_AFTER]["value"],
        "since": known[ENABLED].get("updated_at") if enabled else None,
    }
