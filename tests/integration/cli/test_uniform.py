"""The same verbs and options on every noun: what a list does on the server, trials that the server makes, watching."""

from __future__ import annotations

import os
import pty
import secrets
import signal
import subprocess
import sys
import time

import pytest

from tests.integration.cli.conftest import ROOT, Cli

NOUNS = ("orgs", "units", "teams", "keys", "providers", "models", "aliases", "budgets", "limits", "settings")
LIST_OPTIONS = ("--output", "--columns", "--sort", "--filter", "--limit", "--all", "--watch")


@pytest.fixture
def name() -> str:
    return "u" + secrets.token_hex(4)


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_the_same_verbs_and_options(cli: Cli, noun: str) -> None:
    verbs = cli.ok(noun, "--help").out
    for verb in ("list", "show"):
        assert f"  {verb} " in verbs
    assert any(f"  {verb} " in verbs for verb in ("create", "add", "set")) and any(f"  {verb} " in verbs for verb in ("update", "set"))
    assert "  delete " in verbs or "  reset " in verbs
    known = cli.ok(noun, "list", "--help").out
    everywhere = cli.ok("--help").out
    assert [option for option in LIST_OPTIONS if option not in known + everywhere] == []
    for verb in ("create", "add", "set", "update", "delete", "reset", "revoke", "rotate"):
        if f"  {verb} " in verbs:
            assert "--dry-run" in cli.ok(noun, verb, "--help").out, verb
        if f"  {verb} " in verbs and verb in {"delete", "revoke"}:
            assert "--yes" in cli.ok(noun, verb, "--help").out


