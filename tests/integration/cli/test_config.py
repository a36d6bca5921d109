"""`scutum config export | diff | apply | drift`."""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path

import pytest
import yaml

from tests.integration.cli.conftest import Cli, Gateway
from tests.integration.cli.test_terminal import on_terminal


@pytest.fixture
def team(unique_name: str) -> str:
    return unique_name


@pytest.fixture
def unique_name() -> str:
    return f"team-{secrets.token_hex(4)}"


def write(tmp_path: Path, **sections: object) -> str:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump({"version": 1, **sections}, sort_keys=False))
    return str(file)


def test_export_diff_and_apply(cli: Cli, gateway: Gateway, tmp_path: Path, team: str) -> None:
    del gateway
    first = cli.ok("config", "export").out
    assert first.startswith("# Scutum's configuration") and yaml.safe_load(first)["version"] == 1
    assert cli.ok("config", "export").out == first
    assert cli.ok("config", "export", "-o", "json").json["teams"]
    file = write(tmp_path, teams=[{"name": team}])
    found = cli("config", "diff", file)
    assert (found.code, found.out) == (1, f"+ team default/{team}\n") and "1 to create" in found.err
    as_json = cli("config", "diff", file, "-o", "json")
    assert as_json.code == 1 and as_json.json["changes"][0]["line"] == 3
    asked = cli("config", "apply", file)
    assert asked.code == 2 and "--yes" in asked.err
    tried = cli.ok("config", "apply", file, "--dry-run")
    assert "nothing was changed" in tried.err
    assert cli("config", "diff", file).code == 1
    done = cli.ok("config", "apply", file, "--yes")
    assert "1 object created" in done.err
    assert cli("config", "diff", file).code == 0
    assert "Nothing to change" in cli.ok("config", "apply", file).err, "there is nothing to ask"
    assert cli.ok("config", "drift").code == 0
    cli.ok("teams", "delete", team, "--yes")
    left = cli("config", "drift")
    assert left.code == 1 and f"+ team default/{team}" in left.out and "apply it again" in left.err
    cli.ok("config", "drift", "--forget")
    assert "No file was applied" in cli.ok("config", "drift").err


def test_a_fault_is_told_in_three_lines_with_its_place(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("version: 1\nteams:\n- nam: a\n  name: b\n- name: 7\n  unit: nowhere\n")
    result = cli("config", "apply", str(file), "--yes")
    assert result.code == 2 and "line 3, column 3: teams[0].nam" in result.err and "did you mean name?" in result.err
    assert len(result.err.splitlines()) <= 3
    file.write_text("version: 1\nteams:\n- {name: 7, unit: nowhere}\n- {nam: 1}")
    several = cli("config", "diff", str(file))
    assert "line 4" in several.err and len(several.err.splitlines()) <= 3
    assert cli("config", "diff", str(tmp_path / "none.yaml")).code == 2


def test_secrets_come_from_the_environment_or_a_file_of_this_command(cli: Cli, tmp_path: Path) -> None:
    name = f"vendor-{secrets.token_hex(4)}"
    provider = {"name": name, "kind": "openai", "api_key": "env:MY_VENDOR_KEY"}
    file = write(tmp_path, providers=[provider])
    missing = cli("config", "apply", file, "--yes")
    assert missing.code == 2 and "env:MY_VENDOR_KEY" in missing.err
    assert "env:MY_VENDOR_KEY" in cli("config", "diff", file).err
    secret = "sk-vendor-" + secrets.token_hex(16)
    done = cli.ok("config", "apply", file, "--yes", MY_VENDOR_KEY=secret)
    assert secret not in done.out + done.err
    assert cli("config", "diff", file).code == 0
    assert name in cli.ok("config", "export").out and secret not in cli.ok("config", "export").out
    (tmp_path / "key").write_text("sk-other-" + secrets.token_hex(16) + "\n")
    other = write(tmp_path, providers=[{**provider, "api_key": "file:key"}])
    changed = cli.ok("config", "apply", other, "--yes", "-o", "json").json
    assert changed["changes"][0]["fields"]["api_key"] == {"before": "env:MY_VENDOR_KEY", "after": "file:key"}
    cli.ok("providers", "delete", name, "--yes")


def test_a_key_made_elsewhere_opens_the_proxy_by_its_hash_alone(cli: Cli, gateway: Gateway, tmp_path: Path) -> None:
    import http.client

    plain = "sk-scutum-" + secrets.token_urlsafe(32)
    name = f"gitops-{secrets.token_hex(4)}"
    key = {"team": "default", "name": name, "sha256": hashlib.sha256(plain.encode()).hexdigest()}
    cli.ok("config", "apply", write(tmp_path, keys=[key]), "--yes")

    def status() -> int:
        connection = http.client.HTTPConnection(gateway.proxy_url.removeprefix("http://"), timeout=10)
        connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {plain}"})
        found = connection.getresponse().status
        connection.close()
        return found

    from tests.fixtures.servers import wait_until

    wait_until(lambda: status() == 200, what="the proxy to know the key")
    cli.ok("keys", "revoke", name, "--yes")
    wait_until(lambda: status() == 401, what="the proxy to forget the key")


def test_a_terminal_shows_colours_and_asks(cli: Cli, tmp_path: Path, team: str) -> None:
    file = write(tmp_path, teams=[{"name": team}])
    code, screen = on_terminal(cli, "config", "apply", file, typed="n\n", after="[y/N]")
    assert code == 2 and f"\x1b[32m+ team default/{team}\x1b[0m" in screen and "(1 to create)? [y/N]" in screen
    assert json.loads(cli("config", "diff", file, "-o", "json").out)["counts"]["create"] == 1
