"""`scutum audit verify`, and the checkpoints and keys that the proof rests on."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scutum_cli import errors, options, output
from scutum_cli.client import audit as client
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import examples, listing
from scutum_cli.render import audit
from scutum_cli.render.columns import arrange

if TYPE_CHECKING:
    from scutum_cli.client.types import AuditTask

keys_app = typer.Typer(help="The keys that sign the checkpoints.", epilog=examples("scutum audit keys list"))
_MOST = 2000
_UNTAKEN_SECONDS = 30.0


def mount(app: typer.Typer) -> None:
    """Adds these commands to `scutum audit`."""
    app.command(
        epilog=examples(
            "scutum audit verify",
            "scutum audit verify --from 2026-01-01 --to 2026-04-01",
            "scutum audit verify --trust auditor.pem --checkpoints kept.jsonl  # with what you keep off the host",
        )
    )(verify)
    app.command("verifications", epilog=examples("scutum audit verifications"))(listing(verifications))
    app.command("checkpoints", epilog=examples("scutum audit checkpoints", "scutum audit checkpoints --all -o json"))(
        listing(checkpoints)
    )
    app.command("checkpoint", epilog=examples("scutum audit checkpoint"))(checkpoint)
    app.command("shipments", epilog=examples("scutum audit shipments"))(listing(shipments))
    keys_app.command("list", epilog=examples("scutum audit keys list"))(listing(keys))
    keys_app.command("export", epilog=examples("scutum audit keys export > audit-keys.pem"))(export)
    keys_app.command("rotate", epilog=examples("scutum audit keys rotate"))(rotate)
    app.add_typer(keys_app, name="keys")


def verify(
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Rows from then: 30d, an ISO time.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Rows before then.")] = None,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", metavar="FILE", help="Believe these public keys alone; PEM.")
    ] = None,
    kept: Annotated[
        str | None,
        typer.Option("--checkpoints", metavar="FILE", help="Copies of checkpoints, one JSON a line; - for stdin."),
    ] = None,
) -> None:
    """Prove the whole chain, and name the first row that was changed, removed or inserted; exit code 1 if one was."""
    body: dict[str, Any] = {"from": since, "to": until}
    if trust:
        body["keys"] = [pem for path in trust for pem in _pems(path)]
    if kept is not None:
        body["checkpoints"] = _copies(kept)
    server = client.connect()
    task = _wait(server, server.verify({name: value for name, value in body.items() if value is not None}))
    result = task["result"] or {}
    if output.style.format in {"json", "yaml"}:
        output.emit_object(result)
    elif result["findings"]:
        table = arrange(result["findings"], audit.FINDINGS, options.view, present.face())
        output.emit_list(table.items, table.headers, table.rows, right=table.right, csv_headers=table.names,
                         csv_rows=table.raw, spare=("ID", "ORG"))  # fmt: skip
    elif output.style.format == "table":
        output.emit_text(audit.verdict(result))
    if not result["intact"]:
        output.say(f"{output.paint('! ', 'red', err=True)}{audit.verdict(result)} First: {result['first']['detail']}")
        raise typer.Exit(errors.FINDINGS)


def verifications() -> None:
    """List the verifications of the last three months, newest first."""
    empty = "Nothing was verified yet. Do it: scutum audit verify"
    present.show_list(client.connect().verifications, audit.VERIFICATIONS, empty=empty)


def checkpoints() -> None:
    """List the signed checkpoints, newest first; in JSON with what it takes to check them elsewhere."""
    empty = "No checkpoints yet; the worker signs every ten minutes. Now: scutum audit checkpoint"
    present.show_list(client.connect().checkpoints, audit.CHECKPOINTS, empty=empty)


def checkpoint(dry_run: options.DryRun = False) -> None:
    """Sign every chain that has grown, and ship the checkpoints, now."""
    if dry_run:
        output.preview("sign every chain that has grown, and ship the checkpoints")
        return
    server = client.connect()
    task = _wait(server, server.make_checkpoints())
    result = task["result"] or {}
    words = f"{result['signed']} signed, {result['shipped']} shipped."
    output.changed(
        result, f"{words} {result['found']} findings on the way: scutum audit verify" if result["found"] else words
    )
    for target, why in result["failures"].items():
        output.complain(f"{target} took nothing: {why}")
    if result["found"] or result["failures"]:
        raise typer.Exit(errors.FINDINGS)


def shipments() -> None:
    """List the places off the host that checkpoints go to."""
    empty = "Checkpoints stay on this host: name an object store in SCUTUM_AUDIT_SHIP (docs/audit.md)."
    present.show_list(client.connect().shipments, audit.SHIPMENTS, empty=empty)


def keys() -> None:
    """List the public keys of the checkpoints."""
    empty = "No key yet: the worker makes it when it starts. Look at: scutum ps"
    present.show_list(client.connect().keys, audit.KEYS, empty=empty)


def export() -> None:
    """Print the public keys as PEM; keep them where this server cannot write."""
    for key in client.connect().keys()["items"]:
        retired = f"Retired: {key['retired_at']}\n" if key["retired_at"] else ""
        output.emit_text(f"{retired}{key['pem'].strip()}")


def rotate(yes: options.Yes = False, dry_run: options.DryRun = False) -> None:
    """Sign once more with the key in use, then take a new one; the former holds for what it has signed."""
    if dry_run:
        output.preview("sign once more, then take a new signing key")
        return
    output.confirm("Take a new signing key?", yes=yes)
    server = client.connect()
    task = _wait(server, server.rotate_key())
    output.changed(task["result"] or {}, "A new key signs from now on. Keep its public key: scutum audit keys export")


def _wait(server: client.AuditApi, task: AuditTask) -> AuditTask:
    """Until the keeper is done, telling how far it is; what it does goes on when this command ends."""
    began = time.monotonic()
    pause = 0.1
    try:
        while task["state"] in {"waiting", "running"}:
            spent = time.monotonic() - began
            if task["state"] == "waiting" and spent > _UNTAKEN_SECONDS:
                raise CliError(
                    "No worker has begun with it.", exit_code=errors.UNREACHABLE, code="no_keeper", hint="scutum ps"
                )
            output.live(audit.going(task["progress"], spent) if task["state"] == "running" else "waits for the worker")
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)
            task = server.task(task["id"])
    finally:
        output.live(None)
    if task["state"] == "failed":
        why = str((task["result"] or {}).get("error", ""))
        raise CliError("That could not be done.", exit_code=errors.HALF_WAY, code="audit_task_failed", why=why)
    return task


def _pems(path: str) -> list[str]:
    """The public keys in a file, each with the line that says when it was retired."""
    parts = _read(path).split("-----END PUBLIC KEY-----")
    found = [f"{part.strip()}\n-----END PUBLIC KEY-----\n" for part in parts if "-----BEGIN PUBLIC KEY-----" in part]
    if not found:
        raise CliError(f"{path} holds no public key in PEM.", hint="scutum audit keys export > FILE, at the gateway")
    return found


def _copies(path: str) -> list[dict[str, Any]]:
    """Checkpoints, one JSON object a line or as `audit checkpoints -o json` prints them; each org's newest, if many."""
    text = _read(path)
    try:
        whole = json.loads(text) if text.lstrip().startswith('{\n  "items"') else None
        items = whole["items"] if whole else [json.loads(each) for each in text.splitlines() if each.strip()]
        items.sort(key=lambda one: (one["seq"], one["signed_at"]), reverse=True)
        newest = {one["org_id"]: number for number, one in reversed(list(enumerate(items)))}
        first = [items[number] for number in sorted(newest.values())]
        taken = set(newest.values())
    except (ValueError, KeyError, TypeError):
        raise CliError(f"{path} holds something else than checkpoints, one JSON object a line.") from None
    return [*first, *(one for number, one in enumerate(items) if number not in taken)][:_MOST]


def _read(path: str) -> str:
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.") from None