def test_orgs_units_and_teams(cli: Cli, name: str) -> None:
    org, unit, team = f"{name}-org", f"{name}-unit", f"{name}-team"
    assert cli.ok("orgs", "create", org, "--time-zone", "Asia/Tokyo").err.startswith(f"Org {org} created (org_")
    assert cli.ok("units", "create", unit, "--org", org).err.startswith(f"Unit {unit} created in {org} (unit_")
    cli.ok("teams", "create", team, "--org", org)
    cli.ok("teams", "update", team, "--unit", unit)
    assert cli.ok("teams", "show", team, "-o", "json").json["unit"] == unit
    assert cli.ok("teams", "list", "--filter", f"unit={unit}", "-o", "csv").out.splitlines()[1].startswith(f"{team},{org},{unit},")
    refused = cli("units", "delete", unit, "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (5, "unit_in_use")
    assert f"scutum teams update {team} --unit none" in refused.error["hint"]
    cli.ok("teams", "update", team, "--unit", "none", "--name", f"{team}2")
    cli.ok("orgs", "update", org, "--time-zone", "UTC")
    assert cli.ok("orgs", "show", org, "-o", "json").json["time_zone"] == "UTC"
    for args in (("teams", "delete", f"{team}2"), ("units", "delete", unit), ("orgs", "delete", org)):
        assert cli.ok(*args, "--yes").err.endswith("deleted.\n")
    assert cli("orgs", "show", org).code == 3
    assert cli("orgs", "update", "default").code == 2


def test_the_server_filters_and_sorts_what_it_can(cli: Cli, name: str) -> None:
    for number in range(4):
        cli.ok("keys", "create", f"{name}-{number}", "--owner", name)
    asked = cli.ok("keys", "list", "--filter", f"name={name}-*", "--sort", "-name", "--limit", "2", "-o", "json", "--verbose")
    assert [key["name"] for key in asked.json["items"]] == [f"{name}-3", f"{name}-2"] and asked.json["next"]
    assert f"name={name}-%2A" in asked.err and "sort=-name" in asked.err and "limit=2" in asked.err
    both = cli.ok("keys", "list", "--filter", f"owner={name}", "--filter", f"hint=zzz", "-o", "json")
    assert both.json["items"] == []
    assert cli("keys", "list", "--filter", "team=nosuch").code == 3
    assert cli("keys", "list", "--filter", "state=nosuch").code == 2


def test_a_key_is_changed_and_deleted(cli: Cli, name: str) -> None:
    cli.ok("keys", "create", name)
    changed = cli.ok("keys", "update", name, "--models", "fast,smart", "--expires", "30d", "--owner", "ada", "-o", "json").json
    assert (changed["allowed_models"], changed["owner"]) == (["fast", "smart"], "ada") and changed["expires_at"]
    changed = cli.ok("keys", "update", name, "--models", "none", "--expires", "none", "--owner", "none", "-o", "json").json
    assert (changed["allowed_models"], changed["owner"], changed["expires_at"]) == (None, None, None)
    assert cli.ok("keys", "delete", name, "--yes").err == f"Key {name} deleted.\n"
    assert cli("keys", "show", name).code == 3


def test_a_trial_is_made_by_the_server(cli: Cli, name: str) -> None:
    cli.ok("teams", "create", name)
    refused = cli("teams", "create", name, "--dry-run", "-o", "json")
    assert (refused.code, refused.error["code"]) == (5, "name_taken")
    told = cli.ok("keys", "create", name, "--team", name, "--dry-run", "-o", "json").json
    assert told["dry_run"] is True and told["result"]["key"] == "dry-run" and told["result"]["team"] == name
    assert cli("keys", "show", name).code == 3
    assert cli("teams", "delete", "default", "--dry-run").code == 5
    assert cli.ok("teams", "delete", name, "--dry-run").out.startswith(f"would delete the team {name} (")
    assert cli.ok("teams", "show", name, "-o", "json").json["name"] == name
    assert cli("aliases", "delete", "nosuch", "--dry-run").code == 3
    assert cli.ok("settings", "set", "keys.default_ttl_days=7", "--dry-run", "-o", "json").json["result"]["value"] == 7
    assert cli.ok("settings", "show", "keys.default_ttl_days", "-o", "json").json["value"] is None


def test_settings_and_aliases_are_shown_and_set_back(cli: Cli, name: str) -> None:
    cli.ok("settings", "set", "keys.rotation_overlap_seconds=60")
    assert "WHAT IT DOES" not in cli.ok("settings", "show", "keys.rotation_overlap_seconds").out
    assert cli.ok("settings", "reset", "keys.rotation_overlap_seconds").err == "keys.rotation_overlap_seconds is back at 0.\n"
    cli.ok("aliases", "set", name, "sim", "--retries", "3")
    assert cli.ok("aliases", "show", name, "-o", "json").json["retries"] == 3
    cli.ok("aliases", "delete", name, "--yes")


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_limits_show_whom_they_are_for_at_any_width(cli: Cli, name: str, columns: int) -> None:
    team = f"{name}-{columns}"
    cli.ok("teams", "create", team)
    cli.ok("limits", "create", "--team", team, "--rpm", "600")
    shown = terminal(cli, columns, "limits", "list", "--filter", f"team={team}")
    assert f"team {team}" in shown and "600" in shown and "limit_" in shown
    assert "TOKENS/DAY" not in shown


def terminal(cli: Cli, columns: int, *args: str) -> str:
    """What the command shows on a terminal so many columns wide."""
    ours, theirs = pty.openpty()
    environment = cli.environment({"COLUMNS": str(columns), "TERM": "xterm"})
    done = subprocess.run([sys.executable, "-m", "scutum_cli.app", *args], stdout=theirs, stderr=subprocess.STDOUT, env=environment, cwd=ROOT, timeout=60)
    os.close(theirs)
    found = b""
    try:
        while chunk := os.read(ours, 65536):
            found += chunk
    except OSError:
        pass
    os.close(ours)
    assert done.returncode == 0, found
    return found.decode()


def test_a_watched_list_is_shown_anew_until_ctrl_c(cli: Cli, name: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "scutum_cli.app", "teams", "list", "--watch", "--filter", f"name={name}*", "-o", "csv", "--columns", "name"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cli.environment(), cwd=ROOT,
    ) as watching:  # fmt: skip
        try:
            assert watching.stdout.readline() == "name\n"
            cli.ok("teams", "create", name)
            lines = []
            deadline = time.monotonic() + 60
            while name not in lines and time.monotonic() < deadline:
                lines.append(watching.stdout.readline().strip())
            assert name in lines
            watching.send_signal(signal.SIGINT)
            assert watching.wait(20) == 0
            assert "Traceback" not in watching.stderr.read()
        finally:
            watching.kill()


def test_ids_complete_live(cli: Cli, name: str) -> None:
    cli.ok("orgs", "create", f"{name}-org")
    cli.ok("units", "create", f"{name}-unit", "--org", f"{name}-org")
    assert f"{name}-org" in cli.ok("completions", "--live", "orgs").out.splitlines()
    assert f"{name}-unit" in cli.ok("completions", "--live", "units").out.splitlines()
    away = cli("completions", "--live", "orgs", "--context", "nowhere")
    assert away.out == ""
