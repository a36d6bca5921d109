"""Aliases that route, provider keys, presets and the catalogue: the real command against the real servers."""

from __future__ import annotations

from tests.integration.cli.conftest import Cli

KEY = "sk-proj-0123456789abcdefWXYZ"


def test_an_alias_with_a_strategy(cli: Cli) -> None:
    cli.ok("models", "add", "routed", "--provider", "sim", "--rpm", "500")
    args = ("aliases", "set", "spread", "sim", "routed", "--strategy", "weighted", "--weights", "3,1", "--retries", "2",
            "--timeout", "60s")  # fmt: skip
    assert "weighted" in cli.ok(*args, "--dry-run").out
    cli.ok(*args)
    (alias,) = cli.ok("aliases", "list", "--filter", "name=spread", "-o", "json").json["items"]
    assert (alias["strategy"], alias["weights"], alias["retries"], alias["total_ms"]) == ("weighted", [3, 1], 2, 60_000)
    assert "sim (3), routed (1)" in cli.ok("aliases").out
    assert cli("aliases", "set", "spread", "sim", "--strategy", "magic").code == 2
    assert cli("aliases", "set", "spread", "sim", "--strategy", "weighted", "--weights", "1,1").code == 2
    cli.ok("aliases", "delete", "spread", "--yes")


def test_models_show_their_breaker_and_capacity(cli: Cli) -> None:
    listed = cli.ok("models", "list", "--columns", "name,breaker", "--filter", "name=sim").out
    assert listed.split() == ["NAME", "BREAKER", "sim", "closed"]
    cli.ok("models", "add", "sized", "--provider", "sim", "--rpm", "500", "--tpm", "10000000")
    assert cli.ok("models", "update", "sized", "--rpm", "none", "-o", "json").json["rpm"] is None
    shown = cli.ok("models", "show", "sized")
    assert "TOKENS A MINUTE" in shown.out.upper() and "10000000" in shown.out


def test_several_keys_of_a_provider(cli: Cli) -> None:
    cli.ok("providers", "add", "multi", "--kind", "groq", "--api-key-stdin", stdin=KEY)
    added = cli.ok("providers", "keys", "add", "multi", "--api-key-stdin", stdin=KEY.replace("WXYZ", "2222"))
    assert "2222 added to multi (pkey_" in added.err and KEY[3:16] not in added.err
    assert "and 1 more" in cli.ok("providers", "show", "multi").out
    keys = cli.ok("providers", "keys", "list", "multi", "-o", "json").json["items"]
    assert [key["id"] for key in keys][0] == "primary"
    cli.ok("providers", "keys", "remove", "multi", keys[1]["id"], "--yes")
    assert len(cli.ok("providers", "keys", "list", "multi", "-o", "json").json["items"]) == 1
    assert cli("providers", "keys", "remove", "multi", "pkey_none", "--yes").code == 3
    assert cli("providers", "keys", "add", "multi").code == 2
    assert cli("providers", "keys", "ad").code == 2


def test_presets_and_the_catalogue(cli: Cli) -> None:
    presets = cli.ok("providers", "presets").out
    assert all(word in presets for word in ("azure", "https://api.groq.com/openai/v1", "optional", "required"))
    refused = cli("providers", "add", "mine", "--kind", "mistral")
    assert refused.code == 2 and "needs a key" in refused.err
    models = cli.ok("models", "catalog", "--all", "-o", "json").json["items"]
    assert len(models) > 100
    assert "$" in cli.ok("models", "catalog", "--provider", "deepseek").out
    assert len(cli.ok("models", "catalog").out.splitlines()) == 101
