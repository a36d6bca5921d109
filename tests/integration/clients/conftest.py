"""One proxy before two strict vendors, and the official clients that talk to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import anthropic
import openai
import pytest
from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.servers import Postgres, Valkey
from tests.fixtures.vendors.anthropic_api import Anthropic
from tests.fixtures.vendors.openai_api import OpenAI
from tests.fixtures.vendors.server import Vendor


@dataclass
class World:
    """`vendors` by the name of the model that leads there."""

    proxy: Proxy
    vendors: dict[str, Vendor]

    def add(self, name: str, vendor: Vendor, kind: str, upstream: str, **settings: str) -> None:
        rows = self.proxy.rows
        url = vendor.url + "/v1" if kind == "openai" else vendor.url
        provider = rows.provider(f"p-{name}", kind, url, api_key="sk-vendor", settings=settings)
        rows.deployment(name, provider, upstream)
        self.vendors[name] = vendor


@pytest.fixture(scope="package")
def world(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Models by the wire that they are reached over, each with a model of that vendor that has rules of its own."""
    name = postgres.clone()
    directory = tmp_path_factory.mktemp("clients")
    with (
        OpenAI() as theirs, OpenAI(reasons=True) as open_weights, Anthropic() as claude,
        running_proxy(postgres.app(name), valkey.settings(), directory) as proxy,
    ):  # fmt: skip
        made = World(proxy, {})
        made.add("responses", theirs, "openai", "gpt-4o", responses="native")
        made.add("responses-elsewhere", open_weights, "openai", "gpt-4o", responses="native")
        made.add("chat", theirs, "openai", "gpt-4o", responses="translate")
        made.add("gpt-5", theirs, "openai", "gpt-5-mini", responses="translate")
        made.add("open-weights", open_weights, "openai", "qwen3", responses="translate")
        made.add("claude", claude, "anthropic", "claude-sonnet-4-5", structured_output="native")
        made.add("claude-newest", claude, "anthropic", "claude-sonnet-5", structured_output="native")
        made.add("claude-old", claude, "anthropic", "claude-3-haiku-20240307", structured_output="tool")
        sim = proxy.rows.provider("sim", "sim")
        proxy.rows.deployment("sim", sim, settings={"kind": "chat"})
        proxy.rows.deployment("sim-embedding", sim, settings={"kind": "embedding"})
        proxy.wait_for("sim-embedding")
        yield made
        assert proxy.process.poll() is None, proxy.log.read_text()
    postgres.drop(name)


@pytest.fixture(autouse=True)
def nothing_refused(world: World, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test asks in a client's words reaches the vendor in words that it takes, unless the test says otherwise."""
    for vendor in world.vendors.values():
        vendor.requests.clear()
        vendor.refused.clear()
    yield
    if request.node.get_closest_marker("refused") is None:
        assert [each for vendor in world.vendors.values() for each in vendor.refused] == []


@pytest.fixture
def chat(world: World) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{world.proxy.url}/v1", api_key=world.proxy.master_key, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(world: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=world.proxy.url, api_key=world.proxy.master_key, max_retries=0) as client:
        yield client
