"""`scutum limits` and `scutum budgets` against a real gateway, down to the refused request."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

from tests.fixtures.servers import wait_until
from tests.integration.cli.conftest import Cli, Gateway


def call(gateway: Gateway, key: str, model: str = "sim") -> tuple[int, str]:
    request = urllib.request.Request(
        f"{gateway.proxy_url}/v1/chat/completions",
        json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode(),
        {"Authorization": f"Bearer {key}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]["code"]


def test_a_limit_from_the_command_line_to_the_refused_request(cli: Cli, gateway: Gateway) -> None:
    cli.ok("teams", "create", "limited")
    key = cli.ok("keys", "create", "limited", "--team", "limited").out.strip()
    made = cli.ok("limits", "create", "--team", "limited", "--rpd", "2")
    assert re.match(r"Limit for team limited created \(limit_", made.err)
    wait_until(lambda: call(gateway, key) == (429, "rate_limit_exceeded"), what="the limit to hold")
    (limit,) = cli.ok("limits", "list", "--filter", "team=limited", "-o", "json").json["items"]
    assert "team limited" in cli.ok("limits", "list").out
    assert f"team limited,,,2,,,,{limit['id']}" in cli.ok("limits", "list", "-o", "csv").out
    again = cli("limits", "create", "--team", "limited", "--rpm", "2")
    assert again.code == 5 and "scutum limits update ID" in again.err
    assert "Req/day" in cli.ok("limits", "show", limit["id"]).out
    assert (
        cli.ok("limits", "update", limit["id"], "--rpd", "none", "--rpm", "1000").err
        == "Limit for team limited updated.\n"
    )
    wait_until(lambda: call(gateway, key)[0] == 200, what="the limit to be raised")
    cli.ok("limits", "delete", limit["id"], "--yes")
    assert cli("limits", "show", limit["id"]).code == 3


def test_a_budget_from_the_command_line(cli: Cli) -> None:
    cli.ok("teams", "create", "thrifty")
    made = cli.ok("budgets", "create", "--team", "thrifty", "--month", "250", "--soft", "70%")
    assert re.match(r"Budget of \$250\.00 a month for team thrifty created \(budget_", made.err)
    listed = cli.ok("budgets", "list").out
    assert "SPENT" in listed and "LEFT" in listed and "team thrifty" in listed and "  0 % .........." in listed
    (budget,) = cli.ok("budgets", "list", "--filter", "team=thrifty", "-o", "json").json["items"]
    assert (budget["soft_percent"], budget["left_usd"], budget["state"]) == (70, "250", "ok")
    assert (
        f"team thrifty,month,250,0,250,0,ok,,{budget['until']},{budget['id']}"
        in cli.ok("budgets", "list", "-o", "csv").out
    )
    assert "$500.00 left" in cli.ok("budgets", "update", budget["id"], "--amount", "500").err
    cli.ok("budgets", "delete", budget["id"], "--yes")


def test_what_is_wrong_is_said_before_anything_is_sent(cli: Cli) -> None:
    for words, said in (
        (("limits", "create", "--rpm", "5"), "Say whom"),
        (("limits", "create", "--global", "--team", "x", "--rpm", "5"), "Say whom"),
        (("limits", "create", "--global"), "at least one of"),
        (("limits", "create", "--global", "--rpm", "0"), "--rpm takes"),
        (("limits", "create", "--global", "--rpm", "5", "--on-failure", "maybe"), "open or closed"),
        (("limits", "update", "limit_1"), "Nothing to change"),
        (("budgets", "create", "--team", "x"), "--month"),
        (("budgets", "create", "--month", "5"), "Say whom"),
        (("budgets", "create", "--global", "--month", "much"), "US dollars"),
    ):
        result = cli(*words)
        assert result.code == 2 and said in result.err, result


def test_who_is_not_there_is_looked_up_where_the_answer_says(cli: Cli) -> None:
    for words, step in (
        (("limits", "create", "--team", "nobody", "--rpm", "5"), "scutum teams list"),
        (("budgets", "create", "--key", "nobody", "--day", "5"), "scutum keys list"),
        (("limits", "create", "--model", "nothing", "--rpm", "5"), "scutum models list"),
    ):
        result = cli(*words)
        assert result.code == 3 and step in result.err, result
