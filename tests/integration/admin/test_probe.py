"""`providers test`: one real call, and its failures in words."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from scutum_server.gateway.models import Provider, Target
from scutum_server.gateway.probe_words import CallError, explained, reply_of
from scutum_server.upstream.errors import UpstreamRefused
from tests.fixtures.cloud_wires import Google
from tests.fixtures.litellm_venv import litellm_python
from tests.fixtures.servers import free_port
from tests.fixtures.upstream import answer
from tests.integration.admin.conftest import Admin

SECRET = "sk-proj-0123456789abcdefWXYZ"
CHAT = {"choices": [{"message": {"role": "assistant", "content": "ok"}}]}


class Upstream:
    """A server that gives one answer to everything and remembers what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((first, headers, body))
        writer.write(self.answer)
        writer.close()


def http(status: int, body: object, **headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(raw)}\r\n{fields}\r\n".encode() + raw


@asynccontextmanager
async def serving(handler: Callable[..., Awaitable[None]], tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_azure_is_called_by_deployment_and_version(admin: Admin) -> None:
    upstream = Upstream(http(200, CHAT))
    async with serving(upstream) as port:
        await admin.make("/providers", name="az", kind="azure", base_url=f"http://127.0.0.1:{port}", api_key=SECRET)
        await admin.make("/models", name="mine", provider="az", upstream_model="my-deployment")
        assert (await admin.call("POST", "/providers/az/test")).json()["reply"] == "ok"
    ((line, headers, _),) = upstream.requests
    assert line == "POST /openai/deployments/my-deployment/chat/completions?api-version=2024-10-21 HTTP/1.1"
    assert (headers["api-key"], "authorization" in headers) == (SECRET, False)


async def probe(admin: Admin, base_url: str, *, model: str | None = "gpt", **provider) -> dict:
    await admin.make("/providers", name="p", kind="openai", base_url=base_url, **provider)
    if model:
        await admin.make(
            "/models", name="mine", provider="p", upstream_model=model, kind=provider.pop("model_kind", None)
        )
    answer = await admin.call("POST", "/providers/p/test")
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text
    return answer.json()


async def test_a_chat_model_is_really_called_with_one_token(admin: Admin) -> None:
    upstream = Upstream(http(200, CHAT))
    async with serving(upstream) as port:
        result = await probe(admin, f"http://127.0.0.1:{port}/v1", api_key=SECRET)
    assert result["ok"] and result["reply"] == "ok" and result["model"] == "mine" and result["error"] is None
    ((first, headers, body),) = upstream.requests
    assert first == "POST /v1/chat/completions HTTP/1.1"
    assert headers["authorization"] == f"Bearer {SECRET}" and headers["host"] == f"127.0.0.1:{port}"
    assert json.loads(body)["model"] == "gpt" and json.loads(body)["max_tokens"] == 1


async def test_a_provider_without_models_is_asked_for_its_list(admin: Admin) -> None:
    upstream = Upstream(http(200, {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}))
    async with serving(upstream) as port:
        result = await probe(admin, f"http://127.0.0.1:{port}/v1", model=None)
    assert result["ok"] and result["model"] is None and result["reply"] == "2 models on offer"
    assert upstream.requests[0][0] == "GET /v1/models HTTP/1.1"


async def test_an_embedding_model_is_embedded_with(admin: Admin) -> None:
    upstream = Upstream(http(200, {"data": [{"embedding": [0.1]}]}))
    async with serving(upstream) as port:
        await admin.make("/providers", name="p", kind="openai", base_url=f"http://127.0.0.1:{port}/v1")
        await admin.make("/models", name="e", provider="p", kind="embedding")
        result = (await admin.call("POST", "/providers/p/test")).json()
        assert result["ok"] and upstream.requests[-1][0] == "POST /v1/embeddings HTTP/1.1"
        await admin.make("/models", name="c", provider="p")
        upstream.answer = http(200, CHAT)
        result = (await admin.call("POST", "/providers/p/test")).json()
    assert (result["ok"], result["model"]) == (True, "c"), "a model that may chat is asked before one that cannot"


async def test_a_server_of_anthropics_format_is_called_in_it(admin: Admin) -> None:
    upstream = Upstream(http(200, {"type": "message", "content": [{"type": "text", "text": "ok"}]}))
    async with serving(upstream) as port:
        url = f"http://127.0.0.1:{port}/v1"
        await admin.make("/providers", name="p", kind="anthropic", base_url=url, api_key=SECRET)
        await admin.make("/models", name="mine", provider="p", upstream_model="claude")
        result = (await admin.call("POST", "/providers/p/test")).json()
        assert (result["ok"], result["reply"]) == (True, "ok")
        upstream.answer = http(401, {"type": "error", "error": {"type": "authentication_error", "message": "no"}})
        refused = (await admin.call("POST", "/providers/p/test")).json()
        upstream.answer = http(200, CHAT)
        other = (await admin.call("POST", "/providers/p/test")).json()
        upstream.answer = http(404, b"{} {oops}")
        nothing = (await admin.call("POST", "/providers/p/test")).json()
    first, headers, body = upstream.requests[0]
    assert first == "POST /v1/messages HTTP/1.1"
    assert headers["x-api-key"] == SECRET and "authorization" not in headers
    assert headers["anthropic-version"] == "2023-06-01"
    assert json.loads(body)["model"] == "claude" and json.loads(body)["max_tokens"] == 1
    assert refused["error"]["code"] == "unauthorized" and SECRET not in json.dumps(refused)
    assert other["error"]["code"] == nothing["error"]["code"] == "not_anthropic"
    assert "Anthropic's API" in other["error"]["message"]


async def test_a_server_of_anthropics_format_without_models_is_asked_for_its_list(admin: Admin) -> None:
    upstream = Upstream(http(200, {"data": [{"id": "a"}]}))
    async with serving(upstream) as port:
        await admin.make("/providers", name="p", kind="anthropic", base_url=f"http://127.0.0.1:{port}")
        result = (await admin.call("POST", "/providers/p/test")).json()
    assert result["ok"] and result["reply"] == "1 model on offer"
    assert upstream.requests[0][0] == "GET /v1/models HTTP/1.1"


ANSWERS = [
    (http(401, {"error": {"message": "Incorrect API key"}}), "unauthorized", "Incorrect API key"),
    (http(403, {"error": "no"}), "unauthorized", "none is set"),
    (http(404, {"error": {"message": "no such model"}}), "model_not_found", "gpt"),
    (http(404, b"<html>nginx</html>"), "not_openai", "404"),
    (http(200, b"<html>hello</html>"), "not_openai", "not as an OpenAI-compatible"),
    (http(200, b"[1, 2]"), "not_openai", "not as an OpenAI-compatible"),
    (http(200, {"choices": []}), "not_openai", "not as an OpenAI-compatible"),
    (http(301, b"", location="http://x/"), "redirected", "301"),
    (http(429, {"error": {"message": "quota\x07"}}), "quota_exhausted", "quota"),
    (http(429, {"error": {"message": "slow down"}}), "rate_limited", "limits this account"),
    (http(402, {"error": {"message": "Insufficient Balance"}}), "quota_exhausted", "no credit"),
    (http(400, {"error": {"message": "API key not valid."}}), "unauthorized", "refuses the key"),
    (http(400, {"error": {"message": "Model Not Exist"}}), "model_not_found", "does not know the model “gpt”"),
    (http(403, {"error": {"message": "no access to the model gpt"}}), "model_not_found", "does not let this account use"),
    (http(403, {"error": {"code": "unsupported_country_region_territory"}}), "region_refused", "region"),
    (http(500, {"error": {"message": None}}), "provider_error", "500"),
    (http(400, {"error": {"message": "bad max_tokens"}}), "provider_refused", "bad max_tokens"),
    (b"SSH-2.0-OpenSSH_9.9\r\n", "not_openai", "not HTTP"),
    (b"", "upstream_disconnected", "without an answer"),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{", "upstream_disconnected", "ended before"),
]


async def test_what_a_provider_answers_is_explained(admin: Admin) -> None:
    upstream = Upstream(b"")
    async with serving(upstream) as port:
        await probe(admin, f"http://127.0.0.1:{port}/v1")
        for reply, code, says in ANSWERS:
            upstream.answer = reply
            result = (await admin.call("POST", "/providers/p/test")).json()
            assert not result["ok"] and result["reply"] is None
            assert result["error"]["code"] == code, result
            assert says in result["error"]["message"] and result["error"]["message"].isprintable()


async def test_nobody_listens(admin: Admin) -> None:
    result = await probe(admin, f"http://127.0.0.1:{free_port()}/v1")
    assert result["error"]["code"] == "connection_refused"


async def test_a_name_that_does_not_exist(admin: Admin) -> None:
    result = await probe(admin, "http://no-such-host.invalid/v1")
    assert result["error"]["code"] == "dns_failed" and "no-such-host.invalid" in result["error"]["message"]


async def test_a_provider_that_hangs_is_given_up_and_holds_no_transaction(admin: Admin) -> None:
    asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with serving(hang) as port:
        task = asyncio.create_task(
            probe(admin, f"http://127.0.0.1:{port}/v1", settings={"timeouts": {"first_byte_ms": 700}})
        )
        await asked.wait()
        open_now = "SELECT 1 AS x FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%%'"
        assert admin.sql(open_now) == []
        result = await task
    assert result["error"]["code"] == "timeout"


async def test_a_private_authority_needs_its_bundle(admin: Admin, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    async with serving(Upstream(http(200, CHAT)), context) as port:
        result = await probe(admin, f"https://localhost:{port}/v1")
        assert result["error"]["code"] == "tls_failed" and "ca_bundle" in result["error"]["hint"]
        await admin.call("PATCH", "/providers/p", json={"settings": {"ca_bundle": str(bundle)}})
        assert (await admin.call("POST", "/providers/p/test")).json()["ok"]
        await admin.call("PATCH", "/providers/p", json={"settings": {"ca_bundle": str(tmp_path / "none.pem")}})
        assert (await admin.call("POST", "/providers/p/test")).json()["error"]["code"] == "bad_ca_bundle"


async def test_tls_towards_a_plain_server(admin: Admin) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(http(400, b"plain HTTP only"))
        await reader.read()
        writer.close()

    async with serving(plain) as port:
        result = await probe(admin, f"https://127.0.0.1:{port}/v1")
    assert result["error"]["code"] == "tls_failed" and "http://" in result["error"]["hint"]


async def test_the_simulator_is_called_too_and_fails_as_told(admin: Admin) -> None:
    assert (await admin.call("POST", "/providers/sim/test")).json()["ok"]
    await admin.call("PATCH", "/providers/sim", json={"settings": {"error_rate": 1, "error_kind": "overloaded"}})
    result = (await admin.call("POST", "/providers/sim/test")).json()
    assert (result["ok"], result["error"]["code"]) == (False, "provider_error")
    for kind in ("rate_limit", "refused", "garbage", "truncated", "server_error"):
        await admin.call("PATCH", "/providers/sim", json={"settings": {"error_kind": kind}})
        assert not (await admin.call("POST", "/providers/sim/test")).json()["ok"], kind
    await admin.fails("POST", "/providers/nope/test", 404, "provider_not_found")


async def test_a_key_of_another_encryption_key_is_explained(admin: Admin) -> None:
    await admin.make("/providers", name="p", kind="openai", api_key=SECRET, base_url="http://127.0.0.1:9/v1")
    other = await admin.make("/providers", name="q", kind="openai", api_key=SECRET, base_url="http://127.0.0.1:9/v1")
    admin.sql("UPDATE providers SET api_key_wrapped = (SELECT api_key_wrapped FROM providers WHERE name = 'p')"
              " WHERE id = %s", other["id"])  # fmt: skip
    result = (await admin.call("POST", "/providers/q/test")).json()
    assert result["error"]["code"] == "secret_unreadable"


async def test_a_provider_of_the_litellm_library_is_called_through_it(admin: Admin) -> None:
    litellm_python()
    async with Google() as google:
        url = f"{google.url}/v1beta"
        await admin.make("/providers", name="g", kind="gemini", base_url=url, api_key=SECRET)
        unmodelled = (await admin.call("POST", "/providers/g/test")).json()
        assert "scutum models add NAME --provider g" in unmodelled["error"]["hint"]
        await admin.make("/models", name="mine", provider="g", upstream_model="gemini-2.5-flash")
        assert (await admin.call("POST", "/providers/g/test")).json()["reply"] == "Paris."
        google.says(answer({"error": {"message": f"API key not valid: {SECRET}", "status": "INVALID_ARGUMENT"}}, 400))
        refused = (await admin.call("POST", "/providers/g/test")).json()["error"]
        assert refused["code"] == "unauthorized" and "providers update g" in refused["hint"]
        assert SECRET not in json.dumps(refused)


def aws(said: str, status: int) -> str:
    """What a test call to Bedrock in eu-central-1 makes of a refusal: its code and hint."""
    provider = Provider(
        id="prov_1", name="b", kind="litellm", base_url=None, api_key_hint="AKI…", models=["claude"], keys=1,
        settings={"vendor": "bedrock", "region": "eu-central-1"}, created_at=dt.datetime.now(dt.UTC),
        updated_at=dt.datetime.now(dt.UTC),
    )  # fmt: skip
    target = Target(provider=provider, wrapped_key=b"x", model="claude", upstream_model="anthropic.claude-x",
                    model_kind=None, proxy_secret=None)  # fmt: skip
    with pytest.raises(CallError) as caught:
        reply_of(status, json.dumps({"error": {"message": said}}).encode(), target)
    return f"{caught.value.failure.code}: {caught.value.failure.hint}"


def test_bedrock_s_refusals_are_about_the_key_or_the_model() -> None:
    assert "model_not_found: Has the account access to it in eu-central-1?" in aws("The provided model identifier is invalid.", 400)
    assert "inference profile" in aws("Invocation of model ID x with on-demand throughput isn't supported.", 400)
    assert "model_not_found" in aws("You don't have access to the model with the specified model ID.", 403)
    assert "unauthorized" in aws("The security token included in the request is invalid.", 403)


async def test_the_library_s_connections_are_explained_too() -> None:
    provider = Provider(
        id="prov_1", name="b", kind="litellm", base_url=None, api_key_hint=None, models=[], keys=0,
        settings={"vendor": "bedrock", "region": "eu-centrall-1"}, created_at=dt.datetime.now(dt.UTC),
        updated_at=dt.datetime.now(dt.UTC),
    )  # fmt: skip
    target = Target(provider=provider, wrapped_key=None, model=None, upstream_model=None, model_kind=None, proxy_secret=None)
    for said, code, hint in (
        ("The provider's name cannot be resolved.", "dns_failed", "Is there a region “eu-centrall-1”?"),
        ("The provider's certificate is not trusted: self-signed certificate.", "tls_failed", "UPSTREAM_PROXY"),
        ("The provider cannot be reached: connection refused.", "connection_refused", "base_url"),
    ):
        failure = explained(UpstreamRefused(said), target).failure
        assert failure.code == code and hint in (failure.hint or "")
