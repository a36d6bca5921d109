"""Clients that send slowly or not at all, against the protocol with short waits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psutil
import pytest
import uvicorn

from scutum_server.errors import ScutumError
from scutum_server.proxy.http.exchange import SCOPE_KEY, Exchange
from scutum_server.proxy.http.protocol import MAX_PIPELINED, Protocol


class ShortExchange(Exchange):
    body_seconds = 0.3
    silence_seconds = 0.3
    upload_seconds = 1.0


class ShortProtocol(Protocol):
    head_seconds = 0.3
    write_seconds = 0.3
    exchange_class = ShortExchange


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def echo(scope: Any, receive: Any, send: Any) -> None:
    exchange: Exchange = scope[SCOPE_KEY]
    names = b",".join(name for name, _ in exchange.scope["headers"])
    if scope["path"] == "/early":
        exchange.respond(401, b"", b"early")
        return
    if scope["path"] == "/large":
        exchange.respond(200, b"", b"x" * 32 * 2**20)
        return
    try:
        if scope["path"] == "/pieces":
            body = b"".join([piece async for piece in exchange.pieces(1000)])
        else:
            body = await exchange.read_body(1000)
    except ScutumError as error:
        exchange.respond(error.status, b"", error.code.encode())
    else:
        exchange.respond(200, b"names: %b\r\n" % names, body)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        echo, http=ShortProtocol, ws="none", lifespan="off", interface="asgi3", log_config=None, timeout_keep_alive=1
    )
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await task


async def heard(reader: asyncio.StreamReader) -> bytes:
    """All until the server hangs up, which resets a connection on which something was left unread."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(65536), 10):
            got += part
    return got


async def talk(port: int, *parts: bytes) -> bytes:
    """Sends the parts and reads until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.01)
    got = await heard(reader)
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


async def trickle(port: int, head: bytes, pauses: int) -> bytes:
    """A byte of the body every 100 ms, until an answer comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    answered = asyncio.create_task(reader.read(4096))
    for _ in range(pauses):
        writer.write(b"x")
        await asyncio.wait([answered], timeout=0.1)
    got = await asyncio.wait_for(answered, 10)
    writer.close()
    return got


async def test_a_body_in_pieces_may_take_its_time_but_not_be_silent_nor_endless(port: int) -> None:
    head = b"POST /pieces HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    assert (await trickle(port, head % 6, 6)).endswith(b"xxxxxx")
    assert (await trickle(port, head % 6, 3)).startswith(b"HTTP/1.1 408 ")
    assert (await trickle(port, head % 500, 400)).startswith(b"HTTP/1.1 408 ")
    assert (await trickle(port, head % 1001 + b"x" * 1000, 1)).startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_asks_first_is_told_to_go_on(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /pieces HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 100 ")
    writer.write(b"ok")
    assert (await asyncio.wait_for(reader.readuntil(b"ok"), 10)).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_an_answered_connection_is_not_cut_by_its_first_wait(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(REQUEST)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0.5)
    writer.close()


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_trailers_are_no_headers(port: int) -> None:
    got = await talk(port, CHUNKED + b"2\r\nok\r\n0\r\nAuthorization: Bearer sk-x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"names: host,transfer-encoding\r\n" in got


@pytest.mark.parametrize("path", [b"/", b"/early"])
@pytest.mark.parametrize("rest", [b"0\r\nX-Endless: " + b"x" * 2**20, b"0\r\n" + b"X-T: y\r\n" * 2**17, b"1;" + b"x" * 2**20])
async def test_endless_trailers_and_chunk_extensions_are_cut(port: int, path: bytes, rest: bytes) -> None:
    head = CHUNKED.replace(b"POST /", b"POST " + path)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    with contextlib.suppress(ConnectionError):
        for start in range(0, len(rest), 16384):
            writer.write(rest[start : start + 16384])
            await writer.drain()
            await asyncio.sleep(0)
        got = await asyncio.wait_for(reader.read(), 10)
        assert got.count(b"HTTP/1.1 ") == 1, "one request, one answer"
        assert got.startswith(b"HTTP/1.1 401 " if path == b"/early" else b"HTTP/1.1 400 ")
    writer.close()


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


async def test_an_offer_of_another_protocol_is_answered_as_if_there_were_none(port: int) -> None:
    request = REQUEST.replace(b"Host: x\r\n", b"Host: x\r\n" + OFFER)
    chunked = CHUNKED.replace(b"Host: x\r\n", b"Host: x\r\n" + OFFER) + b"2\r\nok\r\n0\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for data in (request, chunked, REQUEST):
        writer.write(data)
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 5)).startswith(b"HTTP/1.1 200 ")
    for split in range(1, len(request), 7):
        writer.write(request[:split])
        await writer.drain()
        await asyncio.sleep(0.001)
        writer.write(request[split:])
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 5)).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_many_offers_in_a_row_end_the_connection(port: int) -> None:
    request = REQUEST.replace(b"Host: x\r\n", b"Host: x\r\n" + OFFER)
    assert (await talk(port, request * 2000)).count(b"HTTP/1.1 ") <= 1
    assert (await talk(port, REQUEST + b"GET / HT")).startswith(b"HTTP/1.1 200 "), "the server lives"


