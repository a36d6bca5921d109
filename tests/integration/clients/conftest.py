"""One proxy before two strict vendors, and the official clients that talk to it."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest
from tests.fixtures.servers import Postgres, Valkey
from tests.fixtures.vendors.world import World, running_world


@pytest.fixture(scope="package")
def world(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    name = postgres.clone()
    with running_world(postgres.app(name), valkey.settings(), tmp_path_factory.mktemp("clients")) as made:
        yield made
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
