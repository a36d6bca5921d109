"""What a client cannot choose: the provider's address, path and key, the team that pays, its own address."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.fixtures.gateway import Proxy
from tests.fixtures.upstream import Upstream
from tests.integration.proxy.scripted import PROVIDER_KEY, provide, record_of

PROMPT = [{"role": "user", "content": "hello"}]
TRIES: dict[str, dict[str, Any]] = {
    "the fields of LiteLLM": {
        "api_base": "http://127.0.0.1:1/", "base_url": "http://127.0.0.1:1/", "api_key": "sk-mine", "api_version": "x",
        "extra_headers": {"authorization": "Bearer sk-mine", "host": "evil"}, "headers": {"x": "y"}, "timeout": 0.001,
        "custom_llm_provider": "evil", "organization": "evil", "proxy": "http://127.0.0.1:1/", "extra_body": {"model": "b"},
        "extra_query": {"a": "b"}, "user_config": {"model_list": []}, "fallbacks": ["evil"], "mock_response": "evil",
        "aws_access_key_id": "x", "vertex_project": "x", "metadata": {"user_api_key_team_id": "evil"},
    },
    "teams": {"team": "evil", "team_id": "evil", "org_id": "evil", "key_id": "evil", "tags": ["evil"], "scutum": {"team": "evil"}},
    "a number of models": {"models": ["evil"], "route": "fallback", "provider": {"order": ["evil"]}},
}  # fmt: skip
HEADERS = {
    "Host": "evil.example:81", "X-Forwarded-For": "10.9.8.7", "X-Forwarded-Host": "evil", "Forwarded": "for=10.9.8.7",
    "X-Real-IP": "10.9.8.7", "X-Forwarded-Proto": "https", "X-Original-URL": "/metrics", "X-Rewrite-URL": "/metrics",
    "X-HTTP-Method-Override": "GET", "X-Scutum-Team": "evil", "X-Scutum-Provider": "evil", "X-Scutum-Model": "evil",
    "X-Scutum-Cost": "0", "OpenAI-Organization": "org-evil", "OpenAI-Project": "evil", "api-key": "sk-mine",
    "X-Api-Base": "http://127.0.0.1:1", "Helicone-Target-URL": "http://127.0.0.1:1", "Cookie": "a=b", "Via": "evil",
    "Proxy-Authorization": "Basic eDp5", "Connection": "keep-alive, authorization, x-scutum-team", "TE": "trailers",
    "anthropic-dangerous-direct-browser-access": "true", "Accept-Encoding": "gzip", "User-Agent": "evil",
    "anthropic-beta": "b", "Referer": "http://evil", "Origin": "http://evil", "Content-Type": "text/plain",
}  # fmt: skip
QUERY = "?api_key=sk-mine&api_base=http://127.0.0.1:1&api-version=x&key=sk-mine&team=evil&model=evil"
SENT = {"host", "authorization", "user-agent", "accept", "accept-encoding", "content-type", "content-length"}


@pytest.mark.parametrize("name", TRIES)
async def test_fields_headers_and_queries_reach_no_decision(proxy: Proxy, upstream: Upstream, name: str) -> None:
    model = await provide(proxy, upstream.base_url)
    body = {"model": model, "messages": PROMPT, **TRIES[name]}
    status, headers, _ = await asyncio.to_thread(
        proxy.request, "POST", "/v1/chat/completions" + QUERY, body, key=proxy.master_key, headers=HEADERS
    )
    assert status == 200
    (request,) = upstream.requests
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert set(request.headers) == SENT
    assert request.headers["host"] == f"127.0.0.1:{upstream.port}"
    assert request.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.json == {**body, "model": "upstream-model"}, "what is not known here is the provider's to judge"
    record = await record_of(proxy, headers)
    assert (record["team_id"], record["key_id"], record["model"]) == ("team_default", "master", model)
    assert "evil" not in json.dumps({**record, "user_id": None})


@pytest.mark.parametrize(
    "name",
    ["http://127.0.0.1:{port}/v1", "//127.0.0.1:{port}/", "../../evil", "{model}/../evil", "{model}?x=y", "{model}#x",
     "openai/{model}", "{model} ", "{MODEL}", "{model}\0", "{model}\r\nX-Evil: 1", "@127.0.0.1:{port}/{model}"],
)  # fmt: skip
async def test_names_that_look_like_addresses_are_names(proxy: Proxy, upstream: Upstream, name: str) -> None:
    model = await provide(proxy, upstream.base_url)
    asked = name.format(port=upstream.port, model=model, MODEL=model.upper())
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/completions"):
        body = {"model": asked, "messages": PROMPT, "max_tokens": 5, "input": "x", "prompt": "x"}
        status, _, got = await asyncio.to_thread(proxy.request, "POST", path, body, key=proxy.master_key)
        assert (status, json.loads(got)["error"]["code"]) == (404, "model_not_found")
    assert upstream.accepted == 0


async def test_a_key_stays_with_its_team_models_and_address(proxy: Proxy, upstream: Upstream) -> None:
    model, other = await provide(proxy, upstream.base_url), await provide(proxy, upstream.base_url)
    key = proxy.rows.key(allowed_models=[model])
    elsewhere = proxy.rows.key(allowed_ips=["10.9.8.7"])

    def ask(body: bytes, with_key: str) -> tuple[int, str]:
        status, _, got = proxy.request("POST", "/v1/chat/completions", body, key=with_key, headers=HEADERS)
        return status, json.loads(got).get("error", {}).get("code")

    fine = json.dumps({"model": model, "messages": PROMPT}).encode()
    while (await asyncio.to_thread(ask, fine, key))[0] == 401:
        await asyncio.sleep(0.02)
    smuggled = [
        b'{"model":"%b","messages":[],"model":"%b"}', b'{"messages":[],"mod\\u0065l":"%b","model":"%b"}',
        b'{"model":"%b","messages":[],"Model":"%b"}', b'{"model":"%b","messages":[],"MODEL":"%b"}',
    ]  # fmt: skip
    for template in smuggled:
        for first, second in ((model, other), (other, model)):
            before = len(upstream.requests)
            status, code = await asyncio.to_thread(ask, template % (first.encode(), second.encode()), key)
            assert (status, code) in {(403, "model_not_allowed"), (400, "invalid_request"), (200, None)}
            for request in upstream.requests[before:]:
                assert [name.lower() for name, _ in json.loads(request.body, object_pairs_hook=list)].count("model") == 1
    assert await asyncio.to_thread(ask, fine.replace(model.encode(), other.encode()), key) == (403, "model_not_allowed")
    refused = await asyncio.to_thread(ask, fine, elsewhere)
    while refused[0] == 401:
        await asyncio.sleep(0.02)
        refused = await asyncio.to_thread(ask, fine, elsewhere)
    assert refused == (403, "ip_not_allowed")
