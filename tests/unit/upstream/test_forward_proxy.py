"""Forward proxies: which one a provider's calls take, and every way in which one can fail, on real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from tests.fixtures.forward_proxy import HttpProxy
from tests.fixtures.servers import free_port
from tests.fixtures.upstream import Upstream

from scutum_server.errors import SettingsError, UpstreamError
from scutum_server.upstream.forward_proxy import DIRECT, Exceptions, ForwardProxy, Outgoing, outgoing, parse
from scutum_server.upstream.openai import OpenAILane
from scutum_server.upstream.options import OpenAIOptions, Timeouts
from scutum_server.upstream.transport import Transport

BASIC = "Proxy-Authorization: Basic Z3c6cEBzcw==\r\n"


@pytest.mark.parametrize(
    ("url", "password", "expected"),
    [
        ("http://proxy.corp:3128", None, ForwardProxy("proxy.corp", 3128)),
        ("http://proxy.corp/", None, ForwardProxy("proxy.corp", 80)),
        ("http://gw:p%40ss@proxy.corp:3128", None, ForwardProxy("proxy.corp", 3128, BASIC)),
        ("http://gw@proxy.corp:3128", "p@ss", ForwardProxy("proxy.corp", 3128, BASIC)),
        ("http://[2001:db8::1]:8080", None, ForwardProxy("2001:db8::1", 8080)),
    ],
)
def test_a_proxy_is_an_address(url: str, password: str | None, expected: ForwardProxy) -> None:
    assert parse(url, password) == expected
    assert "p@ss" not in repr(parse(url, password)) and "Z3c6" not in repr(parse(url, password))


@pytest.mark.parametrize(
    "url", ["proxy:3128", "https://p:1", "socks5://p:1", "http://", "http://p:x", "http://p:1/path", "http://p:1?q", "http://p\u00e9:1"]
)
def test_what_is_no_proxy_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="UPSTREAM_PROXY") as error:
        outgoing(url.replace("://", "://user:hunter2@"), None)
    assert "hunter2" not in str(error.value) + str(error.value.hint)


def test_exceptions_are_names_domains_and_networks() -> None:
    found = Exceptions("vllm.corp, .internal,10.0.0.0/8 , 192.168.7.9")
    for host in ("vllm.corp", "a.vllm.corp", "x.internal", "VLLM.corp", "10.1.2.3", "192.168.7.9", "localhost", "127.0.0.9", "::1"):
        assert host in found, host
    for host in ("notvllm.corp", "internal.example", "11.0.0.1", "api.openai.com", "2001:db8::1"):
        assert host not in found, host
    assert "api.openai.com" in Exceptions("*")


def test_a_providers_own_proxy_goes_before_the_gateways() -> None:
    ours = outgoing("http://ours:1", ".corp")
    assert ours.choose(None, None, "api.openai.com") == ForwardProxy("ours", 1)
    assert ours.choose(None, None, "vllm.corp") is None
    assert ours.choose(DIRECT, None, "api.openai.com") is None
    assert ours.choose("http://theirs:2", None, "vllm.corp") == ForwardProxy("theirs", 2)
    assert Outgoing().choose(None, None, "api.openai.com") is None


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    made = Transport()
    yield made
    assert not made.active, "an exchange that nobody freed"
    made.close()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def upstream(authority: trustme.CA) -> AsyncIterator[Upstream]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("provider.test").configure_cert(context)
    async with Upstream(context) as server:
        yield server


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


async def call(transport: Transport, base_url: str, **options: object) -> tuple[int, bytes]:
    settings = OpenAIOptions(timeouts=Timeouts(connect_ms=3000), **options)  # type: ignore[arg-type]
    lane = OpenAILane(transport, base_url, "sk-provider", settings)
    response = await lane.call("chat/completions", b"{}", stream=False)
    try:
        return response.status, await response.body(2**20)
    finally:
        response.close()


async def fails(transport: Transport, base_url: str, **options: object) -> UpstreamError:
    with pytest.raises(UpstreamError) as error:
        await call(transport, base_url, **options)
    assert "hunter2" not in error.value.detail
    return error.value


async def test_an_https_provider_is_reached_through_a_tunnel(
    transport: Transport, upstream: Upstream, bundle: str
) -> None:
    """The name `provider.test` exists nowhere: only the proxy knows where it is."""
    async with HttpProxy("gw:hunter2") as proxy:
        proxy.hosts["provider.test"] = ("127.0.0.1", upstream.port)
        for _ in range(2):
            status, body = await call(
                transport, "https://provider.test/v1", ca_bundle=bundle, proxy=proxy.with_user("gw"), proxy_secret="hunter2"
            )
            assert (status, b"chat.completion" in body) == (200, True)
        assert proxy.asked == ["CONNECT provider.test:443 HTTP/1.1"], "one tunnel for both"
    assert upstream.requests[0].line == "POST /v1/chat/completions HTTP/1.1"
    assert "proxy-authorization" not in upstream.requests[0].headers
    assert "sk-provider" not in "".join(proxy.heads)


async def test_an_http_provider_is_asked_for_in_the_absolute_form(transport: Transport) -> None:
    async with HttpProxy("gw:hunter2") as proxy, Upstream() as upstream:
        proxy.hosts["provider.test"] = ("127.0.0.1", upstream.port)
        status, body = await call(
            transport, "http://provider.test:8000/v1", proxy=proxy.with_user("gw"), proxy_secret="hunter2"
        )
        assert (status, b"chat.completion" in body) == (200, True)
        assert proxy.asked == ["POST http://provider.test:8000/v1/chat/completions HTTP/1.1"]
        assert upstream.requests[0].headers["host"] == "provider.test:8000"
        assert upstream.requests[0].headers["authorization"] == "Bearer sk-provider"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_does_not_know_us_is_named(transport: Transport, scheme: str) -> None:
    async with HttpProxy("gw:other") as proxy:
        wrong = await fails(
            transport, f"{scheme}://provider.test/v1", proxy=proxy.with_user("gw"), proxy_secret="hunter2"
        )
        assert wrong.detail == f"The proxy {proxy.url} does not take our user and password (407)."
        assert wrong.code == "upstream_proxy_failed"
        asked = await fails(transport, f"{scheme}://provider.test/v1", proxy=proxy.url)
        assert asked.detail == f"The proxy {proxy.url} asks for a user and a password (407)."


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 403 No\r\n\r\n", "does not connect us to provider.test:443 (403)"),
        (b"HTTP/1.1 502 No\r\nContent-Length: 2\r\n\r\nno", "does not connect us to provider.test:443 (502)"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "answers with something that is not HTTP"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "answers with something that is not HTTP"),
        (b"HTTP/1.1\r\n\r\n", "answers with something that is not HTTP"),
        (b"x" * 20_000, "answers with something that is not HTTP"),
        (b"", "hung up instead of connecting us to provider.test:443"),
    ],
)
async def test_a_tunnel_that_is_refused_says_by_whom(transport: Transport, said: bytes, words: str) -> None:
    async with HttpProxy() as proxy:
        proxy.answer = said
        error = await fails(transport, "https://provider.test/v1", proxy=proxy.url)
        assert error.detail == f"The proxy {proxy.url} {words}."


async def test_a_proxy_that_is_not_there_or_says_nothing_is_named(transport: Transport) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    error = await fails(transport, "https://provider.test/v1", proxy=gone)
    assert error.detail.startswith(f"The proxy {gone} cannot be reached: connect")
    unknown = await fails(transport, "http://provider.test/v1", proxy="http://proxy.invalid:1")
    assert unknown.detail.startswith("The proxy http://proxy.invalid:1 cannot be reached: ")
    async with HttpProxy() as proxy:
        proxy.silent = True
        options = OpenAIOptions(timeouts=Timeouts(connect_ms=50), proxy=proxy.url)
        lane = OpenAILane(transport, "https://provider.test/v1", None, options)
        with pytest.raises(UpstreamError, match=f"through the proxy {proxy.url} within 0.05 s"):
            await lane.call("chat/completions", b"{}", stream=False)
        async with asyncio.timeout(5):
            await proxy.hung_up.wait()


async def test_the_providers_certificate_is_checked_inside_the_tunnel(transport: Transport, upstream: Upstream) -> None:
    async with HttpProxy() as proxy:
        proxy.hosts["provider.test"] = ("127.0.0.1", upstream.port)
        error = await fails(transport, "https://provider.test/v1", proxy=proxy.url)
        assert error.detail.startswith("The provider's certificate is not trusted")


async def test_a_providers_proxy_that_is_none_is_said(transport: Transport) -> None:
    with pytest.raises(UpstreamError, match="The provider's proxy must begin with http://"):
        OpenAILane(transport, "https://provider.test/v1", None, OpenAIOptions(proxy="socks5://p:1"))


def test_a_request_is_turned_into_the_absolute_form() -> None:
    proxy = ForwardProxy("p", 1, BASIC)
    assert proxy.whole("h:1", b"GET /v1 HTTP/1.1\r\nhost: h\r\n\r\nbody") == (
        b"GET http://h:1/v1 HTTP/1.1\r\n" + BASIC.encode() + b"host: h\r\n\r\nbody"
    )
