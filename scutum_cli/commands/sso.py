"""`scutum sso`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scutum_cli import options, output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.commands.users import ROLES
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples
from scutum_cli.render import accounts

if TYPE_CHECKING:
    from scutum_cli.client.types import SsoPut

app = typer.Typer(
    help="Single sign-on: people log in through the company's own OpenID provider. Business and Enterprise licences.",
    epilog=examples(
        "scutum sso set --issuer https://id.example --client-id scutum --rule platform=owner",
        "scutum sso show",
        "scutum login --sso",
    ),
)
Issuer = Annotated[str, typer.Option("--issuer", metavar="URL", help="Exactly as the provider calls itself.")]


@app.command(epilog=examples("scutum sso show", "scutum sso show -o json"))
def show() -> None:
    """Show the provider and which groups have which role; never the client's secret."""
    present.show_one(api.connect().sso(), accounts.SSO)


@app.command(
    "set",
    epilog=examples(
        "scutum sso set --issuer https://id.example --client-id scutum --rule platform=owner",
        "scutum sso set --issuer URL --client-id ID --client-secret-stdin --rule ops=admin@acme < secret.txt",
    ),
)
def set_(
    issuer: Issuer,
    client_id: Annotated[str, typer.Option("--client-id", metavar="ID", help="Of our client at the provider.")],
    client_secret_stdin: Annotated[
        bool, typer.Option("--client-secret-stdin", help="Read the client's secret from standard input.")
    ] = False,
    rules: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="GROUP=ROLE[@ORG]", help="Who is in the group has the role; the first counts."),
    ] = None,
    default_role: Annotated[
        str | None, typer.Option("--default-role", metavar=ROLES, help="Of all others; without it they are refused.")
    ] = None,
    redirect_uris: Annotated[
        list[str] | None, typer.Option("--redirect-uri", metavar="URL", help="Where browsers are sent back to.")
    ] = None,
    scopes: Annotated[
        str | None, typer.Option("--scopes", metavar="A,B", help="What to ask for (openid,email,profile).")
    ] = None,
    groups_claim: Annotated[
        str | None, typer.Option("--groups-claim", metavar="NAME", help="Which claim lists the groups (groups).")
    ] = None,
    ca_bundle: Annotated[
        str | None, typer.Option("--ca-bundle", metavar="FILE", help="Authorities that vouch for it, on the host.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Set the provider up, or change it: what is not given is taken back to its default, but for the secret."""
    body: dict[str, Any] = {"issuer": issuer, "client_id": client_id, "rules": [_rule(text) for text in rules or []]}
    given = {"default_role": default_role, "redirect_uris": redirect_uris, "groups_claim": groups_claim}
    body |= {name: value for name, value in (given | {"ca_bundle": ca_bundle}).items() if value is not None}
    if scopes is not None:
        body["scopes"] = options.names(scopes, "--scopes")
    if dry_run:
        output.preview(f"let people log in through {issuer}", body)
        return
    if client_secret_stdin:
        body["client_secret"] = options.secret_from_stdin("client secret")
    found = api.connect().set_sso(cast("SsoPut", body))
    output.changed(found, f"People log in through {found['issuer']}: scutum login --sso")


@app.command(epilog=examples("scutum sso delete"))
def delete(yes: Yes = False, dry_run: DryRun = False) -> None:
    """End single sign-on; accounts and open sessions stay."""
    server = api.connect()
    issuer = server.sso()["issuer"]
    if dry_run:
        output.preview(f"end single sign-on through {issuer}")
        return
    output.confirm(f"End single sign-on through {issuer}?", yes=yes)
    server.delete_sso()
    output.changed({"issuer": issuer, "deleted": True}, f"Nobody logs in through {issuer} any more.")


def _rule(text: str) -> dict[str, str]:
    group, sign, place = text.rpartition("=")
    role, _, org = place.partition("@")
    if not sign or not group or not role or place.endswith("@"):
        raise CliError(f"--rule takes GROUP=ROLE or GROUP=ROLE@ORG, not {text!r}.", hint="scutum sso set --help")
    return {"group": group, "role": role} | ({"org": org} if org else {})