@pytest.mark.parametrize("before", [b"", REQUEST])
async def test_blank_lines_do_not_keep_a_connection(port: int, before: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(before)

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"\r\n")
                await asyncio.sleep(0.05)

    dripper = asyncio.create_task(drip())
    assert (await heard(reader)).count(b"HTTP/1.1 ") == (1 if before else 0)
    dripper.cancel()
    writer.close()


async def test_a_body_that_drips_on_after_its_answer_does_not_keep_a_connection(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.05)

    dripper = asyncio.create_task(drip())
    assert (await heard(reader)).startswith(b"HTTP/1.1 401 ")
    dripper.cancel()
    writer.close()


async def test_a_body_that_comes_whole_after_its_answer_leaves_the_connection_usable(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(3):
        writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        assert (await reader.readuntil(b"early")).startswith(b"HTTP/1.1 401 ")
        writer.write(b"late")
        await asyncio.sleep(0.5)  # longer than a head may take: the wait for the body has ended with it
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_a_connection_whose_body_came_after_its_answer_is_closed_once_idle(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShortProtocol, "timeout_keep_alive_handler", lambda self: self.transport.abort())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
    await reader.readuntil(b"early")
    writer.write(b"late")
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 15) == b""
    writer.close()


def holds(client: socket.socket) -> bool:
    """Whether the server, in this process, still has the other end of a connection."""
    local = client.getsockname()[1]
    return any(link.raddr and link.raddr.port == local for link in psutil.Process().net_connections("tcp"))


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
async def test_a_client_that_never_takes_its_answer_is_cut(port: int, close: bytes) -> None:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n" + close + b"\r\n")
    await writer.drain()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    while holds(raw):
        await asyncio.sleep(0.05)
    writer.close()


async def test_garbage_behind_a_body_that_was_answered_gets_no_second_answer(port: int) -> None:
    got = await talk(port, CHUNKED.replace(b"POST /", b"POST /early"), b"zz\r\n")
    assert got.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("version", [b"0.9", b"2.0"])
async def test_other_versions_are_refused(port: int, version: bytes) -> None:
    got = await talk(port, REQUEST.replace(b"HTTP/1.1", b"HTTP/" + version))
    assert got.startswith(b"HTTP/1.1 400 ")


async def test_no_tunnels(port: int) -> None:
    got = await talk(port, b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n" + REQUEST)
    assert got.startswith(b"HTTP/1.1 400 ")
    assert got.count(b"HTTP/1.1 ") == 1


async def test_refusals_before_any_endpoint_are_in_the_format_of_the_path(port: int) -> None:
    for path, kind in ((b"/v1/messages", b'"type":"error"'), (b"/v1/chat/completions", b'{"error":')):
        got = await talk(port, b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n bad\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 400 ")
        assert kind in got


async def test_many_requests_at_once_on_a_connection_end_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST * MAX_PIPELINED)
    for _ in range(MAX_PIPELINED):
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 5)).startswith(b"HTTP/1.1 200 ")
    writer.write(REQUEST * 10 * MAX_PIPELINED)
    assert (await heard(reader)).count(b"HTTP/1.1 ") <= MAX_PIPELINED
    writer.close()


@pytest.mark.parametrize(("count", "end", "status"), [(250, b"\r\n", b"200"), (260, b"\r\n", b"431"), (260, b"", b"431")])
async def test_a_head_has_so_many_fields(port: int, count: int, end: bytes, status: bytes) -> None:
    fields = b"".join(b"a:\r\n" for _ in range(count))
    got = await talk(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + end)
    assert got.startswith(b"HTTP/1.1 %b " % status)
    assert got.count(b"HTTP/1.1 ") == 1


async def test_a_client_that_takes_its_answer_slowly_is_not_cut(port: int) -> None:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", port))
    await loop.sock_sendall(raw, b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    for _ in range(100):
        await asyncio.sleep(0.02)
        assert len(await loop.sock_recv(raw, 4096)) > 0
    assert holds(raw)
    raw.close()
