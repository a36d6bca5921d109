"""How aliases route, provider keys, presets, the catalogue and circuit breakers, through the admin API."""

from __future__ import annotations

import json
import time

import msgspec
import redis

from scutum_server.infra.crypto import SecretBox
from scutum_server.routing.models import STATES, Opening
from tests.integration.admin.conftest import Admin

KEY = "sk-proj-0123456789abcdefWXYZ"


async def put(admin: Admin, name: str, **body: object):
    answer = await admin.call("PUT", f"/aliases/{name}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_alias_keeps_how_it_routes(admin: Admin) -> None:
    await admin.make("/models", name="other", provider="sim")
    body = {"targets": ["sim", "other"], "strategy": "weighted", "weights": [3, 1], "retries": 2, "total_ms": 60_000}
    alias = await put(admin, "fast", **body)
    at = alias["updated_at"]
    expected = {"name": "fast", "resolves_to": "sim", "first_byte_ms": None, "automatic": False, "updated_at": at}
    assert alias == body | expected
    assert alias in (await admin.get("/aliases"))["items"]
    assert admin.config("alias", "fast") == 2
    assert await put(admin, "fast", **body) == alias
    assert admin.config("alias", "fast") == 2, "nothing changed"
    back = await put(admin, "fast", targets=["sim"])
    assert (back["strategy"], back["weights"], back["retries"], back["total_ms"]) == ("ordered", None, 1, None)
    assert admin.sql("SELECT settings FROM aliases WHERE name = 'fast'") == [{"settings": {}}]


async def test_routing_that_makes_no_sense_is_refused(admin: Admin) -> None:
    for body, field in (
        ({"strategy": "weighted"}, "weights"),
        ({"strategy": "weighted", "weights": [1, 2]}, "weights"),
        ({"strategy": "weighted", "weights": [0]}, "weights"),
        ({"weights": [1]}, "weights"),
        ({"strategy": "random"}, "strategy"),
        ({"retries": 11}, "retries"),
        ({"total_ms": 0}, "total_ms"),
    ):
        answer = await admin.call("PUT", "/aliases/fast", json={"targets": ["sim"]} | body)
        assert answer.status_code in {400, 422}, (body, answer.text)
        assert answer.json()["errors"][0]["field"].startswith(field), body


async def test_a_model_gets_fallbacks_under_its_own_name(admin: Admin) -> None:
    await admin.make("/models", name="big", provider="sim")
    await admin.fails("PUT", "/aliases/big", 409, "name_taken", json={"targets": ["sim"]})
    assert (await put(admin, "big", targets=["big", "sim"]))["resolves_to"] == "big"
    await admin.make("/providers", name="two", kind="sim")
    await admin.make("/models", name="big", provider="two")
    await admin.fails("POST", "/models", 409, "name_taken", json={"name": "fast", "provider": "two"})


async def test_a_model_s_capacity(admin: Admin) -> None:
    model = await admin.make("/models", name="m", provider="sim", rpm=500, tpm=200_000)
    assert (model["rpm"], model["tpm"]) == (500, 200_000)
    changed = await admin.call("PATCH", "/models/m", json={"rpm": None})
    assert (changed.json()["rpm"], changed.json()["tpm"]) == (None, 200_000)


async def test_keys_of_a_provider(admin: Admin) -> None:
    provider = await admin.make("/providers", name="local", kind="openai", api_key=KEY)
    second = await admin.make("/providers/local/keys", api_key=KEY.replace("WXYZ", "2222"))
    assert (second["hint"], second["id"].startswith("pkey_")) == ("sk-…2222", True)
    assert (await admin.get("/providers/local"))["keys"] == 2
    listed = (await admin.get("/providers/local/keys"))["items"]
    assert [(key["id"], key["hint"]) for key in listed] == [("primary", "sk-…WXYZ"), (second["id"], "sk-…2222")]
    assert admin.config("provider", provider["id"]) == 2
    assert KEY[3:16] not in str(admin.audit("provider.key_add"))
    assert (await admin.call("DELETE", "/providers/local/keys/primary")).status_code == 204
    (row,) = admin.sql("SELECT api_key_wrapped FROM providers WHERE name = 'local'")
    assert SecretBox(b"k" * 32).unwrap(row["api_key_wrapped"], provider["id"]).endswith("2222"), "it moved up"
    assert [key["hint"] for key in (await admin.get("/providers/local/keys"))["items"]] == ["sk-…2222"]
    await admin.call("DELETE", "/providers/local/keys/primary")
    assert (await admin.get("/providers/local"))["keys"] == 0
    assert (await admin.make("/providers/local/keys", api_key=KEY))["id"] == "primary"
    await admin.fails("DELETE", "/providers/local/keys/pkey_none", 404, "provider_key_not_found")
    await admin.fails("POST", "/providers/sim/keys", 400, "invalid_field", json={"api_key": KEY})


GOOGLE_KEY = {"type": "service_account", "project_id": "p", "private_key_id": "0123456789abcdef", "private_key": "-----",
              "client_email": "gw@p.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token"}  # fmt: skip
GIVEN = {"base_url": "https://RESOURCE.openai.azure.com", "region": "eu-central-1", "vendor": "cohere"}
CREDENTIALS = {"vertex": json.dumps(GOOGLE_KEY, indent=1)}


async def test_presets_know_what_they_need(admin: Admin) -> None:
    presets = {preset["name"]: preset for preset in (await admin.get("/provider-presets"))["items"]}
    nine = {"openai", "anthropic", "gemini", "vertex", "bedrock", "azure", "xai", "deepseek", "mistral"}
    assert nine | {"groq", "together", "ollama", "vllm", "litellm", "sim"} == presets.keys()
    for name, preset in presets.items():
        body: dict[str, object] = {"name": f"my-{name}", "kind": name, "settings": {}}
        for need in preset["needs"]:
            refused = await admin.call("POST", "/providers", json=body)
            field = need if need == "base_url" else f"settings.{need}"
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)
            if need == "base_url":
                body["base_url"] = GIVEN[need].lower()
            else:
                body["settings"] |= {need: GIVEN[need]}  # type: ignore[operator]
        if preset["api_key"] == "required":
            refused = await admin.call("POST", "/providers", json=body)
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "api_key")
            body["api_key"] = CREDENTIALS.get(name, KEY)
        made = await admin.make("/providers", **body)
        assert made["kind"] == preset["kind"]
        assert preset["base_url"] in {None, made["base_url"]}
    azure = await admin.get("/providers/my-azure")
    assert azure["base_url"] == "https://resource.openai.azure.com/openai"
    assert azure["settings"] == {"api_version": "2024-10-21"}
    assert (await admin.get("/providers/my-vertex"))["api_key_hint"] == "012…cdef"


