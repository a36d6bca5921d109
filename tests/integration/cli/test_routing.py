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


def test_presets_say_what_they_need(cli: Cli) -> None:
    lines = {line.split()[0]: line for line in cli.ok("providers", "presets").out.splitlines()}
    assert "https://api.groq.com/openai/v1" in lines["groq"]
    assert "its address, an API key" in lines["azure"]
    assert "region, a service account's JSON key" in lines["vertex"]
    assert "none" not in lines["gemini"]


def test_a_preset_s_name_is_enough(cli: Cli) -> None:
    added = cli.ok("providers", "add", "gemini", "--api-key-stdin", stdin="AIza-0123456789abcdef")
    assert "scutum install --with litellm" in added.err
    shown = cli.ok("providers", "show", "gemini", "-o", "json").json
    assert (shown["kind"], shown["settings"]) == ("litellm", {"vendor": "gemini"})
    lines = "[default]\naws_access_key_id = AKIA0123456789ABCDEF\naws_secret_access_key = x/y+z0123456789\n"
    cli.ok("providers", "add", "bedrock", "--region", "eu-central-1", "--api-key-stdin", stdin=lines)
    shown = cli.ok("providers", "show", "bedrock")
    assert "AKI…CDEF" in shown.out and "region=eu-central-1" in shown.out and "x/y" not in shown.out
    for name in ("gemini", "bedrock"):
        cli.ok("providers", "delete", name, "--yes")


def test_what_a_preset_lacks_is_named_in_one_sentence(cli: Cli) -> None:
    for args, sentence, hint in (
        (("mine", "--kind", "mistral"), "Mistral needs an API key.", "--api-key-stdin < FILE"),
        (("vertex",), "Google Vertex AI needs a region and a service account's JSON key.", "--region REGION --api-key"),
        (("az", "--kind", "azure"), "Azure OpenAI needs its base_url and an API key.", "--base-url https://RESOURCE."),
        (("x", "--kind", "litellm"), "Any other provider that LiteLLM knows needs LiteLLM's name of", "--vendor NAME"),
        (("mine",), "--kind is needed: one of openai,", "scutum providers presets"),
    ):
        refused = cli("providers", "add", *args)
        assert refused.code == 2, refused
        assert sentence in refused.err and hint in refused.err


def test_the_catalogue_is_listed(cli: Cli) -> None:
    models = cli.ok("models", "catalog", "--all", "-o", "json").json["items"]
    assert len(models) > 100
    assert "$" in cli.ok("models", "catalog", "--provider", "deepseek").out
    assert len(cli.ok("models", "catalog").out.splitlines()) == 101
