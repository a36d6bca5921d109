"""Teams, keys, providers, models, aliases, settings: the real command against the real admin API."""

from __future__ import annotations

import csv
import io
import re

import pytest

from tests.integration.cli.conftest import Cli, Gateway


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return re.sub(r"\W+", "-", request.node.name).removeprefix("test-")[:60]


def test_a_team_from_creation_to_deletion(cli: Cli, name: str) -> None:
    made = cli.ok("teams", "create", name)
    assert (made.out, made.err.startswith(f"Team {name} created (team_")) == ("", True)
    shown = cli.ok("teams", "show", name, "-o", "json").json
    assert shown["name"] == name and shown["id"].startswith("team_")
    assert f"\n{name} " in cli.ok("teams", "list").out
    assert cli.ok("teams", "show", shown["id"][:-2], "-o", "json").json == shown, "a unique part of the id"
    assert cli.ok("teams", "delete", name, "--yes").err == f"Team {name} deleted.\n"
    assert cli("teams", "show", name).code == 3


def test_all_four_formats(cli: Cli, name: str) -> None:
    cli.ok("teams", "create", name)
    listed = cli.ok("teams", "list", "-o", "json").json
    assert listed["next"] is None and name in [team["name"] for team in listed["items"]]
    yaml = cli.ok("teams", "show", name, "-o", "yaml").out
    assert f"name: {name}\n" in yaml
    rows = list(csv.DictReader(io.StringIO(cli.ok("teams", "list", "--all", "-o", "csv").out)))
    assert [row["id"] for row in rows if row["name"] == name] == [cli.ok("teams", "show", name, "-o", "json").json["id"]]
    assert rows[0]["created_at"].endswith("Z"), "csv carries raw values"
    assert cli("teams", "list", "-o", "xml").code == 2


def test_list_options(cli: Cli) -> None:
    for team in ("zz-c", "zz-a", "zz-b"):
        cli.ok("teams", "create", team)
    out = cli.ok("teams", "list", "--columns", "name", "--sort", "-name", "--limit", "2").out.split()
    assert out == ["NAME", "zz-c", "zz-b"]
    assert [t["name"] for t in cli.ok("teams", "list", "--filter", "name=zz-a", "-o", "json").json["items"]] == ["zz-a"]
    cut = cli.ok("teams", "list", "--limit", "1")
    assert len(cut.out.splitlines()) == 2 and "--all" in cut.err
    wrong = cli("teams", "list", "--sort", "size")
    assert wrong.code == 2 and "name, org, created_at, id" in wrong.err


def test_a_key_is_printed_once_and_alone(cli: Cli, name: str) -> None:
    cli.ok("teams", "create", name)
    made = cli.ok("keys", "create", name, "--team", name, "--expires", "30d", "--models", "fast,sim", "--metadata", "env=prod")
    assert re.fullmatch(r"sk-scutum-\S+\n", made.out)
    assert "shown this once" in made.err and made.out.strip() not in made.err
    shown = cli.ok("keys", "show", name)
    assert made.out.strip() not in shown.out
    assert "in 30 d" in shown.out and "fast, sim" in shown.out and "env=prod" in shown.out
    assert cli.ok("keys", "create", f"{name}-2", "--quiet").err == ""
    listed = cli.ok("keys", "list", "--team", name, "-o", "json").json["items"]
    assert [key["name"] for key in listed] == [name] and "key" not in listed[0]
    assert cli("teams", "delete", name, "--yes").code == 5, "a team with live keys stays"


def test_rotating_and_revoking_a_key(cli: Cli, name: str) -> None:
    first = cli.ok("keys", "create", name).out
    rotated = cli.ok("keys", "rotate", name, "--overlap", "10m", "-o", "json").json
    assert rotated["key"] != first.strip() and rotated["previous_valid_until"]
    told = cli.ok("keys", "rotate", name, "--overlap", "10m", "--utc").err
    assert re.search(r"the former opens until \S+ \S+ UTC\.", told), told
    asked = cli("keys", "revoke", name)
    assert asked.code == 2 and "--yes" in asked.err
    assert cli.ok("keys", "show", name, "-o", "json").json["state"] == "active"
    assert cli.ok("keys", "revoke", name, "--yes", "-o", "json").json["state"] == "revoked"