async def test_credentials_are_taken_as_the_clouds_print_them(admin: Admin) -> None:
    keys = {"access_key_id": "AKIA0123456789ABCDEF", "secret_access_key": "x/y+z"}
    forms = (
        json.dumps(keys),
        json.dumps({"AccessKey": {"UserName": "gw", "AccessKeyId": keys["access_key_id"], "SecretAccessKey": "x/y+z"}}),
        "[gateway]\naws_access_key_id=AKIA0123456789ABCDEF\naws_secret_access_key = x/y+z\n",
        "export AWS_ACCESS_KEY_ID=AKIA0123456789ABCDEF\nexport AWS_SECRET_ACCESS_KEY=\"x/y+z\"\n",
    )
    made = await admin.make("/providers", name="aws", kind="bedrock", settings={"region": "eu-central-1"}, api_key=KEY)
    for form in forms:
        changed = await admin.call("PATCH", "/providers/aws", json={"api_key": form})
        assert changed.json()["api_key_hint"] == "AKI…CDEF", changed.text
        (row,) = admin.sql("SELECT api_key_wrapped FROM providers WHERE name = 'aws'")
        assert json.loads(SecretBox(b"k" * 32).unwrap(row["api_key_wrapped"], made["id"])) == keys
    for wrong in ('{"access_key_id": "AKIA"}', "aws_access_key_id = AKIA", "two words"):
        refused = await admin.call("PATCH", "/providers/aws", json={"api_key": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "api_key")
    for wrong in ("AIza-a-key", json.dumps({**GOOGLE_KEY, "type": "external_account"}), json.dumps({"type": "service_account"})):
        body = {"name": "v", "kind": "vertex", "settings": {"region": "europe-west1"}, "api_key": wrong}
        refused = await admin.call("POST", "/providers", json=body)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "api_key")


async def test_the_catalogue_has_prices_and_context_sizes(admin: Admin) -> None:
    page = await admin.get("/catalog", limit=500)
    more = await admin.get("/catalog", limit=500, cursor=page["next"])
    items = page["items"] + more["items"]
    assert len({(item["provider"], item["model"]) for item in items}) == len(items) > 400
    assert page["source"].startswith("genai-prices:")
    (mini,) = [item for item in items if (item["provider"], item["model"]) == ("openai", "gpt-4o-mini")]
    assert (mini["context"], mini["input_usd"], mini["output_usd"]) == (128_000, "0.15", "0.6")
    assert {item["provider"] for item in (await admin.get("/catalog", provider="mistral"))["items"]} == {"mistral"}


