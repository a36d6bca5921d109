"""`scutum archives`."""

from __future__ import annotations

from typing import Annotated

import typer

from scutum_cli import errors, options, output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import archives
from scutum_cli.render.text import plural

app = typer.Typer(
    help="Months of the audit trail and of spend that went into the object store.",
    epilog=examples("scutum archives status", "scutum archives list", "scutum archives run --dry-run"),
)
Ref = Annotated[str, typer.Argument(metavar="ARCHIVE", help="Id, or a unique part of it.")]


@app.command("list", epilog=examples("scutum archives list", "scutum archives list --filter table=audit_logs --all"))
@listing
def list_() -> None:
    """List the archived months, youngest first."""
    empty = "Nothing was archived yet. What is next: scutum archives status"
    present.show_list(api.connect().archives, archives.COLUMNS, empty=empty, spare=archives.SPARE)


@app.command(epilog=examples("scutum archives show arc_0k3v"))
def show(archive: Ref) -> None:
    """Show one archive: where it is and what it holds."""
    present.show_one(api.connect().archive(archive), archives.DETAILS)


@app.command(epilog=examples("scutum archives status", "scutum archives status -o json"))
def status() -> None:
    """Show where archives go and when, how long rows stay in the database, and what is due."""
    present.show_one(api.connect().archive_status(), archives.STATUS)


@app.command(epilog=examples("scutum archives run --dry-run", "scutum archives run"))
def run(dry_run: DryRun = False) -> None:
    """Archive every month that is due, now and not at night."""
    found = api.connect().run_archives(dry_run=dry_run)
    months = found["months"]
    if dry_run:
        output.preview(f"archive {archives.oldest(months)}" if months else "archive nothing: no month is due", found)
    elif found["running"]:
        output.changed(found, "Archiving is under way already. Look at: scutum archives list")
    elif months:
        output.changed(found, f"Archiving {archives.oldest(months)}. Look at: scutum archives list")
    else:
        output.changed(found, "No month is due.")


@app.command(
    epilog=examples(
        "scutum archives verify arc_0k3v", "scutum archives verify --all  # exit code 1 if one is not whole"
    )
)
def verify(
    archive: Annotated[str | None, typer.Argument(metavar="ARCHIVE", help="Id, or a unique part of it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every archive.")] = False,
) -> None:
    """Read archives whole and compare them with what was noted when they were made."""
    if (archive is None) is not everything:
        raise CliError("Name an archive, or take --all.", hint="scutum archives list")
    server = api.connect()
    chosen = server.archives(None)["items"] if archive is None else [server.archive(archive)]
    chosen = [found for found in chosen if found["state"] == "verified"] if archive is None else chosen
    checked = []
    for found in chosen:
        outcome = server.verify_archive(found["id"])
        name = f"{found['table']} {archives.month(found)}"
        checked.append({"id": found["id"], "archive": name, **outcome})
        if output.style.format == "table":
            words = "whole" if outcome["ok"] else output.paint(f"damaged: {outcome['detail']}", "red")
            output.emit_text(f"{name} ({found['id']}): {words}")
    if output.style.format != "table":
        rows = [
            [str(item["archive"]), "yes" if item["ok"] else "no", str(item["detail"] or ""), str(item["id"])]
            for item in checked
        ]
        output.emit_list(checked, ["ARCHIVE", "OK", "DETAIL", "ID"], rows, next_cursor=None, empty="")
    bad = sum(not item["ok"] for item in checked)
    if not checked:
        output.say("Nothing was archived yet.")
    elif not bad:
        output.done(f"{plural(len(checked), 'archive')} whole.")
    raise typer.Exit(errors.FINDINGS if bad else errors.OK)


@app.command(epilog=examples("scutum archives probe"))
def probe() -> None:
    """Try whether the object store really keeps a locked object; some accept a lock and ignore it."""
    found = api.connect().probe_archives()
    word = "The retention lock holds" if found["enforced"] else "There is no retention lock"
    output.changed(found, f"{word} at {found['url']}: {found['reason']}.")


@app.command(epilog=examples("scutum archives confirm 30"))
def confirm(
    days: Annotated[str, typer.Argument(metavar="DAYS", help="What the licence gives, as archives status says.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Let the fewer days of a lesser licence come into force: older months leave the database at night."""
    wanted = options.whole(days, "DAYS", low=1, high=36_500)
    if dry_run:
        output.preview(f"keep rows for {wanted} days in the database")
        return
    output.confirm(f"Keep rows for only {wanted} days in the database? Older months are archived.", yes=yes)
    found = api.connect().confirm_retention({"days": wanted})
    output.changed(found, f"Rows stay {found['days']} days in the database.")
