"""`scutum keys`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scutum_cli import options, output, settings
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import keys
from scutum_cli.render.text import clock

if TYPE_CHECKING:
    from scutum_cli.client.types import IssuedKey, KeyCreate, KeyRotate, KeyUpdate

app = typer.Typer(
    help="The keys that clients authenticate with. A key itself is shown once, when it is made.",
    epilog=examples("scutum keys create my-app --team search --expires 30d", "scutum keys rotate my-app --overlap 1h"),
)
Key = Annotated[str, typer.Argument(metavar="KEY", help="Id or name; never the key itself.")]
Use = Annotated[bool, typer.Option("--use", help="Keep it in the context, for scutum chat.")]


@app.command("list", epilog=examples("scutum keys list --filter state=active", "scutum keys list --team search"))
@listing
def list_(
    team: Annotated[str | None, typer.Option("--team", metavar="TEAM", help="Only the keys of this team.")] = None,
) -> None:
    """List the keys, without their secrets."""
    server = api.connect()
    empty = "No keys yet. Make one: scutum keys create NAME"
    present.show_served(
        "keys", lambda limit, **asked: server.keys(limit, **{"team": team, **asked}), keys.COLUMNS, empty=empty
    )


@app.command(epilog=examples("scutum keys show my-app"))
def show(key: Key) -> None:
    """Show one key: what it may do and until when."""
    present.show_one(api.connect().key(key), keys.DETAILS)


@app.command(
    epilog=examples(
        "scutum keys create my-app",
        "scutum keys create ci --team search --expires 30d --models fast,smart",
        "export OPENAI_API_KEY=$(scutum keys create laptop --quiet)",
    )
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    team: Annotated[str | None, typer.Option("--team", metavar="TEAM", help="The team that pays.")] = None,
    expires: Annotated[str | None, typer.Option("--expires", metavar="30d", help="How long it lives.")] = None,
    models: Annotated[list[str] | None, typer.Option("--models", metavar="A,B", help="Only these models.")] = None,
    routes: Annotated[
        list[str] | None, typer.Option("--routes", metavar="PATH,…", help="Only these paths, such as /v1/models.")
    ] = None,
    ips: Annotated[
        list[str] | None, typer.Option("--ips", metavar="NET,…", help="Only from these addresses or networks.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="WHO", help="Who answers for it.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE", help="A note; may be repeated.")
    ] = None,
    use: Use = False,
    dry_run: DryRun = False,
) -> None:
    """Create a key and print it, once."""
    body: KeyCreate = {"name": name}
    if team is not None:
        body["team"] = team
    if owner is not None:
        body["owner"] = owner
    if expires is not None:
        body["expires_in"] = options.seconds(expires, "--expires")
    if models:
        body["allowed_models"] = _split(models, "--models")
    if routes:
        body["allowed_routes"] = _split(routes, "--routes")
    if ips:
        body["allowed_ips"] = _split(ips, "--ips")
    if metadata:
        body["metadata"] = options.pairs(metadata, "--metadata")
    issued = api.connect(dry_run=dry_run).create_key(body)
    if dry_run:
        output.preview(f"create the key {name}", body, issued)
        return
    _hand_over(issued, f"Key {issued['name']} created ({issued['id']}); it is shown this once.", use=use)


@app.command(
    epilog=examples(
        "scutum keys update my-app --models fast,smart --expires 90d",
        "scutum keys update my-app --owner none --models none",
    )
)
def update(
    key: Key,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="30d", help="How long it lives from now; none: for ever.")
    ] = None,
    models: Annotated[list[str] | None, typer.Option("--models", metavar="A,B", help="Only these; none: all.")] = None,
    routes: Annotated[
        list[str] | None, typer.Option("--routes", metavar="PATH,…", help="Only these paths; none: all.")
    ] = None,
    ips: Annotated[
        list[str] | None, typer.Option("--ips", metavar="NET,…", help="Only from these; none: from everywhere.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="WHO", help="Who answers for it; none.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Change what a key may do and until when; it holds within a second."""
    body: KeyUpdate = {}
    if name is not None:
        body["name"] = name
    if owner is not None:
        body["owner"] = None if owner == "none" else owner
    if expires == "none":
        body["expires_at"] = None
    elif expires is not None:
        body["expires_in"] = options.seconds(expires, "--expires")
    if models:
        body["allowed_models"] = None if models == ["none"] else _split(models, "--models")
    if routes:
        body["allowed_routes"] = None if routes == ["none"] else _split(routes, "--routes")
    if ips:
        body["allowed_ips"] = None if ips == ["none"] else _split(ips, "--ips")
    if not body:
        raise CliError("Nothing to change was given.", hint="scutum keys update --help")
    changed = api.connect(dry_run=dry_run).update_key(key, body)
    if dry_run:
        output.preview(f"update the key {key}", body, changed)
        return
    output.changed(changed, f"Key {changed['name']} updated.")


@app.command(epilog=examples("scutum keys delete my-app"))
def delete(key: Key, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Revoke a key and forget it, with its limits and budgets; its spend stays in the reports."""
    server = api.connect(dry_run=dry_run)
    found = server.key(key)
    if not dry_run:
        output.confirm(f"Delete the key {found['name']} of team {found['team']}?", yes=yes)
    server.delete_key(found["id"])
    if dry_run:
        output.preview(f"delete the key {found['name']} ({found['id']})")
        return
    output.changed({"id": found["id"], "deleted": True}, f"Key {found['name']} deleted.")


@app.command(epilog=examples("scutum keys revoke my-app"))
def revoke(key: Key, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Revoke a key for good: within a second no proxy accepts it."""
    server = api.connect(dry_run=dry_run)
    found = server.key(key)
    if not dry_run:
        output.confirm(f"Revoke the key {found['name']} of team {found['team']}?", yes=yes)
    revoked = server.revoke_key(found["id"])
    if dry_run:
        output.preview(f"revoke the key {found['name']} ({found['id']})", None, revoked)
        return
    output.changed(revoked, f"Key {revoked['name']} revoked.")


@app.command(epilog=examples("scutum keys rotate my-app --overlap 10m  # both secrets open for ten minutes"))
def rotate(
    key: Key,
    overlap: Annotated[
        str | None, typer.Option("--overlap", metavar="10m", help="How long the former secret still opens.")
    ] = None,
    use: Use = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Give a key a new secret and print it, once."""
    kept = 0 if overlap in {None, "0"} else options.seconds(str(overlap), "--overlap")
    body: KeyRotate = {} if overlap is None else {"overlap_seconds": kept}
    server = api.connect()
    found = server.key(key)
    if dry_run:
        output.preview(f"give the key {found['name']} ({found['id']}) a new secret", body)
        return
    if not kept:
        output.confirm(
            f"Rotate the key {found['name']}? Clients that hold the former secret may stop working.", yes=yes
        )
    issued = server.rotate_key(found["id"], body)
    until = issued["previous_valid_until"]
    former = f"opens until {clock(until, present.face())}" if until else "no longer opens"
    _hand_over(issued, f"Key {issued['name']} rotated; the new one is shown this once, the former {former}.", use=use)


def _hand_over(issued: IssuedKey, words: str, *, use: bool) -> None:
    """The secret alone goes to stdout, so that it can be piped; in the other formats it is a field of the object."""
    if output.style.format == "table":
        output.emit_text(issued["key"])
        output.say(words)
    else:
        output.emit_object(issued)
    if use:
        settings.remember(settings.load().current.name, key=issued["key"])


def _split(values: list[str], flag: str) -> list[str]:
    return [name for value in values for name in options.names(value, flag)]
