"""`scutum limits`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scutum_cli import options, output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import limits

if TYPE_CHECKING:
    from scutum_cli.client.types import LimitCreate, LimitUpdate

app = typer.Typer(
    help="Rate limits: exact over all workers and hosts. A request that is over one gets 429 with Retry-After.",
    epilog=examples("scutum limits create --team search --rpm 600 --tpm 200000", "scutum limits list"),
)
POLICIES = ("open", "closed")
MOST = 10**12
Limit = Annotated[str, typer.Argument(metavar="LIMIT", help="Id, or a unique part of it.")]
Rpm = Annotated[str | None, typer.Option("--rpm", metavar="N", help="Requests a minute.")]
Tpm = Annotated[str | None, typer.Option("--tpm", metavar="N", help="Tokens a minute.")]
Rpd = Annotated[str | None, typer.Option("--rpd", metavar="N", help="Requests a day.")]
Tpd = Annotated[str | None, typer.Option("--tpd", metavar="N", help="Tokens a day.")]
Concurrency = Annotated[str | None, typer.Option("--concurrency", metavar="N", help="Requests at once.")]
Burst = Annotated[str | None, typer.Option("--burst", metavar="N", help="Requests in a second.")]
OnFailure = Annotated[
    str | None,
    typer.Option("--on-failure", metavar="|".join(POLICIES), help="While Redis is away: let pass, or refuse."),
]


@app.command("list", epilog=examples("scutum limits list", "scutum limits list --filter scope=team"))
@listing
def list_() -> None:
    """List the rate limits."""
    empty = "No limits yet. Make one: scutum limits create --team TEAM --rpm 600"
    present.show_served("limits", api.connect().limits, limits.COLUMNS, empty=empty)


@app.command(epilog=examples("scutum limits show limit_0k3v"))
def show(limit: Limit) -> None:
    """Show one limit."""
    present.show_one(api.connect().limit(limit), limits.DETAILS)


@app.command(
    epilog=examples(
        "scutum limits create --team search --rpm 600 --tpm 200000",
        "scutum limits create --team search --model gpt-5 --concurrency 20",
        "scutum limits create --global --rpm 5000 --on-failure open",
    )
)
def create(
    team: Annotated[
        str | None, typer.Option("--team", metavar="TEAM", help="For this team; with --model, both.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help="For this key.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="WHO", help="For all keys of this owner.")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="For this model.")] = None,
    everything: Annotated[bool, typer.Option("--global", help="For all requests together.")] = False,
    rpm: Rpm = None,
    tpm: Tpm = None,
    rpd: Rpd = None,
    tpd: Tpd = None,
    concurrency: Concurrency = None,
    burst: Burst = None,
    on_failure: OnFailure = None,
    dry_run: DryRun = False,
) -> None:
    """Limit a team, a key, a user, a model, a team at a model, or everything."""
    given = {"team": team, "key": key, "user": user, "model": model}
    named = {name: value for name, value in given.items() if value is not None}
    scope = "+".join(named) if not everything else "global"
    if scope not in {"team", "key", "user", "model", "team+model", "global"} or (everything and named):
        raise CliError(
            "Say whom the limit is for: --team, --key, --user, --model, --team with --model, or --global.",
            hint="for example: scutum limits create --team search --rpm 600",
        )
    rates = _rates(rpm=rpm, tpm=tpm, rpd=rpd, tpd=tpd, concurrency=concurrency, burst=burst)
    if not rates:
        raise CliError("Give at least one of --rpm, --tpm, --rpd, --tpd, --concurrency, --burst.")
    body = cast("LimitCreate", {"scope": scope, **named, **rates, **policy(on_failure)})
    made = api.connect(dry_run=dry_run).create_limit(body)
    if dry_run:
        output.preview(f"create a limit ({scope})", body, made)
        return
    output.changed(made, f"Limit for {limits.target(made)} created ({made['id']}).")


@app.command(
    epilog=examples("scutum limits update limit_0k3v --rpm 1200", "scutum limits update limit_0k3v --burst none")
)
def update(
    limit: Limit,
    rpm: Rpm = None,
    tpm: Tpm = None,
    rpd: Rpd = None,
    tpd: Tpd = None,
    concurrency: Concurrency = None,
    burst: Burst = None,
    on_failure: OnFailure = None,
    dry_run: DryRun = False,
) -> None:
    """Change a limit; `none` takes a rate away. It holds within a second."""
    rates = _rates(rpm=rpm, tpm=tpm, rpd=rpd, tpd=tpd, concurrency=concurrency, burst=burst)
    body = cast("LimitUpdate", {**rates, **policy(on_failure)})
    if not body:
        raise CliError("Nothing to change was given.", hint="scutum limits update --help")
    changed = api.connect(dry_run=dry_run).update_limit(limit, body)
    if dry_run:
        output.preview(f"update the limit {limit}", body, changed)
        return
    output.changed(changed, f"Limit for {limits.target(changed)} updated.")


@app.command(epilog=examples("scutum limits delete limit_0k3v"))
def delete(limit: Limit, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Lift a limit."""
    server = api.connect(dry_run=dry_run)
    found = server.limit(limit)
    if not dry_run:
        output.confirm(f"Delete the limit for {limits.target(found)}?", yes=yes)
    server.delete_limit(found["id"])
    if dry_run:
        output.preview(f"delete the limit for {limits.target(found)} ({found['id']})")
        return
    output.changed({"id": found["id"], "deleted": True}, f"Limit for {limits.target(found)} deleted.")


def policy(on_failure: str | None) -> dict[str, Any]:
    """`--on-failure` as a field of a body."""
    if on_failure is None:
        return {}
    if on_failure not in POLICIES:
        raise CliError(f"--on-failure must be open or closed, not {on_failure!r}.")
    return {"on_failure": on_failure}


def _rates(**given: str | None) -> dict[str, int | None]:
    return {
        name: None if text == "none" else options.whole(text, f"--{name}", low=1, high=MOST)
        for name, text in given.items()
        if text is not None
    }
