"""Who may call what, and how soon a change of that counts."""

from __future__ import annotations

import datetime as dt
import json

import openai
import pytest
from tests.fixtures.gateway import MASTER_KEY, Proxy
from tests.fixtures.servers import wait_until
from tests.integration.proxy.scripted import error

UTC = dt.UTC
PAST = dt.datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = dt.datetime(2120, 1, 1, tzinfo=UTC)


def usable(proxy: Proxy, key: str, model: str = "sim") -> bool:
    return proxy.chat(model, key=key)[0] == 200


def known(proxy: Proxy, key: str) -> str:
    """Waits until the proxy takes `key`."""
    wait_until(lambda: proxy.request("GET", "/v1/models", key=key)[0] != 401, what="the key to be known")
    return key


def test_refusals_never_say_why(proxy: Proxy) -> None:
    revoked = proxy.rows.key(revoked_at=dt.datetime.now(UTC))
    expired = proxy.rows.key(expires_at=PAST)
    proxy.rows.alias("after-the-keys", "sim")
    proxy.wait_for("after-the-keys")
    before = len(proxy.records())
    presented = [
        {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "},
        {"Authorization": "Bearer nonsense"}, {"Authorization": f"Basic {MASTER_KEY}"},
        {"Authorization": f"Bearer {revoked}"}, {"Authorization": f"Bearer {expired}"},
        {"x-api-key": revoked}, {"x-api-key": "sk-scutum-" + "x" * 43}, {"Authorization": "Bearer " + "x" * 10_000},
    ]  # fmt: skip
    answers = {proxy.request("POST", "/v1/chat/completions", b"{}", headers=headers)[::2] for headers in presented}
    assert len(answers) == 1
    status, body = answers.pop()
    assert (status, error(body)["code"]) == (401, "invalid_api_key")
    known(proxy, proxy.rows.key())
    assert len(proxy.records()) == before, "a request without a key is nobody's"


@pytest.mark.parametrize("header", ["Authorization", "x-api-key"])
def test_both_headers_carry_a_key(proxy: Proxy, header: str) -> None:
    key = known(proxy, proxy.rows.key())
    value = f"bearer {key}" if header == "Authorization" else key
    body = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}
    assert proxy.request("POST", "/v1/chat/completions", body, headers={header: value})[0] == 200


def test_the_master_key_is_charged_to_the_default_team(proxy: Proxy) -> None:
    _, headers, _ = proxy.chat("sim", key=MASTER_KEY)
    record = proxy.record(headers["x-request-id"])
    assert (record["key_id"], record["team_id"], record["org_id"]) == ("master", "team_default", "org_default")


def test_a_key_is_charged_to_its_team_and_owner(proxy: Proxy) -> None:
    with proxy.rows.transaction() as conn:
        conn.execute("INSERT INTO teams (id, org_id, name) VALUES ('team_x', 'org_default', 'x')")
        conn.execute("SELECT config_changed('team', 'team_x')")
    key = known(proxy, proxy.rows.key(team="team_x", owner="bob"))
    _, headers, _ = proxy.chat("sim", key=key)
    record = proxy.record(headers["x-request-id"])
    assert (record["team_id"], record["user_id"]) == ("team_x", "bob")


def test_a_revoked_key_stops_at_once_even_on_an_open_connection(proxy: Proxy) -> None:
    key = known(proxy, proxy.rows.key())
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0) as client:
        assert client.models.list().data
        proxy.rows.revoke(key)

        def refused() -> bool:
            try:
                client.models.list()
            except openai.AuthenticationError:
                return True
            return False

        wait_until(refused, seconds=1, what="the revocation to take effect")


def test_a_key_expires_while_the_proxy_runs(proxy: Proxy) -> None:
    key = known(proxy, proxy.rows.key(expires_at=dt.datetime.now(UTC) + dt.timedelta(seconds=2)))
    assert usable(proxy, key)
    wait_until(lambda: not usable(proxy, key), seconds=4, what="the key to expire")


def test_a_rotated_key_lives_as_long_as_its_overlap(proxy: Proxy) -> None:
    old = known(proxy, proxy.rows.key())
    new = known(proxy, proxy.rows.key())
    from scutum_server.infra.crypto import key_hash

    proxy.rows.change_key(new, previous_hash=key_hash("sk-former"), previous_valid_until=FUTURE)
    known(proxy, "sk-former")
    proxy.rows.change_key(new, previous_valid_until=PAST)
    wait_until(lambda: not usable(proxy, "sk-former"), what="the overlap to end")
    assert usable(proxy, new)
    assert usable(proxy, old)


@pytest.mark.parametrize("allowed", [["sim"], ["fast"]])
def test_allowed_models(proxy: Proxy, allowed: list[str]) -> None:
    key = known(proxy, proxy.rows.key(allowed_models=allowed))
    assert usable(proxy, key, allowed[0])
    status, headers, body = proxy.request("POST", "/v1/embeddings", {"model": "sim-embedding", "input": "x"}, key=key)
    assert (status, error(body)["code"], error(body)["param"]) == (403, "model_not_allowed", "model")
    assert proxy.record(headers["x-request-id"])["error_kind"] == "model_not_allowed"
    listed = {model["id"] for model in json.loads(proxy.request("GET", "/v1/models", key=key)[2])["data"]}
    assert allowed[0] in listed
    assert "sim-embedding" not in listed
    assert proxy.request("GET", "/v1/models/sim-embedding", key=key)[0] == 403


def test_an_alias_is_no_way_around_the_allowed_models(proxy: Proxy) -> None:
    key = known(proxy, proxy.rows.key(allowed_models=["sim-embedding"]))
    assert proxy.chat("fast", key=key)[0] == 403


def test_allowed_routes(proxy: Proxy) -> None:
    key = known(proxy, proxy.rows.key(allowed_routes=["/v1/embeddings"]))
    status, _, body = proxy.chat("sim", key=key)
    assert (status, error(body)["code"]) == (403, "route_not_allowed")
    assert proxy.request("POST", "/v1/embeddings", {"model": "sim-embedding", "input": "x"}, key=key)[0] == 200


@pytest.mark.parametrize(
    ("addresses", "status"),
    [(["127.0.0.1"], 200), (["10.0.0.0/8", "127.0.0.0/8"], 200), (["10.0.0.0/8"], 403), ([], 403), (["nonsense"], 403)],
)
def test_allowed_addresses(proxy: Proxy, addresses: list[str], status: int) -> None:
    key = known(proxy, proxy.rows.key(allowed_ips=addresses))
    got, _, body = proxy.request(
        "POST", "/v1/chat/completions", {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}, key=key,
        headers={"X-Forwarded-For": "10.0.0.1"},
    )  # fmt: skip
    assert got == status
    if status == 403:
        assert error(body)["code"] == "ip_not_allowed"


def test_a_deleted_model_is_gone(proxy: Proxy) -> None:
    provider = proxy.rows.provider("short-lived", "sim")
    deployment = proxy.rows.deployment("short", provider)
    proxy.wait_for("short")
    with proxy.rows.transaction() as conn:
        conn.execute("DELETE FROM deployments WHERE id = %s", (deployment,))
        conn.execute("SELECT config_changed('deployment', %s)", (deployment,))
    wait_until(lambda: not proxy.knows("short"), what="the model to be gone")
    status, headers, body = proxy.chat("short")
    assert (status, error(body)["code"], error(body)["param"]) == (404, "model_not_found", "model")
    assert proxy.record(headers["x-request-id"])["requested_model"] == "short"
