"""A real small language model behind an installed gateway, called by the official client."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.fixtures import llm_server
from tests.fixtures.install import Installed
from tests.fixtures.servers import free_port, wait_until

pytestmark = [pytest.mark.xdist_group("install"), pytest.mark.timeout(300)]
QUESTION = [{"role": "user", "content": "Name one colour."}]


def loaded(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, Path(llm_server.__file__), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: process.poll() is not None or loaded(port), seconds=60, what="the model to load")
        assert process.poll() is None, "the model server did not start"
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait(10)


def test_a_newcomer_connects_a_real_model_and_sees_what_it_used(installed: Installed, model_url: str) -> None:
    installed.ok("providers", "add", "local-llm", "--kind", "openai", "--base-url", model_url)
    installed.ok("models", "add", "smollm2", "--provider", "local-llm")
    tested = json.loads(installed.ok("providers", "test", "local-llm", "-o", "json"))
    assert tested["ok"] is True
    aliases = json.loads(installed.ok("aliases", "-o", "json"))["items"]
    assert {alias["resolves_to"] for alias in aliases} == {"smollm2"}, "the usual names lead to the first real model"
    key = installed.ok("keys", "create", "real-model-app").strip()

    client = openai.OpenAI(base_url=f"http://127.0.0.1:{installed.proxy_port}/v1", api_key=key, max_retries=0)
    assert "smollm2" in [model.id for model in client.models.list()]
    whole = client.chat.completions.create(model="smollm2", messages=QUESTION, max_tokens=12, temperature=0)
    assert whole.choices[0].message.content
    assert whole.usage is not None

    words, usage = [], None
    for chunk in client.chat.completions.create(
        model="smollm2", messages=QUESTION, max_tokens=12, temperature=0, stream=True,
        stream_options={"include_usage": True},
    ):  # fmt: skip
        words += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        usage = chunk.usage or usage
    client.close()
    assert len(words) > 1, "it came in one piece"
    assert "".join(words).strip() == (whole.choices[0].message.content or "").strip()
    assert usage is not None

    def shown() -> dict[str, int]:
        rows = json.loads(installed.ok("usage", "--by", "model,key", "-o", "json"))["items"]
        return next((row for row in rows if row["model"] == "smollm2" and row["key"] == "real-model-app"), {})

    wait_until(lambda: shown().get("requests", 0) >= 2, what="both requests in scutum usage")
    row = shown()
    assert (row["requests"], row["errors"]) == (2, 0)
    assert row["tokens_in"] == whole.usage.prompt_tokens + usage.prompt_tokens
    assert row["tokens_out"] == whole.usage.completion_tokens + usage.completion_tokens
    assert "smollm2" in installed.ok("chat", "Hello", "--model", "smollm2", "-o", "json")


def test_a_revoked_key_is_refused_within_a_second_and_says_nothing_of_why(installed: Installed) -> None:
    key = installed.ok("keys", "create", "short-lived").strip()
    assert installed.complete(key=key)["choices"]
    installed.ok("keys", "revoke", "short-lived", "--yes")
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{installed.proxy_port}/v1", api_key=key, max_retries=0)

    def refusal() -> str | None:
        try:
            client.chat.completions.create(model="sim", messages=QUESTION)
        except openai.AuthenticationError as error:
            return error.message
        return None

    wait_until(lambda: refusal() is not None, seconds=1.5, what="the revocation to reach the proxies")
    revoked = refusal()
    never = openai.OpenAI(base_url=client.base_url, api_key="sk-scutum-never-issued", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as unknown:
        never.chat.completions.create(model="sim", messages=QUESTION)
    client.close()
    never.close()
    assert revoked == unknown.value.message
