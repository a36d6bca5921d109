"""Clients that send slowly or not at all, against the protocol with short waits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvicorn

from scutum_server.errors import ScutumError
from scutum_server.proxy.protocol import SCOPE_KEY, Exchange, Protocol


class ShortExchange(Exchange):
    body_seconds = 0.3


class ShortProtocol(Protocol):
    head_seconds = 0.3
    exchange_class = ShortExchange


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def echo(scope: Any, receive: Any, send: Any) -> None:
    exchange: Exchange = scope[SCOPE_KEY]
    try:
        body = await exchange.read_body(1000)
    except ScutumError as error:
        exchange.respond(error.status, b"", error.code.encode())
    else:
        exchange.respond(200, b"", body)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(echo, http=ShortProtocol, ws="none", lifespan="off", interface="asgi3", log_config=None)
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await task


async def talk(port: int, *parts: bytes) -> bytes:
    """Sends the parts and reads until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.01)
    got = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return got


REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"


async def test_a_connection_without_a_request_is_closed(port: int) -> None:
    assert await talk(port) == b""


@pytest.mark.parametrize("before", [[], [REQUEST]])
async def test_a_head_that_never_ends_is_refused(port: int, before: list[bytes]) -> None:
    got = await talk(port, *before, b"POST / HT", b"TP/1.1\r\nHost:", b" x\r\n")
    assert got.count(b"HTTP/1.1 200 ") == len(before)
    assert b"HTTP/1.1 408 " in got
    assert b"request_timeout" in got


async def test_a_body_that_never_ends_is_refused(port: int) -> None:
    got = await talk(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    assert got.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in got
    assert got.endswith(b"request_timeout")


async def test_an_answered_connection_is_not_cut_by_its_first_wait(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(REQUEST)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0.5)
    writer.close()
