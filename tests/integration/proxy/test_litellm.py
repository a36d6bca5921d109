"""The LiteLLM lane: Gemini, Vertex AI and Bedrock behind every client's format, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import psutil
import pytest
from tests.fixtures.cloud_wires import PIXEL, Bedrock, Google
from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.litellm_venv import litellm_python
from tests.fixtures.servers import Postgres, Valkey, wait_until
from tests.fixtures.upstream import STREAM_HEAD, Upstream, answer, chunk

pytestmark = [pytest.mark.xdist_group("litellm"), pytest.mark.timeout(600)]

GEMINI_KEY = "AIzaNobodysKey-0123456789"
AWS_KEYS = json.dumps({"access_key_id": "AKIANOBODY", "secret_access_key": "nobodys-secret-access-key"})
CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"
ASK = [{"role": "user", "content": "The capital of France?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def proxy(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    name = postgres.clone()
    python = {"SCUTUM_LITELLM_PYTHON": str(litellm_python())}
    directory = tmp_path_factory.mktemp("litellm")
    with running_proxy(postgres.app(name), valkey.settings(), directory, environment=python) as running:
        yield running
        assert running.process.poll() is None, running.log.read_text()
    postgres.drop(name)


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    async with Google() as server:
        yield server


@pytest.fixture
async def bedrock() -> AsyncIterator[Bedrock]:
    async with Bedrock() as server:
        yield server


def gemini_at(proxy: Proxy, url: str, name: str, model: str = "gemini-2.5-flash", **settings: Any) -> None:
    account = proxy.rows.provider(
        f"p-{name}", "litellm", f"{url}/v1beta", api_key=GEMINI_KEY, settings={"vendor": "gemini", **settings}
    )
    proxy.rows.deployment(name, account, model)
    proxy.wait_for(name)


def vertex_at(proxy: Proxy, google: Google, name: str, model: str = "gemini-2.5-flash") -> None:
    settings = {"vendor": "vertex_ai", "region": "europe-west1"}
    account = proxy.rows.provider(f"p-{name}", "litellm", google.url, api_key=google.account(), settings=settings)
    proxy.rows.deployment(name, account, model)
    proxy.wait_for(name)


def bedrock_at(proxy: Proxy, server: Bedrock, name: str, model: str = CLAUDE) -> None:
    settings = {"vendor": "bedrock", "region": "eu-central-1"}
    account = proxy.rows.provider(f"p-{name}", "litellm", server.url, api_key=AWS_KEYS, settings=settings)
    proxy.rows.deployment(name, account, model)
    proxy.wait_for(name)


async def ask(proxy: Proxy, model: str, **fields: Any) -> tuple[int, dict[str, str], Any]:
    status, headers, body = await asyncio.to_thread(proxy.chat, model, **fields)
    return status, headers, json.loads(body)


async def record(proxy: Proxy, headers: dict[str, str]) -> dict[str, Any]:
    return await asyncio.to_thread(proxy.record, headers["x-request-id"])


async def test_gemini_answers_and_is_accounted(proxy: Proxy, google: Google) -> None:
    gemini_at(proxy, google.url, "g1")
    status, headers, answer_ = await ask(proxy, "g1", temperature=0.5, user="u1", response_format={"type": "text"})
    assert status == 200, answer_
    assert answer_["choices"][0]["message"]["content"] == "Paris."
    assert headers["x-scutum-dropped"] == "user"
    assert GEMINI_KEY not in json.dumps(answer_)
    (sent,) = google.requests
    assert sent.headers["x-goog-api-key"] == GEMINI_KEY
    assert sent.json["generationConfig"] == {"temperature": 0.5}
    row = await record(proxy, headers)
    assert (row["tokens_in"], row["tokens_out"], row["tokens_cached"], row["tokens_reasoning"]) == (12, 8, 4, 3)
    assert row["usage_source"] == "reported"


async def test_a_stream_has_one_id_and_its_usage(
    proxy: Proxy, google: Google, chat_client: openai.AsyncOpenAI
) -> None:
    gemini_at(proxy, google.url, "g2")
    stream = await chat_client.chat.completions.create(
        model="g2", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [each async for each in stream]
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == "Paris."
    assert len({each.id for each in chunks}) == 1
    assert [each.choices[0].finish_reason for each in chunks if each.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 12
    assert google.requests[0].line.split(" ")[1].endswith(":streamGenerateContent?alt=sse")


async def test_tools_images_and_schemas_reach_gemini(
    proxy: Proxy, google: Google, chat_client: openai.AsyncOpenAI
) -> None:
    gemini_at(proxy, google.url, "g3")
    google.parts = [{"functionCall": {"name": "weather", "args": {"city": "Paris"}}}]
    image = {"type": "image_url", "image_url": {"url": PIXEL}}
    made = await chat_client.chat.completions.create(
        model="g3", messages=[{"role": "user", "content": [{"type": "text", "text": "here?"}, image]}], tools=[TOOL]
    )  # type: ignore[call-overload]
    call = made.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris"})
    assert made.choices[0].finish_reason == "tool_calls"
    sent = google.requests[-1].json
    assert sent["contents"][0]["parts"][1]["inline_data"]["mime_type"] == "image/png"
    assert sent["tools"][0]["function_declarations"][0]["name"] == "weather"
    google.parts = [{"text": '{"city":"Paris"}'}]
    schema = {"name": "c", "strict": True, "schema": TOOL["function"]["parameters"]}
    await chat_client.chat.completions.create(
        model="g3", messages=ASK, response_format={"type": "json_schema", "json_schema": schema}
    )  # type: ignore[call-overload]
    assert google.requests[-1].json["generationConfig"]["response_mime_type"] == "application/json"


async def test_vertex_gets_a_token_for_its_service_account(proxy: Proxy, google: Google) -> None:
    vertex_at(proxy, google, "v1")
    status, _, answer_ = await ask(proxy, "v1")
    assert (status, answer_["choices"][0]["message"]["content"]) == (200, "Paris.")
    token, call = google.requests
    assert token.line.startswith("POST /token ")
    place = "/v1/projects/proj-1/locations/europe-west1/publishers/google/models/gemini-2.5-flash:generateContent"
    assert call.line == f"POST {place} HTTP/1.1"
    assert call.headers["authorization"] == "Bearer ya29.fake"


async def test_bedrock_is_signed_and_streams_amazons_events(
    proxy: Proxy, bedrock: Bedrock, chat_client: openai.AsyncOpenAI
) -> None:
    bedrock_at(proxy, bedrock, "b1")
    status, headers, answer_ = await ask(proxy, "b1", seed=7)
    assert (status, answer_["choices"][0]["message"]["content"]) == (200, "Paris.")
    assert headers["x-scutum-dropped"] == "seed"
    (sent,) = bedrock.requests
    assert sent.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIANOBODY/")
    assert "/eu-central-1/bedrock/aws4_request" in sent.headers["authorization"]
    row = await record(proxy, headers)
    assert (row["tokens_in"], row["tokens_out"], row["tokens_cached"]) == (18, 4, 5)
    stream = await chat_client.chat.completions.create(model="b1", messages=ASK, stream=True)
    chunks = [each async for each in stream]
    assert "".join(each.choices[0].delta.content or "" for each in chunks) == "Paris."
    assert all(each.usage is None for each in chunks), "usage that the client did not ask for"


async def test_messages_and_responses_clients_reach_bedrock(
    proxy: Proxy, bedrock: Bedrock, messages_client: anthropic.AsyncAnthropic, chat_client: openai.AsyncOpenAI
) -> None:
    bedrock_at(proxy, bedrock, "b2")
    bedrock.content = [{"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Paris"}}}]
    tool: Any = {"name": "weather", "input_schema": TOOL["function"]["parameters"]}
    message = await messages_client.messages.create(model="b2", max_tokens=50, messages=ASK, tools=[tool])
    assert message.stop_reason == "tool_use"
    assert [block.input for block in message.content if block.type == "tool_use"] == [{"city": "Paris"}]
    assert bedrock.requests[-1].json["inferenceConfig"]["maxTokens"] == 50
    bedrock.content = [{"text": "Paris."}]
    async with messages_client.messages.stream(model="b2", max_tokens=50, messages=ASK) as stream:
        assert await stream.get_final_text() == "Paris."
    response = await chat_client.responses.create(model="b2", input="The capital of France?")
    assert response.output_text == "Paris."


async def test_embeddings_as_floats_and_base64(
    proxy: Proxy, google: Google, bedrock: Bedrock, chat_client: openai.AsyncOpenAI
) -> None:
    gemini_at(proxy, google.url, "e1", "text-embedding-004")
    bedrock_at(proxy, bedrock, "e2", "amazon.titan-embed-text-v2:0")
    for model in ("e1", "e2"):
        made = await chat_client.embeddings.create(model=model, input=["a", "b"])  # asks for base64
        assert [item.embedding for item in made.data] == [[0.5, -0.25], [0.5, -0.25]]
    plain = await chat_client.embeddings.create(model="e2", input="a", encoding_format="float")
    assert plain.data[0].embedding == [0.5, -0.25]
    assert plain.usage.prompt_tokens == 2


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"logprobs": True}, "`logprobs`"),
        ({"n": 3}, "`n`"),
        ({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "http://169.254.169.254/x.png"}}]}]}, "data: URLs"),
    ],
)  # fmt: skip
async def test_what_cannot_be_sent_is_refused_by_name(
    proxy: Proxy, bedrock: Bedrock, fields: dict[str, Any], word: str
) -> None:
    name = f"b-refuses-{word.strip('`')[:2]}"
    bedrock_at(proxy, bedrock, name)
    status, headers, answer_ = await ask(proxy, name, **fields)
    assert (status, answer_["error"]["code"]) == (400, "unsupported_by_provider")
    assert word in answer_["error"]["message"]
    assert bedrock.requests == []


async def test_a_client_chooses_no_address_and_no_credentials(
    proxy: Proxy, google: Google, upstream: Upstream
) -> None:
    gemini_at(proxy, google.url, "g4")
    theirs = {"api_base": upstream.base_url, "base_url": upstream.base_url, "api_key": "theirs", "timeout": 1,
              "custom_llm_provider": "openai", "mock_response": "no", "extra_headers": {"x-evil": "1"},
              "fallbacks": ["gpt-5"], "vertex_project": "theirs", "drop_params": True}  # fmt: skip
    status, headers, answer_ = await ask(proxy, "g4", **theirs)
    assert (status, answer_["choices"][0]["message"]["content"]) == (200, "Paris.")
    assert set(headers["x-scutum-dropped"].split(", ")) == set(theirs)
    assert upstream.requests == []
    assert google.requests[0].headers["x-goog-api-key"] == GEMINI_KEY
    assert "x-evil" not in google.requests[0].headers


@pytest.mark.parametrize(
    ("theirs", "ours", "code"),
    [(400, 400, "upstream_rejected"), (401, 502, "upstream_auth_failed"), (404, 404, "upstream_rejected"),
     (429, 429, "upstream_rate_limited"), (500, 500, "upstream_error"), (503, 503, "upstream_error")],
)  # fmt: skip
async def test_the_providers_refusals_keep_status_words_and_retry_after(
    proxy: Proxy, google: Google, theirs: int, ours: int, code: str
) -> None:
    name = f"g-{theirs}"
    gemini_at(proxy, google.url, name)
    refusal = {"error": {"code": theirs, "message": f"no: {GEMINI_KEY}", "status": "WHY"}}
    google.says(answer(refusal, theirs, extra="Retry-After: 17\r\n"))
    status, headers, told = await ask(proxy, name)
    assert (status, told["error"]["code"]) == (ours, code)
    assert GEMINI_KEY not in json.dumps(told)
    if ours != 502:
        assert told["error"]["message"] == "no: …"
        assert headers["retry-after"] == "17"
    streamed = await ask(proxy, name, stream=True)
    assert streamed[0] == ours


async def test_a_provider_that_cannot_be_reached_hangs_or_talks_nonsense(proxy: Proxy, google: Google) -> None:
    gemini_at(proxy, "http://127.0.0.1:1", "gone")
    assert (await ask(proxy, "gone"))[2]["error"]["code"] == "upstream_unreachable"
    gemini_at(proxy, google.url, "odd")
    google.says(answer({"not": "gemini"}))
    assert (await ask(proxy, "odd"))[2]["error"]["code"] == "upstream_bad_answer"
    gemini_at(proxy, google.url, "slow", timeouts={"first_byte_ms": 300})
    google.hangs()
    assert (await ask(proxy, "slow"))[2]["error"]["code"] == "upstream_timeout"
    await asyncio.wait_for(google.hung_up.wait(), 10)


async def test_a_stream_that_breaks_off_is_told_and_charged(proxy: Proxy, google: Google) -> None:
    gemini_at(proxy, google.url, "cut")
    event = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Par"}]}, "index": 0}]}
    google.says(STREAM_HEAD, chunk(b"data: " + json.dumps(event).encode() + b"\r\n\r\n"), close=True)
    status, headers, body = await asyncio.to_thread(proxy.chat, "cut", stream=True)
    assert status == 200
    assert b'"Par"' in body
    assert b'"error"' in body
    row = await record(proxy, headers)
    assert row["error_kind"]
    assert row["usage_source"] == "estimated"


async def test_a_client_that_leaves_cancels_the_call(proxy: Proxy, google: Google) -> None:
    gemini_at(proxy, google.url, "left")
    google.hangs()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    body = json.dumps({"model": "left", "messages": ASK}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {proxy.master_key}\r\n"
    writer.write(head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body))
    await asyncio.to_thread(wait_until, lambda: bool(google.requests), what="the provider to have the request")
    writer.close()
    await asyncio.wait_for(google.hung_up.wait(), 10)


def helper(proxy: Proxy) -> psutil.Process:
    (found,) = [
        each for each in psutil.Process(proxy.process.pid).children() if "litellm_process" in " ".join(each.cmdline())
    ]
    return found


async def test_the_process_has_no_secret_of_ours_and_comes_back(proxy: Proxy, google: Google) -> None:
    gemini_at(proxy, google.url, "g5")
    assert (await ask(proxy, "g5"))[0] == 200
    first = helper(proxy)
    environment = first.environ()
    assert not [name for name in environment if name.startswith(("SCUTUM", "POSTGRES", "VALKEY"))]
    assert GEMINI_KEY not in " ".join(first.cmdline()) + str(environment)
    os.kill(first.pid, signal.SIGKILL)
    await asyncio.to_thread(wait_until, lambda: not first.is_running(), what="the process to be gone")
    assert (await ask(proxy, "g5"))[0] == 200
    assert helper(proxy).pid != first.pid
    assert GEMINI_KEY not in proxy.log.read_text()


async def test_it_asks_nobody_but_the_provider(
    postgres: Postgres, valkey: Valkey, tmp_path: Path, google: Google, upstream: Upstream
) -> None:
    """Anything on the way to the outside would go through the proxy server that the environment names."""
    name = postgres.clone()
    outside = upstream.base_url.removesuffix("/v1")
    environment = {"SCUTUM_LITELLM_PYTHON": str(litellm_python()), "UPSTREAM_PROXY": outside}
    with running_proxy(postgres.app(name), valkey.settings(), tmp_path, environment=environment) as proxy:
        gemini_at(proxy, google.url, "g6")
        assert (await ask(proxy, "g6"))[0] == 200
        helper_ = helper(proxy)
        assert upstream.accepted == 0
        gemini_at(proxy, "http://models.example.com", "g8")
        assert (await ask(proxy, "g8"))[0] != 200
        assert upstream.requests[0].line.startswith("POST http://models.example.com/"), "the proxy is not on the way"
        proxy.process.kill()
        await asyncio.to_thread(wait_until, lambda: not helper_.is_running(), what="the process to end with its parent")
    postgres.drop(name)


async def test_without_the_library_the_answer_says_what_to_run(
    postgres: Postgres, valkey: Valkey, tmp_path: Path
) -> None:
    name = postgres.clone()
    environment = {"SCUTUM_LITELLM_PYTHON": str(tmp_path / "none")}
    with running_proxy(postgres.app(name), valkey.settings(), tmp_path, environment=environment) as proxy:
        gemini_at(proxy, "http://127.0.0.1:1", "g7")
        status, _, told = await ask(proxy, "g7")
        assert (status, told["error"]["code"]) == (503, "litellm_missing")
        assert "scutum install --with litellm" in told["error"]["message"]
    postgres.drop(name)
