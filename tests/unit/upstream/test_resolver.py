"""Names of providers: how often they are looked up, and what happens when nobody answers."""

from __future__ import annotations

import asyncio
import socket

import pytest

from scutum_server.upstream import transport as transports
from scutum_server.upstream.errors import UpstreamRefused
from scutum_server.upstream.options import Timeouts
from scutum_server.upstream.resolver import Resolver
from tests.fixtures.servers import free_port


class Names:
    """A name server that counts its questions."""

    def __init__(self, *addresses: str) -> None:
        self.now = 1000.0
        self.asked: list[str] = []
        self.addresses: list[str] | OSError = list(addresses)
        self.answering = asyncio.Event()
        self.answering.set()
        self.resolver = Resolver(self.look_up, lambda: self.now)

    async def look_up(self, host: str) -> list[str]:
        self.asked.append(host)
        await self.answering.wait()
        if isinstance(self.addresses, OSError):
            raise self.addresses
        return self.addresses


async def test_a_name_is_looked_up_twice_a_minute_at_most_and_once_for_all_who_ask() -> None:
    names = Names("192.0.2.1")
    names.answering.clear()
    asking = [asyncio.create_task(names.resolver.addresses("api.example.com")) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    names.answering.set()
    assert await asyncio.gather(*asking[1:]) == [["192.0.2.1"]] * 4
    names.now += 29
    await names.resolver.addresses("api.example.com")
    assert len(names.asked) == 1
    names.now += 2
    names.addresses = ["192.0.2.2"]
    assert await names.resolver.addresses("api.example.com") == ["192.0.2.2"]
    assert await names.resolver.addresses("2001:db8::1") == ["2001:db8::1"]
    assert len(names.asked) == 2


async def test_the_last_addresses_serve_for_ten_minutes_without_a_name_server() -> None:
    names = Names("192.0.2.1")
    await names.resolver.addresses("api.example.com")
    names.addresses = OSError(socket.EAI_AGAIN, "Temporary failure in name resolution")
    names.now += 500
    assert await names.resolver.addresses("api.example.com") == ["192.0.2.1"]
    names.now += 200
    with pytest.raises(OSError, match="Temporary failure"):
        await names.resolver.addresses("api.example.com")


async def test_the_next_address_is_tried_and_dead_ones_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def says_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        writer.close()

    server = await asyncio.start_server(says_hello, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    names = Names("127.0.0.9", "127.0.0.1")
    monkeypatch.setattr(transports, "Resolver", lambda: names.resolver)
    transport = transports.Transport()
    try:
        origin = transport.origin("api.example.com", port, tls=False)
        reply = await transport.request(origin, b"GET / HTTP/1.1\r\n\r\n", Timeouts(), whole=True)
        assert await reply.body(100) == b"hello"
        reply.close()
        dead = transport.origin("api.example.com", free_port(), tls=False)
        with pytest.raises(UpstreamRefused):
            await transport.request(dead, b"GET / HTTP/1.1\r\n\r\n", Timeouts(), whole=True)
        await names.resolver.addresses("api.example.com")
        assert len(names.asked) == 2
    finally:
        transport.close()
        server.close()
