"""`scutum context`."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

import typer

from scutum_cli import options, output, settings
from scutum_cli.commands import present
from scutum_cli.errors import CONFLICT, CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import contexts as render
from scutum_cli.settings import Context

app = typer.Typer(
    help="The servers that this command knows.",
    epilog=examples(
        "scutum context list",
        "scutum context add prod --admin-url https://gateway.example:8086 --proxy-url https://gateway.example",
        "scutum context use prod",
    ),
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The context.")]


@app.command("list", epilog=examples("scutum context list"))
@listing
def list_() -> None:
    """List the contexts; a star marks the one in use."""
    known = settings.load()
    rows = render.rows(known, settings.selected() or known.current_name)
    empty = "No contexts yet: scutum install makes one, or: scutum context add NAME --admin-url URL"
    present.show_list(lambda _: {"items": rows, "next": None}, render.COLUMNS, empty=empty)


@app.command(epilog=examples("scutum context use prod"))
def use(name: Name, dry_run: DryRun = False) -> None:
    """Talk to this server from now on."""
    if dry_run:
        output.preview(f"use the context {settings.load().get(name).name}")
        return
    with settings.edit() as contexts:
        contexts.use(name)
        context = contexts.get(name)
    output.changed(render.row(context, current=True), f"Now using {name} ({context.admin_url}).")


@app.command(
    epilog=examples(
        "scutum context add prod --admin-url https://gateway.example:8086",
        "scutum context add prod --admin-url https://gateway.example:8086 --key-stdin < key.txt",
    )
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    admin_url: Annotated[str, typer.Option("--admin-url", metavar="URL", help="Its admin API, port 8086.")],
    proxy_url: Annotated[
        str | None, typer.Option("--proxy-url", metavar="URL", help="Its proxy; default: the same host, port 4000.")
    ] = None,
    key_stdin: Annotated[bool, typer.Option("--key-stdin", help="Read a client key for chat from stdin.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Make a server known."""
    if not re.fullmatch(r"[\w.-]{1,64}", name):
        raise CliError(f"A context's name is letters, digits, dots and dashes, not {name!r}.")
    context = Context(name, _url(admin_url, "--admin-url"), _url(proxy_url or _beside(admin_url), "--proxy-url"))
    if name in settings.load().contexts:
        raise CliError(
            f"There is a context {name!r} already.",
            exit_code=CONFLICT,
            code="name_taken",
            hint=f"choose another name, or first: scutum context delete {name}",
        )
    if dry_run:
        output.preview(f"add the context {name} for {context.admin_url}")
        return
    if key_stdin:
        context.key = options.secret_from_stdin("key")
    with settings.edit() as contexts:
        contexts.put(context)
        current = contexts.current_name == name
    output.changed(render.row(context, current=current), f"Context {name} added. Next: scutum login --context {name}")


@app.command(epilog=examples("scutum context delete prod"))
def delete(name: Name, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Forget a server, its session and its chat key; the server itself is not touched."""
    context = settings.load().get(name)
    if dry_run:
        output.preview(f"delete the context {name} ({context.admin_url})")
        return
    output.confirm(f"Forget the context {name} ({context.admin_url})?", yes=yes)
    with settings.edit() as contexts:
        contexts.remove(name)
        left = contexts.current_name
    output.changed({"name": name, "deleted": True}, f"Context {name} deleted. Now using: {left or 'none'}.")


def _url(text: str, flag: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment:
        raise CliError(f"{flag} takes an address such as https://gateway.example:8086, not {text!r}.")
    if parts.username or parts.password:
        raise CliError(f"{flag} must not hold a password.", hint="scutum login asks for the master key")
    return text.rstrip("/")


def _beside(admin_url: str) -> str:
    parts = urlsplit(_url(admin_url, "--admin-url"))
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:4000"
