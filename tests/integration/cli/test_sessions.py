"""Sessions and contexts against the real admin API."""

from __future__ import annotations

import stat
import time

from tests.integration.cli.conftest import Cli, Gateway


def test_a_context_with_a_home_logs_in_by_itself_and_keeps_the_session(cli: Cli, gateway: Gateway) -> None:
    cli.ok("teams", "list")
    stored = cli.stored("local")
    assert stored["token"] and stored["token_expires_at"] > time.time() + 60
    assert stat.S_IMODE(cli.contexts_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(cli.contexts_file.parent.stat().st_mode) == 0o700
    assert "auth/login" not in cli.ok("teams", "list", "--verbose").err, "the session is used again"
    text = cli.contexts_file.read_text()
    assert gateway.master_key not in text


def test_a_session_that_the_server_no_longer_takes_is_renewed(cli: Cli, gateway: Gateway) -> None:
    broken = gateway.context(home=str(gateway.home), token="ey.not.atoken", token_expires_at=time.time() + 900)
    cli.write_contexts(broken, current="local")
    cli.ok("teams", "list")
    assert cli.stored("local")["token"] != "ey.not.atoken"


def test_a_remote_context_needs_a_login(bare: Cli, gateway: Gateway) -> None:
    bare.ok("context", "add", "prod", "--admin-url", gateway.admin_url, "--proxy-url", gateway.proxy_url)
    refused = bare("teams", "list", "-o", "json")
    assert (refused.code, refused.error["code"], refused.error["hint"]) == (4, "not_logged_in", "scutum login")
    wrong = bare("login", "--api-key-stdin", stdin="sk-scutum-wrong")
    assert wrong.code == 4
    assert "Logged in to prod" in bare.ok("login", "--api-key-stdin", stdin=f"{gateway.master_key}\n").err
    bare.ok("teams", "list")
    assert gateway.master_key not in bare.contexts_file.read_text()
    bare.ok("logout")
    assert bare("teams", "list").code == 4


def test_an_expired_session_of_a_remote_context_says_login(bare: Cli, gateway: Gateway) -> None:
    bare.write_contexts(gateway.context("prod", token="ey.old", token_expires_at=time.time() - 5), current="prod")
    refused = bare("keys", "list")
    assert refused.code == 4
    assert refused.err == "error: The session has expired.\nnext: scutum login\n"
    bare.write_contexts(gateway.context("prod", token="ey.bad", token_expires_at=time.time() + 500), current="prod")
    assert bare("keys", "list").code == 4


def test_contexts_from_first_to_last(bare: Cli, gateway: Gateway) -> None:
    none = bare("teams", "list")
    assert none.code == 2 and "scutum install" in none.err
    bare.ok("context", "add", "a", "--admin-url", "http://a.example:8086")
    bare.ok("context", "add", "b", "--admin-url", "https://b.example:8086/")
    assert bare("context", "add", "a", "--admin-url", "http://a.example:8086").code == 5
    listed = bare.ok("context", "list", "-o", "json").json["items"]
    assert [(row["name"], row["current"], row["proxy_url"]) for row in listed] == [
        ("a", True, "http://a.example:4000"),
        ("b", False, "https://b.example:4000"),
    ]
    bare.ok("context", "use", "b")
    assert bare.ok("context", "list", "--filter", "current=yes", "--columns", "name").out.split() == ["NAME", "b"]
    assert bare("context", "use", "c").code == 3
    assert bare("teams", "list", "--context", "c").code == 3
    bare.ok("context", "delete", "b", "--yes")
    assert bare.ok("context", "list", "-o", "json").json["items"][0]["current"] is True


def test_a_context_is_chosen_by_flag_before_variable_before_file(cli: Cli, gateway: Gateway) -> None:
    dead = {"name": "dead", "admin_url": "http://127.0.0.1:1", "proxy_url": "http://127.0.0.1:1"}
    cli.write_contexts(gateway.context(home=str(gateway.home)), {**dead, "token": "t", "token_expires_at": 9e9}, current="dead")
    assert cli("teams", "list").code == 7
    cli.ok("teams", "list", SCUTUM_CONTEXT="local")
    assert cli("teams", "list", "--context", "dead", SCUTUM_CONTEXT="local").code == 7
    cli.ok("--context", "local", "teams", "list")


def test_a_bad_address_or_a_broken_file_is_one_clear_error(bare: Cli) -> None:
    for url in ("gateway.example", "ftp://x", "http://", "http://user:secret@x", "http://x:notaport"):
        refused = bare("context", "add", "x", "--admin-url", url)
        assert refused.code == 2 and len(refused.err.splitlines()) <= 3, url
    bare.contexts_file.parent.mkdir(parents=True, exist_ok=True)
    for text in ("{", "[]", '{"current": null, "contexts": {"a": {"name": "a"}}}'):
        bare.contexts_file.write_text(text)
        broken = bare("teams", "list")
        assert broken.code == 2 and "not a contexts file" in broken.err