async def test_the_state_of_breakers(admin: Admin, redis_settings) -> None:
    (model, other) = (await admin.get("/models"))["items"]
    assert model["breaker"] == {"state": "closed", "retry_at": None, "reason": None}
    with redis.Redis(port=redis_settings.port, password=redis_settings.password) as client:
        client.hset(STATES, model["id"], msgspec.json.encode(Opening(time.time() + 60, 60, "500")))
        client.hset(STATES, other["id"], msgspec.json.encode(Opening(time.time() - 1, 60, "timeout")))
    (model, other) = (await admin.get("/models"))["items"]
    assert (model["breaker"]["state"], model["breaker"]["reason"]) == ("open", "500")
    assert other["breaker"]["state"] == "half-open"
    assert (await admin.get(f"/models/{model['id']}"))["breaker"] == model["breaker"]


async def test_the_catalogue_says_what_models_can_do(admin: Admin) -> None:
    items = {item["model"]: item for item in (await admin.get("/catalog", provider="openai"))["items"]}
    assert (items["gpt-4o"]["kind"], set(items["gpt-4o"]["can"])) == ("chat", {"tools", "vision", "schema"})
    assert items["text-embedding-3-small"]["kind"] == "embedding"
    assert "reasoning" in items["o3"]["can"]
    assert (await admin.get("/catalog", provider="vertex"))["items"] == (await admin.get("/catalog", provider="gemini"))["items"]


async def aliases(admin: Admin) -> dict[str, list[str]]:
    return {alias["name"]: alias["targets"] for alias in (await admin.get("/aliases"))["items"]}


async def test_a_model_of_the_catalogue_is_added_by_its_name_alone(admin: Admin) -> None:
    nobody = await admin.fails("POST", "/models", 400, "invalid_field", json={"name": "gpt-4o-mini"})
    assert nobody["errors"][0]["field"] == "provider"
    await admin.make("/providers", name="openai", kind="openai", api_key=KEY)
    await admin.make("/providers", name="google", kind="gemini", api_key=KEY)
    made = await admin.make("/models", name="gpt-4o-mini")
    assert (made["provider"], made["kind"]) == ("openai", "chat")
    assert (await admin.make("/models", name="gemini-2.5-flash"))["provider"] == "google"
    assert (await admin.make("/models", name="small", upstream_model="text-embedding-3-small"))["kind"] == "embedding"
    await admin.make("/providers", name="second", kind="openai", api_key=KEY)
    several = await admin.fails("POST", "/models", 400, "invalid_field", json={"name": "gpt-4o"})
    assert "openai, second" in several["detail"]


async def test_aliases_follow_the_models_until_somebody_sets_them(admin: Admin) -> None:
    await admin.make("/providers", name="openai", kind="openai", api_key=KEY)
    await admin.make("/models", name="gpt-4o-mini")
    assert set(map(tuple, (await aliases(admin)).values())) == {("gpt-4o-mini",)}
    await admin.make("/models", name="text-embedding-3-small")
    await admin.make("/models", name="o3")
    now = await aliases(admin)
    assert (now["fast"], now["powerful"], now["reasoning"]) == (
        ["gpt-4o-mini", "o3"], ["o3", "gpt-4o-mini"], ["o3", "gpt-4o-mini"],
    )  # fmt: skip
    assert admin.config("alias", "fast") == 3
    (alias,) = [each for each in (await admin.get("/aliases"))["items"] if each["name"] == "fast"]
    assert alias["automatic"]
    assert not (await put(admin, "fast", targets=["o3"]))["automatic"]
    await admin.call("PATCH", "/models/o3", json={"price": {"input_nano": 1, "output_nano": 1}})
    now = await aliases(admin)
    assert (now["fast"], now["cost-effective"], now["powerful"]) == (["o3"], ["o3", "gpt-4o-mini"], ["gpt-4o-mini", "o3"])
    await admin.call("DELETE", "/providers/openai?cascade=true")
    now = await aliases(admin)
    assert (now["fast"], now["smart"]) == (["o3"], ["sim"]), "what an operator has set stays as it is"
    trail = [row for row in admin.audit("alias.update") if row["resource_id"] == "smart"]
    assert trail[-1]["diff"]["after"]["targets"] == ["sim"]
