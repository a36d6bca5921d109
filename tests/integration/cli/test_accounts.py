"""Users, service accounts, roles and logins from the command line, against the real admin API."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.cli.conftest import ROOT, Cli, Gateway

PASSWORD = "correct horse battery staple"


@pytest.fixture
def ada(cli: Cli) -> str:
    """An operator of the whole install."""
    email = f"ada-{time.time_ns()}@example.com"
    cli.ok("users", "create", email, "--role", "operator", "--password-stdin", stdin=PASSWORD)
    return email


@pytest.fixture
def remote(gateway: Gateway, tmp_path: Path) -> Cli:
    """A command on another machine: it knows the server and nothing of its secrets."""
    elsewhere = Cli(tmp_path / "elsewhere")
    elsewhere.ok("context", "add", "prod", "--admin-url", gateway.admin_url, "--proxy-url", gateway.proxy_url)
    return elsewhere


def log_in(cli: Cli, email: str, password: str = PASSWORD, **env: str) -> None:
    cli.ok("login", "--email", email, "--password-stdin", stdin=password, **env)


def test_a_user_from_creation_to_deletion(cli: Cli, ada: str) -> None:
    shown = cli.ok("users", "show", ada, "-o", "json").json
    assert (shown["role"], shown["org"], shown["has_password"]) == ("operator", None, True)
    cli.ok("users", "update", ada, "--role", "viewer", "--name", "Ada")
    cli.ok("users", "update", ada, "--org", "default")
    assert cli.ok("users", "show", ada, "-o", "json").json["org"] == "default"
    table = cli.ok("users", "list", "--filter", f"email={ada}").out.splitlines()
    assert table[0].split() == ["EMAIL", "ROLE", "ORG", "STATE", "LAST", "LOGIN"] and "viewer" in table[1]
    assert cli("users", "update", ada).code == 2
    assert cli("users", "create", ada, "--role", "viewer", "--sso").code == 5
    assert cli("users", "create", "x@example.com", "--role", "root", "--sso").code == 2
    asked = cli("users", "create", "x@example.com", "--role", "viewer")
    assert asked.code == 2 and "--password-stdin" in asked.err
    weak = cli("users", "create", "x@example.com", "--role", "viewer", "--password-stdin", stdin="short")
    assert weak.code == 2 and "12 to 256" in weak.err and "short" not in weak.err
    assert "would let x@example.com in" in cli.ok("users", "create", "x@example.com", "--role", "viewer", "--dry-run").out
    assert cli("users", "delete", ada).code == 2, "it asks, and nobody is there to answer"
    assert "would delete" in cli.ok("users", "delete", ada, "--dry-run").out
    cli.ok("users", "delete", ada, "--yes")
    assert cli("users", "show", ada).code == 3


def test_a_service_account_s_token_alone_goes_to_stdout(cli: Cli) -> None:
    name = f"ci-{time.time_ns()}"
    made = cli.ok("service-accounts", "create", name, "--role", "viewer", "--expires", "90d")
    token = made.out.strip()
    assert token.startswith("sk-service-") and token not in made.err
    rotated = cli.ok("service-accounts", "rotate", name, "--overlap", "1h")
    assert rotated.out.strip() != token and "opens until" in rotated.err
    cli.ok("service-accounts", "update", name, "--role", "operator", "--expires", "never")
    assert cli.ok("service-accounts", "show", name, "-o", "json").json["expires_at"] is None
    listed = cli.ok("service-accounts", "list", "--filter", f"name={name}").out
    assert "operator" in listed and token not in listed
    cli.ok("service-accounts", "revoke", name, "--yes")
    assert cli.ok("service-accounts", "list", "--filter", f"name={name}", "--columns", "state").out.split()[1] == "revoked"
    cli.ok("service-accounts", "delete", name, "--yes")
    assert cli("service-accounts", "show", name).code == 3


def test_the_roles_are_shown(cli: Cli) -> None:
    names = [role["name"] for role in cli.ok("roles", "list", "-o", "json").json["items"]]
    assert names == ["owner", "admin", "operator", "approver", "viewer"]
    assert "keys.write" in cli.ok("roles", "show", "operator").out
    assert cli("roles", "show", "root").code == 3


def test_a_user_logs_in_from_elsewhere_and_out_again(remote: Cli, ada: str) -> None:
    wrong = remote("login", "--email", ada, "--password-stdin", stdin="not the password at all")
    assert wrong.code == 4 and len(wrong.err.splitlines()) <= 3
    log_in(remote, ada)
    assert stat.S_IMODE(remote.contexts_file.stat().st_mode) == 0o600
    assert PASSWORD not in remote.contexts_file.read_text()
    me = remote.ok("whoami", "-o", "json").json
    assert (me["email"], me["role"], me["kind"], me["method"]) == (ada, "operator", "user", "password")
    assert ada in remote.ok("whoami").out
    refused = remote("users", "list", "--filter", "role=owner")
    assert refused.code == 0
    refused = remote("teams", "create", "nope")
    assert refused.code == 4 and "teams.write" in refused.err and "owner" in refused.err
    assert remote.ok("context", "list", "--columns", "name,account").out.split()[-1] == ada
    former = remote.stored("prod")
    remote.ok("logout")
    assert remote.stored("prod")["token"] is None and remote.stored("prod")["account"] is None
    assert remote.stored("prod")["device_token"], "so that others' wrong guesses do not slow this device down"
    assert remote("teams", "list").code == 4
    remote.write_contexts(former, current="prod")
    assert remote("teams", "list").code == 4, "the server knows that the session is over"


def test_a_program_logs_in_with_its_token(remote: Cli, cli: Cli) -> None:
    token = cli.ok("service-accounts", "create", f"ci-{time.time_ns()}", "--role", "viewer").out
    remote.ok("login", "--token-stdin", stdin=token)
    assert remote.ok("whoami", "-o", "json").json["kind"] == "service-account"
    assert token.strip() not in remote.contexts_file.read_text()
    assert remote("login", "--token-stdin", stdin="sk-service-wrong").code == 4
    assert remote("login", "--token-stdin", "--api-key-stdin", stdin="x").code == 2


def expired(cli: Cli) -> dict:
    """Lets the stored access token seem too old to be used."""
    stored = cli.stored("prod") | {"token_expires_at": time.time() - 1}
    cli.write_contexts(stored, current="prod")
    return stored


def test_a_session_is_renewed_without_anybody_noticing(remote: Cli, ada: str) -> None:
    log_in(remote, ada)
    before = expired(remote)
    assert remote.ok("teams", "list").err == ""
    after = remote.stored("prod")
    assert after["token"] != before["token"] and after["refresh_token"] != before["refresh_token"]
    assert after["account"] == ada and after["device_token"] == before["device_token"]
    remote.write_contexts(after | {"token": "ey.no.good"}, current="prod")
    remote.ok("teams", "list")


def test_many_commands_at_once_renew_a_session_once(remote: Cli, ada: str) -> None:
    log_in(remote, ada)
    expired(remote)
    command = [sys.executable, "-m", "scutum_cli.app", "teams", "list", "-o", "json"]
    running = [
        subprocess.Popen(command, env=remote.environment(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    results = [(process.communicate(timeout=60), process.returncode) for process in running]
    assert [code for _, code in results] == [0] * 6, results
    assert remote.ok("whoami", "-o", "json").json["email"] == ada, "a token used twice would have ended the session"


def test_a_user_s_session_that_is_over_does_not_become_the_master_key_s(cli: Cli, gateway: Gateway, ada: str) -> None:
    log_in(cli, ada)
    assert cli.ok("whoami", "-o", "json").json["email"] == ada
    other = cli.stored("local") | {"token": None, "refresh_token": None}
    cli.write_contexts(other, current="local")
    refused = cli("teams", "list", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "not_logged_in")
    cli.ok("logout")
    assert cli.ok("whoami", "-o", "json").json["kind"] == "admin", "without an account, the host's own key"


def test_a_disabled_user_is_out_at_once(remote: Cli, cli: Cli, ada: str) -> None:
    log_in(remote, ada)
    remote.ok("teams", "list")
    cli.ok("users", "update", ada, "--disable")
    refused = remote("teams", "list")
    assert refused.code == 4 and refused.err == "error: The session has expired.\nnext: scutum login\n"
    cli.ok("users", "update", ada, "--enable")
    log_in(remote, ada)
    assert cli.ok("users", "sign-out", ada, "--yes", "-o", "json").json == {"sessions": 1}
    assert remote("teams", "list").code == 4


def test_one_changes_one_s_own_password(remote: Cli, ada: str) -> None:
    log_in(remote, ada)
    fresh = "four quite unrelated words"
    wrong = remote("users", "password", stdin=f"wrong wrong wrong\n{fresh}\n")
    assert wrong.code == 4 and "current password" in wrong.err
    remote.ok("users", "password", stdin=f"{PASSWORD}\n{fresh}\n")
    remote.ok("teams", "list")
    assert remote("login", "--email", ada, "--password-stdin", stdin=PASSWORD).code == 4
    log_in(remote, ada, fresh)


def test_the_session_is_kept_in_the_system_s_keyring_where_there_is_one(remote: Cli, ada: str, tmp_path: Path) -> None:
    kept = tmp_path / "keyring.json"
    env = {
        "PYTHON_KEYRING_BACKEND": "tests.fixtures.keyring_backend.FileKeyring",
        "TEST_KEYRING_FILE": str(kept),
        "PYTHONPATH": str(ROOT),
    }
    log_in(remote, ada, **env)
    stored = remote.stored("prod")
    assert stored["vault"] and not any(stored[name] for name in ("token", "refresh_token", "device_token"))
    assert json.loads(json.loads(kept.read_text())["scutum:prod"])["refresh_token"]
    assert remote.ok("whoami", "-o", "json", **env).json["email"] == ada
    inside = json.loads(kept.read_text())
    entry = json.loads(inside["scutum:prod"]) | {"token_expires_at": time.time() - 1}
    kept.write_text(json.dumps({"scutum:prod": json.dumps(entry)}))
    remote.ok("teams", "list", **env)
    assert json.loads(json.loads(kept.read_text())["scutum:prod"])["refresh_token"] != entry["refresh_token"]
    gone = remote("teams", "list", SCUTUM_KEYRING="off", **env)
    assert gone.code == 2 and "--no-keyring" in gone.err
    remote.ok("logout", **env)
    assert not remote.stored("prod")["vault"]
    log_in_again = remote.ok("login", "--email", ada, "--no-keyring", "--password-stdin", stdin=PASSWORD, **env)
    assert remote.stored("prod")["token"] and log_in_again.code == 0
