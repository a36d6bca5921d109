"""Single sign-on from the command line, with a real OpenID provider and somebody in a browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fixtures.oidc import SECRET, Browser, running_openid
from tests.fixtures.servers import Postgres, running_valkey
from tests.integration.cli.conftest import ROOT, Cli, running_gateway


def test_somebody_logs_in_through_the_company_s_provider(postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "openid").mkdir()
    with (
        running_valkey() as valkey,
        running_gateway(tmp_path / "gateway", postgres, valkey) as gateway,
        running_openid(tmp_path / "openid") as openid,
    ):
        host, remote = Cli(tmp_path / "host"), Cli(tmp_path / "remote")
        host.write_contexts(gateway.context(home=str(gateway.home)), current="local")
        remote.ok("context", "add", "prod", "--admin-url", gateway.admin_url)
        setting = (
            "sso", "set", "--issuer", openid.issuer, "--client-id", "scutum", "--client-secret-stdin",
            "--rule", "acme-admins=admin@default", "--rule", "oncall=operator", "--scopes", "openid,email,groups",
        )  # fmt: skip
        host.ok("license", "activate", "-", stdin=gateway.authority.issue(tier="team"))
        refused = host(*setting, stdin=SECRET)
        assert refused.code == 6 and "Business" in refused.err and len(refused.err.splitlines()) <= 3
        host.ok("license", "activate", "-", stdin=gateway.authority.issue(tier="business"))
        assert host(*setting[:-2], "--rule", "oncall", stdin=SECRET).code == 2
        host.ok(*setting, stdin=SECRET)
        shown = host.ok("sso", "show").out
        assert "oncall=operator" in shown and "acme-admins=admin@default" in shown and SECRET not in shown

        command = [sys.executable, "-m", "scutum_cli.app", "login", "--sso"]
        waiting = subprocess.Popen(command, env=remote.environment(), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert waiting.stderr is not None
        opening, code = waiting.stderr.readline(), waiting.stderr.readline()
        url = opening.removeprefix("Open ").strip()
        assert url.startswith(openid.issuer) and "check that it shows the code" in code
        assert "Sign-in Success" in Browser("ada").agree(url)
        _, words = waiting.communicate(timeout=60)
        assert waiting.returncode == 0 and "Logged in to prod" in words and "as ada@example.com" in words
        me = remote.ok("whoami", "-o", "json").json
        assert (me["email"], me["role"], me["method"]) == ("ada@example.com", "operator", "sso")
        assert remote("login", "--sso", "--email", "ada@example.com").code == 2
        host.ok("sso", "delete", "--yes")
        gone = remote("login", "--sso")
        assert gone.code == 3 and "not set up" in gone.err
