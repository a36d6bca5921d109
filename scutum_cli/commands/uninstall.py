"""scutum uninstall."""

from __future__ import annotations

from typing import Annotated

import typer

from scutum_cli import options, output

app = typer.Typer()


@app.command(
    epilog=options.examples(
        "scutum uninstall --dry-run             # what would go",
        "scutum uninstall                       # data and configuration stay",
        "scutum uninstall --delete-data --yes   # nothing stays, nothing is asked",
    )
)
def uninstall(
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Also delete the database, secrets, backups and logs.")
    ] = False,
    home: options.Home = None,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
) -> None:
    """Stop everything and remove this install; data and configuration stay unless told twice."""
    from scutum_cli.host import config, removal, services
    from scutum_cli.host.layout import installed

    layout = installed(home)
    doomed = removal.plan(layout, delete_data=delete_data)
    output.say(f"Removes from {layout.home}: {', '.join(doomed)}")
    if not delete_data:
        output.say("Keeps: config, data, backups, logs; install again with the same --home to go on with them.")
    for name, place in services.external(config.load(layout.yaml_file)).items():
        output.say(f"Leaves the external {name} at {place} as it is.")
    if dry_run:
        if output.style.format != "table":
            output.emit_object(
                {"dry_run": True, "home": str(layout.home), "delete_data": delete_data, "removes": doomed}
            )
        output.say("Nothing was changed (--dry-run).")
        return
    output.confirm(f"Stop and remove the install in {layout.home}?", yes=yes)
    if delete_data:
        output.confirm(f"Delete all data in {layout.home} for good, backups too?", yes=yes)
    left = removal.remove(layout, delete_data=delete_data)
    output.done(f"Removed the install in {layout.home}.")
    if left:
        output.say(f"Left alone, because it is not this install's or still used: {', '.join(left)}")
