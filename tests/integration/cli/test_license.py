"""`scutum license` as operators and issuers use it."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.licences import DAY, Authority
from tests.integration.cli.conftest import ROOT, Cli, Gateway
from tests.integration.cli.test_terminal import on_terminal


@pytest.fixture
def relicensed(gateway: Gateway, cli: Cli) -> Iterator[Gateway]:
    """Whatever a test activates, the gateway has its licence again afterwards."""
    yield gateway
    cli.ok("license", "activate", "-", stdin=gateway.authority.issue(tier="enterprise"))


def activate(cli: Cli, token: str) -> None:
    cli.ok("license", "activate", "-", stdin=token)


def test_an_authority_is_made_and_its_licences_are_believed_by_who_trusts_it(
    cli: Cli, relicensed: Gateway, tmp_path: Path
) -> None:
    made = cli.ok("license", "authority", "create", "--name", "Acme Platform", "--authority", str(tmp_path / "ca"), "-o", "json").json
    assert made["name"] == "Acme Platform" and "PRIVATE" not in json.dumps(made)
    private = tmp_path / "ca" / "private.pem"
    assert (private.stat().st_mode & 0o777, private.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    issued = ("license", "issue", "--tier", "team", "--email", "ops@acme.example", "--company", "Acme", "--days", "90",
              "--feature", "max_admins=12", "--authority", str(tmp_path / "ca"))  # fmt: skip
    token = cli.ok(*issued).out.strip()
    refused = cli("license", "activate", "-", stdin=token)
    assert refused.code == 6 and "does not trust" in refused.err and len(refused.err.splitlines()) <= 3
    trusted = relicensed.home / "config" / "license-authorities.pem"
    trusted.write_text(trusted.read_text() + made["public_key"])
    done = cli.ok("license", "activate", "-", stdin=token + "\n")
    assert "The team licence of Acme is in force: 90 days left." in done.err
    shown = cli.ok("license", "status", "-o", "json").json
    assert (shown["tier"], shown["features"]["max_admins"], shown["days_remaining"]) == ("team", 12, 90)
    row = cli.ok("license", "history", "-o", "json").json["items"][0]
    assert (row["issuer"], row["state"]) == ("Acme Platform", "active")
    again = cli("license", "authority", "create", "--authority", str(tmp_path / "ca"))
    assert again.code == 5 and "already" in again.err
    private.chmod(0o644)
    assert "chmod 600" in cli(*issued).err


def test_trusting_adds_to_the_file_of_the_install_and_nothing_twice(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "root"
    (home / "config").mkdir(parents=True)
    (home / "config" / "scutum.yaml").write_text("engine: embedded\n")
    for name in ("one", "two"):
        cli.ok("license", "authority", "create", "--trust", "--home", str(home), "--authority", str(tmp_path / name))
    file = home / "config" / "license-authorities.pem"
    assert file.read_text().count("BEGIN PUBLIC KEY") == 2
    assert file.stat().st_mode & 0o777 == 0o644, "the services may be another user's"


def test_a_licence_goes_to_a_file_for_its_owner_alone(cli: Cli, tmp_path: Path) -> None:
    place = str(tmp_path / "ca")
    cli.ok("license", "authority", "create", "--authority", place)
    base = ("license", "issue", "--email", "a@b.example", "--company", "B", "--authority", place)
    out = tmp_path / "b.jwt"
    cli.ok(*base, "--tier", "trial", "--out", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    content = cli.ok(*base, "--tier", "trial", "-o", "json").json
    assert content["exp"] - content["iat"] == 30 * DAY, "a trial lasts thirty days"
    assert cli(*base, "--tier", "trial", "--out", str(out)).code == 5
    for wrong in (["--tier", "gold", "--days", "1"], ["--tier", "team"], ["--tier", "team", "--days", "0"],
                  ["--tier", "team", "--days", "1", "--feature", "x"]):  # fmt: skip
        assert cli(*base, *wrong).code == 2


def test_a_refused_licence_says_why_and_exits_with_six(cli: Cli, gateway: Gateway, tmp_path: Path) -> None:
    token = gateway.authority.issue()
    file = tmp_path / "cut.jwt"
    file.write_text(token[:-20])
    result = cli("license", "activate", str(file))
    assert result.code == 6 and "cut short" in result.err and "next: " in result.err
    wrong = cli("license", "activate", str(file), "-o", "json")
    assert (wrong.code, wrong.error["code"]) == (6, "license_truncated")
    missing = cli("license", "activate", str(tmp_path / "none"))
    assert missing.code == 2 and "cannot be read" in missing.err
    given = cli("license", "activate", token)
    assert given.code == 2 and token[100:] not in given.err, "not even when it was an argument"
    before = cli.ok("license", "history", "-o", "json").json["items"]
    preview = cli.ok("license", "activate", "-", "--dry-run", stdin=token)
    assert "would activate the business licence of Acme: 365 days left" in preview.out
    assert cli("license", "activate", "-", "--dry-run", stdin=token[:-20]).code == 6, "the server has looked at it"
    assert cli.ok("license", "history", "-o", "json").json["items"] == before


def test_a_licence_that_ends_soon_is_reminded_of_once_a_day(cli: Cli, relicensed: Gateway) -> None:
    activate(cli, relicensed.authority.issue(tier="team", days=6))
    cache = cli.config / "cache" / "scutum" / "license.json"
    cache.unlink(missing_ok=True)
    assert "licence" not in cli.ok("teams", "list", "-o", "json").err
    assert "licence" not in cli.ok("teams", "list", "--quiet").err
    first = cli.ok("teams", "list")
    assert "licence: The licence expires in 6 days." in first.err and "licence" not in first.out
    assert cli.ok("teams", "list").err == ""
    yesterday = (dt.datetime.now().astimezone().date() - dt.timedelta(days=1)).isoformat()
    cache.write_text(json.dumps(dict.fromkeys(json.loads(cache.read_text()), yesterday)))
    assert "expires in 6 days" in cli.ok("keys", "list").err
    cache.write_text("rubbish")
    assert "expires in 6 days" in cli.ok("keys", "list").err
    code, screen = on_terminal(cli, "teams", "list")
    assert code == 0 and "expires in 6 days" in screen, "what a script was told, nobody has read"


def test_status_shows_the_licence_and_what_there_is_to_do(cli: Cli, relicensed: Gateway) -> None:
    shown = cli.ok("license", "status")
    assert "in force" in shown.out and shown.err == ""
    activate(cli, relicensed.authority.issue(tier="team", days=6))
    soon = cli.ok("license", "status")
    assert "6 days" in soon.out and "Renew it" in soon.err


def test_help_and_a_server_that_is_away_are_not_slowed_by_it(cli: Cli, tmp_path: Path) -> None:
    code = ("import sys; sys.argv = ['scutum', '--help']\nfrom scutum_cli import app\n"
            "try: app.main()\nexcept SystemExit: pass\n"
            "found = [name for name in sys.modules if 'reminder' in name or 'cryptography' in name]\nassert not found, found")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    cli.write_contexts({"name": "away", "admin_url": "http://127.0.0.1:9", "proxy_url": "http://127.0.0.1:9", "token": "t", "token_expires_at": 9e9}, current="away")  # fmt: skip
    result = cli("teams", "list")
    assert result.code == 7 and "licence" not in result.err


def test_forged_authorities_do_not_help(cli: Cli, gateway: Gateway) -> None:
    result = cli("license", "activate", "-", stdin=Authority().issue())
    assert result.code == 6