def test_a_dry_run_changes_nothing(cli: Cli, name: str) -> None:
    cli.ok("keys", "create", name)
    assert cli.ok("teams", "create", name, "--dry-run").out == f"would create the team {name}\n"
    assert cli("teams", "show", name).code == 3
    told = cli.ok("keys", "revoke", name, "--dry-run", "-o", "json").json
    assert told["dry_run"] is True and name in told["would"]
    assert cli.ok("keys", "show", name, "-o", "json").json["state"] == "active"
    before = cli.ok("aliases", "-o", "json").out
    cli.ok("aliases", "delete", "fast", "--dry-run")
    assert cli.ok("aliases", "-o", "json").out == before


def test_a_provider_and_its_models(cli: Cli, name: str) -> None:
    secret = "sk-vendor-0123456789abcdef"
    made = cli.ok(
        "providers", "add", name, "--kind", "openai", "--base-url", "http://127.0.0.1:1/v1", "--timeout", "30s",
        "--api-key-stdin", stdin=f"{secret}\n",
    )  # fmt: skip
    assert "test it: scutum providers test" in made.err
    shown = cli.ok("providers", "show", name)
    assert secret not in shown.out and "timeouts.total_ms=30000" in shown.out
    priced = ("--upstream-model", "tiny", "--price", "0.25,2")
    assert "price" not in cli.ok("models", "add", f"{name}-m", "--provider", name, *priced).err
    assert "$0.25 in, $2.00 out" in cli.ok("models", "show", f"{name}-m").out
    cli.ok("models", "update", f"{name}-m", "--price", "none")
    assert cli.ok("models", "show", f"{name}-m", "-o", "json").json["price"] is None
    free = cli.ok("models", "add", f"{name}-free", "--provider", name).err
    assert "price is unknown" in free and "no budget holds them" in free and "--price IN,OUT" in free
    assert "unknown" in cli.ok("models", "list", "--filter", f"name={name}-free").out
    failed = cli("providers", "test", name)
    assert failed.code == 7 and len(failed.err.splitlines()) <= 3 and secret not in failed.err
    kept = cli("providers", "delete", name, "--yes")
    assert kept.code == 5 and f"{name}-m" in kept.err
    assert "and its models" in cli.ok("providers", "delete", name, "--cascade", "--yes").err
    assert cli("models", "show", f"{name}-m").code == 3


def test_a_provider_of_anthropics_format(cli: Cli, name: str) -> None:
    cli.ok(
        "providers", "add", name, "--kind", "anthropic", "--max-tokens", "8192", "--structured-output", "tool",
        "--api-key-stdin", stdin="sk-ant-0123456789abcdef",
    )  # fmt: skip
    shown = cli.ok("providers", "show", name, "-o", "json").json
    assert (shown["kind"], shown["base_url"]) == ("anthropic", "https://api.anthropic.com")
    assert shown["settings"] == {"max_tokens": 8192, "structured_output": "tool"}
    wrong = cli("providers", "update", name, "--responses", "native")
    assert wrong.code != 0 and "responses" in wrong.err
    cli.ok("providers", "delete", name, "--yes")
    cli.ok("providers", "add", name, "--kind", "openai", "--base-url", "http://127.0.0.1:9/v1", "--responses", "native")
    assert cli.ok("providers", "show", name, "-o", "json").json["settings"] == {"responses": "native"}


def test_a_provider_key_never_comes_from_argv(cli: Cli, name: str) -> None:
    assert cli("providers", "add", name, "--kind", "openai", "--api-key", "sk-x").code == 2
    empty = cli("providers", "add", name, "--kind", "openai", "--api-key-stdin", stdin="")
    assert empty.code == 2 and "standard input" in empty.err


def test_the_way_to_a_provider(cli: Cli, name: str) -> None:
    cli.ok("providers", "add", name, "--kind", "openai", "--base-url", "http://127.0.0.1:9/v1", "--proxy", "http://gw@proxy.corp:3128")
    cli.ok("providers", "update", name, "--proxy-password-stdin", stdin="hunter2-and-more\n")
    shown = cli.ok("providers", "show", name, "-o", "json")
    assert shown.json["settings"] == {"proxy": "http://gw@proxy.corp:3128"}
    both = cli("providers", "update", name, "--api-key-stdin", "--proxy-password-stdin", stdin="x\n")
    assert both.code == 2 and "one secret" in both.err
    wrong = cli("providers", "update", name, "--proxy", "socks5://p:1")
    assert wrong.code == 2 and "settings.proxy must begin with http://" in wrong.err
    cli.ok("providers", "update", name, "--proxy", "direct")
    assert cli.ok("providers", "show", name, "-o", "json").json["settings"] == {"proxy": "direct"}


