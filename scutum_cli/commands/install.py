"""scutum install."""

from __future__ import annotations

from typing import Annotated

import typer

from scutum_cli import options

app = typer.Typer()


@app.command(
    epilog=options.examples(
        "scutum install --dry-run               # the plan",
        "scutum install --with litellm          # Gemini, Vertex AI, Bedrock; later, to a running install, as well",
        "scutum install --home /srv/scutum --proxy-port 4100 --admin-port 8186   # a second one on this host",
        "scutum install --from ./scutum_gateway-0.1.0-py3-none-any.whl --sha256 HEX",
    )
)
def install(
    origin: Annotated[
        str | None,
        typer.Option("--from", help="A checkout, a wheel, or a wheel's address.", metavar="DIR|WHEEL|URL"),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="The wheel's sum; needed with an address.", metavar="HEX")
    ] = None,
    proxy_port: Annotated[
        str | None, typer.Option("--proxy-port", help="Where clients connect (4000).", metavar="PORT")
    ] = None,
    admin_port: Annotated[
        str | None, typer.Option("--admin-port", help="Where the admin API listens (8086).", metavar="PORT")
    ] = None,
    proxy_workers: Annotated[
        str | None, typer.Option("--proxy-workers", help="Proxy processes (one per CPU).", metavar="N")
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url", help="An external PostgreSQL; - reads the URL from standard input.", metavar="URL|-"
        ),
    ] = None,
    redis_url: Annotated[
        str | None,
        typer.Option(
            "--redis-url", help="An external Redis or Valkey; - reads the URL from standard input.", metavar="URL|-"
        ),
    ] = None,
    extras: Annotated[
        list[str] | None,
        typer.Option(
            "--with", help="The library for Gemini, Vertex AI, Bedrock and more, about 260 MB.", metavar="litellm"
        ),
    ] = None,
    run_as: Annotated[
        str | None, typer.Option("--run-as", help="As root: who runs the services (scutum).", metavar="USER")
    ] = None,
    home: options.Home = None,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
) -> None:
    """Set up a gateway on this host, from nothing to an answer. Safe to run again at any time."""
    from scutum_cli.host import stores
    from scutum_cli.host.install import Request
    from scutum_cli.host.installer import perform
    from scutum_cli.host.layout import chosen_home

    request = Request(
        home=chosen_home(home),
        origin=origin,
        sha256=sha256,
        proxy_port=_number(proxy_port, "--proxy-port", 65_535),
        admin_port=_number(admin_port, "--admin-port", 65_535),
        proxy_workers=_number(proxy_workers, "--proxy-workers", 256),
        run_as=run_as,
        stores=stores.asked(database_url, redis_url),
        extras=_extras(extras or []),
    )
    perform(request, dry_run=dry_run, ask=not yes)


def _extras(asked: list[str]) -> tuple[str, ...]:
    from scutum_cli.errors import CliError
    from scutum_cli.host.packages import EXTRAS

    wrong = [name for name in asked if name not in EXTRAS]
    if wrong:
        raise CliError(f"--with takes {', '.join(EXTRAS)}, not {wrong[0]!r}.")
    return tuple(asked)


def _number(text: str | None, flag: str, high: int) -> int | None:
    return None if text is None else options.whole(text, flag, low=1, high=high)
