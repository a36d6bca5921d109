"""A login that somebody finishes in a browser, on this machine or another one (RFC 8628)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from scutum_cli import errors, output
from scutum_cli.client.http import AdminClient
from scutum_cli.client.session import not_scutum, refused
from scutum_cli.errors import CliError

if TYPE_CHECKING:
    from scutum_cli.client.types import SsoDeviceBegun

V1 = "/api/v1"
PENDING = "authorization_pending"
_LONGEST = 60.0


def run(client: AdminClient, *, vault: bool) -> str:
    """Says where to go, waits until somebody has been there, and keeps the session; returns whose it is."""
    _, begun = client.open(f"{V1}/auth/sso/device", {})
    answer = _wait(client, begun)
    client.session.adopt(answer, account="single sign-on", vault=vault)
    who = client.get(f"{V1}/auth/whoami")
    account = str(who.get("email") or who.get("id"))
    client.session.adopt(answer, account=account, vault=vault)
    return account


def _wait(client: AdminClient, begun: SsoDeviceBegun) -> Any:
    try:
        interval, ends = float(begun["interval"]), time.monotonic() + float(begun["expires_in"])
        uri, code, token = begun["verification_uri"], begun["user_code"], begun["flow_token"]
    except (KeyError, TypeError, ValueError):
        raise not_scutum(client.context) from None
    whole = begun.get("verification_uri_complete")
    then = f"and check that it shows the code {code}." if whole else f"and type in {code}."
    output.complain(f"Open {whole or uri}\n{then}")
    while time.monotonic() < ends:
        time.sleep(min(interval, _LONGEST))
        try:
            status, answer = client.open(f"{V1}/auth/sso/device/token", {"flow_token": token})
        except CliError as error:
            if error.code != PENDING:
                raise
            continue
        if status == errors.HTTP_UNAUTHORIZED:
            raise refused(answer)
        return answer
    raise CliError(
        "Nobody has logged in in time.", exit_code=errors.NOT_ALLOWED, code="sso_failed", hint="scutum login --sso"
    )
