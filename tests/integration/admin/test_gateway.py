"""Providers, models, aliases and settings, as a client of the admin API meets them."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import psycopg

from scutum_server.infra.crypto import SecretBox
from tests.integration.admin.conftest import Admin

SECRET = "sk-proj-0123456789abcdefWXYZ"
LOCAL = {"name": "local", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": SECRET}


async def test_a_new_install_answers_to_the_usual_names(admin: Admin) -> None:
    (provider,) = (await admin.get("/providers"))["items"]
    assert (provider["name"], provider["kind"], provider["simulated"]) == ("sim", "sim", True)
    assert provider["models"] == ["sim", "sim-embedding"]
    assert {model["name"]: model["kind"] for model in (await admin.get("/models"))["items"]} == {
        "sim": "chat", "sim-embedding": "embedding",
    }  # fmt: skip
    aliases = (await admin.get("/aliases"))["items"]
    assert [alias["name"] for alias in aliases] == [
        "coding",
        "cost-effective",
        "fast",
        "powerful",
        "reasoning",
        "smart",
    ]
    assert {alias["resolves_to"] for alias in aliases} == {"sim"}


async def test_a_provider_s_key_is_wrapped_and_only_hinted_at(admin: Admin) -> None:
    provider = await admin.make("/providers", **LOCAL)
    assert provider["api_key_hint"] == "sk-…WXYZ"
    (row,) = admin.sql("SELECT api_key_wrapped FROM providers WHERE name = 'local'")
    assert SecretBox(b"k" * 32).unwrap(row["api_key_wrapped"], provider["id"]) == SECRET
    assert await admin.get("/providers/local") == provider
    (trail,) = admin.audit("provider.create")[1:]
    assert trail["diff"]["after"]["api_key"] == "[redacted]"
    assert admin.config("provider", provider["id"]) == 1


async def test_a_provider_is_changed_field_by_field(admin: Admin) -> None:
    created = await admin.make("/providers", **LOCAL, settings={"timeouts": {"connect_ms": 100, "total_ms": 9000}})
    changed = await admin.call(
        "PATCH", "/providers/local", json={"settings": {"timeouts": {"connect_ms": None, "first_byte_ms": 50}}}
    )
    assert changed.json()["settings"] == {"timeouts": {"total_ms": 9000, "first_byte_ms": 50}}
    same_hint = SECRET.replace("0123", "3210")
    changed = await admin.call("PATCH", "/providers/local", json={"api_key": same_hint})
    assert changed.json()["api_key_hint"] == created["api_key_hint"]
    assert admin.audit("provider.update")[-1]["diff"] == {
        "before": {"api_key": "[redacted]"}, "after": {"api_key": "[redacted]"},
    }  # fmt: skip
    changed = await admin.call("PATCH", "/providers/local", json={"api_key": None, "base_url": None, "name": "remote"})
    assert changed.json()["api_key_hint"] is None
    assert changed.json()["base_url"] == "https://api.openai.com/v1"
    assert admin.sql("SELECT api_key_wrapped FROM providers WHERE name = 'remote'") == [{"api_key_wrapped": None}]
    before = len(admin.audit("provider.update"))
    await admin.call("PATCH", "/providers/remote", json={"name": "remote"})
    assert len(admin.audit("provider.update")) == before
    await admin.fails("PATCH", "/providers/remote", 409, "name_taken", json={"name": "sim"})


async def test_the_simulator_is_changed_live(admin: Admin) -> None:
    changed = await admin.call(
        "PATCH", "/providers/sim", json={"settings": {"latency_ms": 200, "error_kind": "overloaded"}}
    )
    assert changed.json()["settings"] == {"latency_ms": 200, "error_kind": "overloaded"}
    await admin.fails("PATCH", "/providers/sim", 400, "invalid_field", json={"api_key": "x" * 20})


async def test_a_provider_in_use_stays_unless_told_to_cascade(admin: Admin) -> None:
    problem = await admin.fails("DELETE", "/providers/sim", 409, "provider_in_use")
    assert "sim-embedding" in problem["detail"]
    assert (await admin.call("DELETE", "/providers/sim?cascade=true")).status_code == 204
    assert (await admin.get("/models"))["items"] == []
    assert {alias["resolves_to"] for alias in (await admin.get("/aliases"))["items"]} == {None}
    assert len(admin.audit("model.delete")) == 2 and len(admin.audit("provider.delete")) == 1
    await admin.fails("GET", "/providers/sim", 404, "provider_not_found")


BAD_PROVIDERS: list[tuple[dict, str]] = [
    ({"base_url": "ftp://x/v1"}, "base_url"),
    ({"base_url": "http://user:pw@x/v1"}, "base_url"),
    ({"base_url": "http://x/v1#frag"}, "base_url"),
    ({"base_url": "http://x/v1?a=b"}, "base_url"),
    ({"base_url": "http:///v1"}, "base_url"),
    ({"base_url": "http://x:99999/v1"}, "base_url"),
    ({"base_url": "http://x y/v1"}, "base_url"),
    ({"base_url": "http://x/v1\r\nHost: y"}, "base_url"),
    ({"base_url": "http://exämple/v1"}, "base_url"),
    ({"base_url": "http://[::1/v1"}, "base_url"),
    ({"base_url": ""}, "base_url"),
    ({"api_key": "two words"}, "api_key"),
    ({"api_key": "line\nend"}, "api_key"),
    ({"api_key": ""}, "api_key"),
    ({"name": "a b"}, "name"),
    ({"name": "größe"}, "name"),
    ({"name": "a/b"}, "name"),
    ({"settings": {"timeouts": {"connect_ms": "5"}}}, "settings.timeouts.connect_ms"),
    ({"settings": {"timeouts": {"connect_ms": 0}}}, "settings.timeouts.connect_ms"),
    ({"settings": {"timeouts": {"conect_ms": 5}}}, "settings.timeouts.conect_ms"),
    ({"settings": {"latency_ms": 5}}, "settings.latency_ms"),
    ({"settings": {"ca_bundle": 5}}, "settings.ca_bundle"),
    ({"kind": "gopher"}, "kind"),
    ({"unknown": 1}, "unknown"),
]


async def test_a_bad_provider_is_refused_with_the_field_s_name(admin: Admin) -> None:
    for change, field in BAD_PROVIDERS:
        answer = await admin.call("POST", "/providers", json=LOCAL | change)
        assert answer.status_code in {400, 422}, (change, answer.text)
        assert [error["field"] for error in answer.json()["errors"]] == [field], change
        assert SECRET not in answer.text and "pw@" not in answer.text
    assert len(admin.sql("SELECT id FROM providers")) == 1


async def test_a_model_is_made_changed_and_deleted(admin: Admin) -> None:
    await admin.make("/providers", **LOCAL)
    model = await admin.make("/models", name="meta-llama/Llama-3:8b", provider="local", kind="chat")
    assert (model["upstream_model"], model["provider"], model["price"]) == ("meta-llama/Llama-3:8b", "local", None)
    path = f"/models/{quote(model['name'], safe='')}"
    assert await admin.get(path) == model
    price = {"input_nano": 250, "output_nano": 2000, "cached_nano": None}
    changed = await admin.call("PATCH", path, json={"price": price, "upstream_model": "llama", "name": "llama"})
    renamed = {"upstream_model": "llama", "name": "llama", "price_source": "operator"}
    renamed |= {"updated_at": changed.json()["updated_at"]}
    assert changed.json() == model | {"price": price} | renamed
    (row,) = admin.sql("SELECT settings FROM deployments WHERE name = 'llama'")
    assert row["settings"] == {"kind": "chat", "price": price}
    changed = await admin.call("PATCH", "/models/llama", json={"price": None, "kind": None})
    assert (changed.json()["price"], changed.json()["kind"]) == (None, None)
    assert (await admin.call("DELETE", "/models/llama")).status_code == 204
    assert admin.config("deployment", model["id"]) == 4


async def test_a_model_says_who_knows_its_price(admin: Admin) -> None:
    await admin.make("/providers", **LOCAL)
    await admin.make("/providers", name="openai", kind="openai", api_key=SECRET)
    await admin.make("/models", name="gpt-5-mini", provider="openai")
    await admin.make("/models", name="gpt-5-of-tomorrow", provider="openai")
    await admin.make("/models", name="llama", provider="local")
    found = {model["name"]: model["price_source"] for model in (await admin.get("/models"))["items"]}
    del found["sim-embedding"]
    assert found == {"sim": "simulated", "gpt-5-mini": "catalogue", "gpt-5-of-tomorrow": "unknown", "llama": "unknown"}


async def test_one_name_at_two_providers_is_a_group(admin: Admin) -> None:
    await admin.make("/providers", **LOCAL)
    await admin.make("/models", name="sim", provider="local")
    problem = await admin.fails("GET", "/models/sim", 409, "ambiguous_ref")
    assert "sim at local" in problem["detail"] and "sim at sim" in problem["detail"]
    await admin.fails("POST", "/models", 409, "name_taken", json={"name": "sim", "provider": "local"})
    assert [model["name"] for model in (await admin.get("/models", provider="local"))["items"]] == ["sim"]
    await admin.fails("POST", "/models", 404, "provider_not_found", json={"name": "x", "provider": "nope"})
    for bad in ("a b", "../x", "é", "-x", "a//b", "x" * 201):
        answer = await admin.call("POST", "/models", json={"name": bad, "provider": "sim"})
        assert answer.json()["errors"][0]["field"] == "name", bad


async def test_an_alias_points_at_models_that_exist(admin: Admin) -> None:
    await admin.make("/models", name="second", provider="sim")
    put = await admin.call("PUT", "/aliases/team/fast", json={"targets": ["second", "sim", "second"]})
    alias = put.json()
    assert (alias["name"], alias["targets"], alias["resolves_to"]) == ("team/fast", ["second", "sim"], "second")
    await admin.call("DELETE", "/models/second")
    aliases = {alias["name"]: alias for alias in (await admin.get("/aliases"))["items"]}
    assert aliases["team/fast"]["resolves_to"] == "sim"
    await admin.fails("PUT", "/aliases/fast", 404, "model_not_found", json={"targets": ["nope"]})
    await admin.fails("PUT", "/aliases/sim", 409, "name_taken", json={"targets": ["sim-embedding"]})
    await admin.fails("POST", "/models", 409, "name_taken", json={"name": "fast", "provider": "sim"})
    await admin.fails("PUT", "/aliases/x", 422, "invalid_request", json={"targets": []})
    await admin.call("PUT", "/aliases/fast", json={"targets": ["sim"]})
    (chosen,) = admin.audit("alias.update")
    assert chosen["diff"]["before"]["automatic"] and not chosen["diff"]["after"]["automatic"]
    await admin.call("PUT", "/aliases/fast", json={"targets": ["sim"]})
    assert admin.audit("alias.update") == [chosen], "the same targets are no change"
    assert (await admin.call("DELETE", "/aliases/fast")).status_code == 204
    await admin.fails("DELETE", "/aliases/fast", 404, "alias_not_found")


async def test_a_name_is_never_model_and_alias_at_once(admin: Admin) -> None:
    """Another transaction is making the alias; the model must wait for its end and then see it."""
    async with await psycopg.AsyncConnection.connect(**admin.database.conninfo()) as other:
        await other.execute("SELECT pg_advisory_xact_lock(hashtextextended('gateway-name:both', 0))")
        await other.execute("INSERT INTO aliases (name, targets) VALUES ('both', '{sim}')")
        creating = asyncio.create_task(admin.call("POST", "/models", json={"name": "both", "provider": "sim"}))
        await waiting_for_a_lock(admin)
        await other.commit()
        assert (await creating).json()["code"] == "name_taken"


async def waiting_for_a_lock(admin: Admin) -> None:
    query = "SELECT 1 AS x FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not admin.sql(query):
            await asyncio.sleep(0.02)


async def test_of_fifty_providers_of_one_name_one_wins(admin: Admin) -> None:
    answers = await asyncio.gather(*(admin.call("POST", "/providers", json=LOCAL) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49


async def test_a_model_is_not_made_at_a_provider_that_is_being_deleted(admin: Admin) -> None:
    await admin.make("/providers", **LOCAL)
    async with await psycopg.AsyncConnection.connect(**admin.database.conninfo()) as other:
        await other.execute("DELETE FROM providers WHERE name = 'local'")
        creating = asyncio.create_task(admin.call("POST", "/models", json={"name": "m", "provider": "local"}))
        await waiting_for_a_lock(admin)
        await other.commit()
        assert (await creating).json()["code"] == "provider_not_found"


async def test_a_provider_s_deletion_waits_for_a_model_that_is_being_made(admin: Admin) -> None:
    local = await admin.make("/providers", **LOCAL)
    async with await psycopg.AsyncConnection.connect(**admin.database.conninfo()) as other:
        await other.execute("SELECT 1 FROM providers WHERE id = %s FOR SHARE", (local["id"],))
        await other.execute(
            "INSERT INTO deployments (id, name, provider_id, upstream_model) VALUES ('model_x', 'x', %s, 'x')",
            (local["id"],),
        )
        deleting = asyncio.create_task(admin.call("DELETE", "/providers/local"))
        await waiting_for_a_lock(admin)
        await other.commit()
        assert (await deleting).json()["code"] == "provider_in_use"


async def test_settings_are_typed_and_known(admin: Admin) -> None:
    listed = (await admin.get("/settings"))["items"]
    keys = [setting["key"] for setting in listed]
    assert keys == sorted(keys) and {"admin.read_only", "keys.default_ttl_days", "maintenance.enabled"} < set(keys)
    put = await admin.call("PUT", "/settings/keys.default_ttl_days", json={"value": 30})
    assert (put.json()["value"], put.json()["default"]) == (30, None)
    assert admin.config("setting", "keys.default_ttl_days") == 1
    problem = await admin.fails("PUT", "/settings/nope", 404, "setting_not_found", json={"value": 1})
    assert "keys.default_ttl_days" in problem["hint"]
    await admin.fails("PUT", "/settings/bootstrap", 404, "setting_not_found", json={"value": 1})
    for wrong in ("30", 0, 5.5, [1], {"a": 1}, True):
        await admin.fails("PUT", "/settings/keys.default_ttl_days", 400, "invalid_field", json={"value": wrong})


async def test_a_vendor_that_litellm_does_not_know_is_refused_with_those_it_does(admin: Admin) -> None:
    body = {"name": "far", "kind": "litellm", "api_key": "k", "settings": {"vendor": "bedrok"}}
    problem = await admin.fails("POST", "/providers", 400, "invalid_field", json=body)
    assert problem["errors"][0]["field"] == "settings.vendor" and problem["hint"].startswith("Did you mean bedrock? Of the ")
    made = await admin.make("/providers", **body | {"settings": {"vendor": "cohere"}})
    await admin.fails("PATCH", f"/providers/{made['id']}", 400, "invalid_field", json={"settings": {"vendor": "nosuch"}})


async def test_a_setting_goes_back_to_its_default(admin: Admin) -> None:
    path = "/settings/keys.default_ttl_days"
    await admin.call("PUT", path, json={"value": 30})
    assert (await admin.call("DELETE", path)).status_code == 204
    assert (await admin.get(path))["value"] is None and admin.config("setting", "keys.default_ttl_days") == 2
    assert (await admin.call("DELETE", path)).status_code == 204
    assert len(admin.audit("setting.reset")) == 1
    await admin.fails("DELETE", "/settings/nosuch", 404, "setting_not_found")


async def test_a_deleted_key_is_gone_with_its_limits(admin: Admin) -> None:
    key = await admin.make("/keys", name="ci")
    await admin.make("/limits", scope="key", key="ci", rpm=5)
    assert (await admin.call("DELETE", "/keys/ci")).status_code == 204
    await admin.fails("GET", f"/keys/{key['id']}", 404, "key_not_found")
    assert (await admin.get("/limits"))["items"] == [] and admin.config("key", key["id"]) == 2
    (row,) = admin.audit("key.delete")
    assert row["diff"]["before"]["name"] == "ci"
