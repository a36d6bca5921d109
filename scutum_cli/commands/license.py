"""`scutum license`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scutum_cli import errors, options, output, settings
from scutum_cli.client import api, reminder
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, examples, listing
from scutum_cli.render import licenses
from scutum_cli.render.text import plural

app = typer.Typer(
    help="What this install is licensed for. Traffic never depends on it.",
    epilog=examples("scutum license status", "scutum license activate license.jwt", "scutum license history"),
)
authority_app = typer.Typer(
    help="The issuer's side: who signs licences.",
    epilog=examples("scutum license authority create --name 'Acme Platform'"),
)
app.add_typer(authority_app, name="authority")
Directory = Annotated[
    str | None,
    typer.Option("--authority", metavar="DIR", help="Where its key is; beside the contexts unless told."),
]
MAX_FILE = 65_536


@app.command(epilog=examples("scutum license status", "scutum license status -o json  # exit code 1 unless in force"))
def status() -> None:
    """Show the licence in force, what it has and how long it lasts; needs no session."""
    found = api.connect().license()
    reminder.seen(settings.load().current.name)
    present.show_one(found, licenses.DETAILS)
    words = licenses.reminder(found)
    if words is not None and output.style.format == "table":
        output.say(output.paint("! ", "yellow", err=True) + words)
    raise typer.Exit(errors.OK if found["valid"] else errors.FINDINGS)


@app.command(
    epilog=examples("scutum license activate license.jwt", "pbpaste | scutum license activate -  # from the clipboard")
)
def activate(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file that holds it; - for standard input.")],
    dry_run: DryRun = False,
) -> None:
    """Put a licence in force at once, without a restart; the one before stays in the history."""
    token = _read(file)
    try:
        found = api.connect().activate_license({"license_key": token}, dry_run=dry_run)
    except CliError as error:
        if error.code.startswith("license_"):
            error.message = f"The licence is refused. {error.message}"
            error.exit_code = errors.REFUSED
        raise
    left = plural(found["days_remaining"] or 0, "day")
    if dry_run:
        output.preview(f"activate the {found['tier']} licence of {found['company']}: {left} left", found)
        return
    output.changed(found, f"The {found['tier']} licence of {found['company']} is in force: {left} left.")


@app.command(epilog=examples("scutum license history", "scutum license history --columns tier,license_id,issuer"))
@listing
def history() -> None:
    """List every licence that was activated here, the youngest first."""
    empty = "No licence was activated yet. Activate one: scutum license activate FILE"
    present.show_list(api.connect().license_history, licenses.COLUMNS, empty=empty)


@authority_app.command(
    epilog=examples(
        "scutum license authority create --name 'Acme Platform'",
        "scutum license authority create --trust  # and this host's install believes it",
    )
)
def create(
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="Who issues, for people to read.")] = "Scutum",
    trust: Annotated[bool, typer.Option("--trust", help="Have the install on this host believe it.")] = False,
    authority: Directory = None,
    home: options.Home = None,
    dry_run: DryRun = False,
) -> None:
    """Make a key that signs licences. It lies in a directory of its own, readable by you alone: keep a copy."""
    from scutum_cli.host import authority as issuer

    directory = _directory(authority)
    trusted = _trust_file(home) if trust else None
    if not name.strip() or not name.isprintable() or len(name) > 200:
        raise CliError("--name takes 1 to 200 printable characters.")
    if dry_run:
        output.preview(f"make an authority in {directory}" + (f" and trust it in {trusted}" if trusted else ""))
        return
    made = issuer.create(directory, name.strip())
    if trusted is not None:
        issuer.trust(made, trusted)
    output.changed(
        made.as_json() | {"trusted_in": str(trusted) if trusted else None},
        f"Authority {made.name} ({made.kid}) made in {directory}. Whoever has {issuer.PRIVATE} can issue licences.",
    )
    if trusted is None:
        output.done(f"Give {made.public_file} to those who are to believe it: config/license-authorities.pem there.")
    else:
        output.done(f"Trusted by this install: {trusted}")


@authority_app.command(epilog=examples("scutum license authority show", "scutum license authority show -o json"))
def show(authority: Directory = None) -> None:
    """Show the authority that licences are issued by here, without its private key."""
    from scutum_cli.host import authority as issuer

    found, _ = issuer.load(_directory(authority))
    if output.style.format == "table":
        rows = [("Name", found.name), ("Key", found.kid), ("Directory", str(found.directory))]
        output.emit_object(found.as_json(), rows)
    else:
        output.emit_object(found.as_json())


@app.command(
    epilog=examples(
        "scutum license issue --tier business --email ops@acme.example --company Acme --days 365 > acme.jwt",
        "scutum license issue --tier team --email a@b.example --company B --days 90 --feature max_admins=15 --out b",
    )
)
def issue(
    tier: Annotated[str, typer.Option("--tier", metavar="trial|team|business|enterprise", help="Its tier.")],
    email: Annotated[str, typer.Option("--email", metavar="ADDRESS", help="Whom to write to about it.")],
    company: Annotated[str, typer.Option("--company", metavar="TEXT", help="For whom it is.")],
    days: Annotated[str | None, typer.Option("--days", metavar="N", help="From now on; a trial lasts 30.")] = None,
    customer: Annotated[
        str | None, typer.Option("--customer", metavar="ID", help="Your id of the customer; else from --company.")
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", metavar="NAME=VALUE", help="Other than the tier has it; may be repeated."),
    ] = None,
    out: Annotated[str | None, typer.Option("--out", metavar="FILE", help="Write it there, for you alone.")] = None,
    authority: Directory = None,
) -> None:
    """Sign a licence and print it; the server that it is for need not be reachable."""
    from scutum_cli.host import authority as issuer

    if tier not in issuer.TIERS:
        raise CliError(f"--tier takes {', '.join(issuer.TIERS)}, not {tier!r}.")
    if days is None and tier != "trial":
        raise CliError("Say for how long: --days 365.")
    length = options.whole(days or "30", "--days", low=1, high=36_500)
    local, at, domain = email.partition("@")
    if not local or not at or "." not in domain or any(letter.isspace() for letter in email):
        raise CliError(f"--email takes an address, not {email!r}.")
    for text, flag in ((company, "--company"), (email, "--email")):
        if not text.strip() or not text.isprintable() or len(text) > 200:
            raise CliError(f"{flag} takes 1 to 200 printable characters.")
    features = {key: _value(text, key) for key, text in options.pairs(feature or [], "--feature").items()}
    claims: dict[str, Any] = {
        "sub": customer or issuer.identifier(company),
        "email": email,
        "company": company.strip(),
        "tier": tier,
        "features": features,
    }
    token, content = issuer.sign(_directory(authority), claims, length)
    if out is not None:
        _write(Path(out), token)
        shown = content | {"file": out}
        output.changed(shown, f"A {tier} licence for {company} ({length} days) is in {out}.")
    elif output.style.format == "table":
        output.emit_text(token)
        output.say(f"A {tier} licence for {company}, {length} days. Activate it: scutum license activate FILE")
    else:
        output.emit_object({"license_key": token, **content})


def _read(file: str) -> str:
    try:
        text = sys.stdin.read(MAX_FILE + 1) if file == "-" else _text(Path(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        hint = "the licence itself is never an argument: name its file, or - for standard input"
        raise CliError(f"{file[:80]} cannot be read: {reason}.", code="file_unreadable", hint=hint) from None
    if not text.strip():
        raise CliError("No licence came.", code="license_missing", hint="scutum license activate FILE")
    if len(text) > MAX_FILE:
        raise CliError("This is too long for a licence.", code="license_too_large", exit_code=errors.REFUSED)
    return text.strip()


def _text(file: Path) -> str:
    with file.open(encoding="utf-8") as content:
        return content.read(MAX_FILE + 1)


def _directory(option: str | None) -> Path:
    from scutum_cli.host import authority as issuer

    return Path(option).expanduser().absolute() if option else issuer.default_directory()


def _trust_file(home: str | None) -> Path:
    from scutum_cli.host.layout import installed

    return installed(home).license_trust


def _value(text: str, name: str) -> int | bool | None:
    known: dict[str, bool | None] = {"true": True, "yes": True, "false": False, "no": False, "null": None}
    if text in known:
        return known[text]
    return options.whole(text, f"--feature {name}", high=10**9)


def _write(file: Path, token: str) -> None:
    from scutum_cli.host import files

    if file.exists():
        raise CliError(
            f"{file} exists.", exit_code=errors.CONFLICT, code="file_exists", hint="name another file with --out"
        )
    try:
        files.write_private(file, token + "\n")
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}.", code="unwritable") from None
