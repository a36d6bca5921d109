"""One proxy for the tests that only talk to it, and upstream servers that misbehave on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anthropic
import openai
import pytest
from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.servers import Postgres, Valkey
from tests.fixtures.upstream import Upstream


@pytest.fixture(scope="module")
def proxy(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy with the simulator's two models."""
    name = postgres.clone()
    with running_proxy(postgres.app(name), valkey.settings(), tmp_path_factory.mktemp("proxy")) as running:
        sim = running.rows.provider("sim", "sim")
        running.rows.deployment("sim", sim, settings={"kind": "chat"})
        running.rows.deployment("sim-embedding", sim, settings={"kind": "embedding"})
        running.rows.alias("fast", "gone", "sim")
        running.wait_for("sim", "sim-embedding", "fast")
        yield running
        assert running.process.poll() is None, running.log.read_text()
    postgres.drop(name)


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.rows.key(), max_retries=0) as made:
        yield made


@pytest.fixture
async def chat_client(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.master_key, max_retries=0) as made:
        yield made


@pytest.fixture
async def messages_client(proxy: Proxy) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=proxy.url, api_key=proxy.master_key, max_retries=0) as made:
        yield made


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A server whose every answer the test writes."""
    async with Upstream() as server:
        yield server
