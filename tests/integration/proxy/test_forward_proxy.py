"""A proxy process whose calls leave through a forward proxy: the gateway's own, or one of the provider's."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme
from tests.fixtures.forward_proxy import HttpProxy
from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.servers import Postgres, Valkey, free_port
from tests.fixtures.upstream import DONE, LAST, STREAM_HEAD, USAGE, Upstream, chunk, event
from tests.integration.proxy.scripted import ask, error, provide

PORT = free_port()


@pytest.fixture(scope="module")
def behind(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    name = postgres.clone()
    variables = {"UPSTREAM_PROXY": f"http://gw:hunter2@127.0.0.1:{PORT}", "UPSTREAM_NO_PROXY": "inside.test"}
    with running_proxy(
        postgres.app(name), valkey.settings(), tmp_path_factory.mktemp("behind"), environment=variables
    ) as proxy:
        yield proxy
        assert "hunter2" not in proxy.log.read_text()
    postgres.drop(name)


@pytest.fixture
async def way_out() -> AsyncIterator[HttpProxy]:
    async with HttpProxy("gw:hunter2", PORT) as proxy:
        yield proxy


@pytest.mark.parametrize("stream", [False, True])
async def test_providers_are_called_through_the_gateways_proxy(
    behind: Proxy, way_out: HttpProxy, tmp_path: Path, stream: bool
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("provider.test").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with Upstream(context) as upstream:
        way_out.hosts["provider.test"] = ("127.0.0.1", upstream.port)
        if stream:
            upstream.says(STREAM_HEAD, chunk(event("hi")), chunk(event(usage=USAGE) + DONE), LAST)
        model = await provide(behind, "https://provider.test/v1", ca_bundle=str(tmp_path / "ca.pem"))
        status, _, body = await ask(behind, model, stream=stream)
    assert (status, b"hi" in body) == (200, True)
    assert way_out.asked == ["CONNECT provider.test:443 HTTP/1.1"]


async def test_what_needs_no_proxy_is_called_directly(behind: Proxy, upstream: Upstream) -> None:
    """Loopback never needs one; other names are the operator's; `direct` is the provider's own choice."""
    model = await provide(behind, upstream.base_url)
    assert (await ask(behind, model))[0] == 200

    def register() -> None:
        behind.rows.deployment("m-inside", behind.rows.provider("p-inside", "openai", "http://inside.test/v1"))
        outside = behind.rows.provider("p-outside", "openai", "http://out.test/v1", settings={"proxy": "direct"})
        behind.rows.deployment("m-outside", outside)
        behind.wait_for("m-inside", "m-outside")

    await asyncio.to_thread(register)
    for model in ("m-inside", "m-outside"):
        status, _, body = await ask(behind, model)
        assert (status, error(body)["code"]) == (502, "upstream_unreachable")


async def test_a_proxy_that_is_away_is_named_and_its_password_is_not(behind: Proxy) -> None:
    model = await provide(behind, "https://provider.test/v1")
    status, headers, body = await ask(behind, model)
    assert (status, error(body)["code"]) == (502, "upstream_proxy_failed")
    assert f"The proxy http://127.0.0.1:{PORT} cannot be reached: connection refused." in error(body)["message"]
    assert "hunter2" not in body.decode()


async def test_a_providers_own_proxy_and_its_wrapped_password(behind: Proxy, upstream: Upstream) -> None:
    async with HttpProxy("own:swordfish") as own:
        own.hosts["provider.test"] = ("127.0.0.1", upstream.port)

        def register() -> None:
            provider = behind.rows.provider("behind-own", "openai", "http://provider.test/v1", settings={})
            behind.rows.proxy(provider, own.with_user("own"), "swordfish")
            behind.rows.deployment("m-own", provider, "upstream-model")
            behind.wait_for("m-own")

        await asyncio.to_thread(register)
        assert (await ask(behind, "m-own"))[0] == 200
        assert own.asked == ["POST http://provider.test/v1/chat/completions HTTP/1.1"]