def test_the_dials_of_a_simulator(cli: Cli, name: str) -> None:
    cli.ok("providers", "add", name, "--kind", "sim")
    told = cli.ok("providers", "sim", name, "--latency", "200ms", "--error-rate", "30%", "--error-kind", "rate_limit")
    assert told.err == f"Dials of {name}: latency_ms=200, error_rate=0.3, error_kind=rate_limit.\n"
    assert cli.ok("providers", "sim", name, "--reset", "--tokens", "8", "-o", "json").json["settings"] == {"completion_tokens": 8}
    wrong = cli("providers", "sim", name, "--error-kind", "explosion")
    assert wrong.code == 2 and "error_kind" in wrong.err


def test_aliases(cli: Cli, name: str) -> None:
    assert cli.ok("aliases").out == cli.ok("aliases", "list").out
    told = cli.ok("aliases", "set", name, "sim", "sim-embedding")
    assert told.err == f"Alias {name} now resolves to sim.\n"
    assert cli.ok("aliases", "--filter", f"name={name}", "-o", "json").json["items"][0]["targets"] == ["sim", "sim-embedding"]
    assert cli("aliases", "set", name, "no-such-model").code == 3
    cli.ok("aliases", "delete", name, "--yes")
    assert cli("aliases", "delete", name, "--yes").code == 3


def test_settings(cli: Cli) -> None:
    assert "keys.default_ttl_days" in cli.ok("settings", "list").out
    assert cli.ok("settings", "set", "keys.default_ttl_days=90").err == "keys.default_ttl_days is now 90.\n"
    assert cli.ok("settings", "get", "keys.default_ttl_days").out == "90\n"
    cli.ok("settings", "set", "keys.default_ttl_days=null")
    assert cli("settings", "set", "keys.default_ttl_days=soon").code == 2
    assert cli("settings", "set", "keys.nope=1").code == 3
    unknown = cli("settings", "get", "keys.nope", "-o", "json")
    assert (unknown.code, unknown.error["code"]) == (3, "setting_not_found")


@pytest.mark.parametrize(
    "command",
    [
        ("teams", "show", "nope"), ("keys", "show", "nope"), ("keys", "revoke", "nope", "--yes"), ("models", "show", "nope"),
        ("providers", "show", "nope"), ("providers", "test", "nope"), ("models", "delete", "nope/../x", "--yes"),
        ("teams", "show", "ü%2F?x=1"),
    ],
)  # fmt: skip
def test_an_unknown_object_is_exit_code_3(cli: Cli, command: tuple[str, ...]) -> None:
    table = cli(*command)
    assert table.code == 3 and table.out == "" and len(table.err.splitlines()) <= 3
    told = cli(*command, "-o", "json")
    assert told.code == 3 and told.error["code"].endswith("_not_found") and told.error["request_id"]


def test_every_change_says_that_the_command_made_it(cli: Cli, gateway: Gateway, name: str) -> None:
    cli.ok("teams", "create", name)
    import json
    import urllib.request

    token = cli.stored("local")["token"]
    asked = urllib.request.Request(
        f"{gateway.admin_url}/api/v1/audit-logs?limit=5", headers={"authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(asked) as answer:
        latest = json.load(answer)["items"][0]
    assert (latest["action"], latest["source"]) == ("team.create", "cli")


def test_maintenance_is_switched_by_a_word_and_leaves_its_mark(cli: Cli) -> None:
    assert cli.ok("maintenance", "status").out == "off\n"
    assert cli.ok("maintenance", "on", "--dry-run").code == 0
    assert cli.ok("maintenance", "status").out == "off\n"
    on = cli.ok("maintenance", "on", "--retry-after", "2m")
    assert on.err == "Maintenance is on: new requests get 503 with Retry-After 120 s.\n"
    shown = cli.ok("maintenance", "status", "-o", "json").json
    assert (shown["enabled"], shown["retry_after_seconds"]) == (True, 120) and shown["since"]
    assert cli("maintenance", "on", "--retry-after", "never").code == 2
    assert cli.ok("maintenance", "off").err == "Maintenance is off.\n"
    assert cli.ok("maintenance", "status").out == "off\n"
