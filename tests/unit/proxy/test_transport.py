"""The transport by itself: answers split anywhere, and every way an exchange can end frees its connection."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from tests.fixtures.upstream import LAST, STREAM_HEAD, Request, Upstream, answer, chunk

from scutum_server.errors import UpstreamError
from scutum_server.upstream.errors import UpstreamTimeout
from scutum_server.upstream.options import Timeouts
from scutum_server.upstream.transport import Origin, Response, Transport

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
TIMES = Timeouts(connect_ms=2000, first_byte_ms=5000, total_ms=5000)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    made = Transport()
    yield made
    assert not made.active, "an exchange that nobody freed"
    made.close()


def origin_of(transport: Transport, upstream: Upstream) -> Origin:
    return transport.origin("127.0.0.1", upstream.port, tls=False)


async def whole(transport: Transport, upstream: Upstream, times: Timeouts = TIMES) -> tuple[int, bytes]:
    response = await transport.request(origin_of(transport, upstream), GET, times, whole=True)
    try:
        return response.status, await response.body(2**20)
    finally:
        response.close()


async def pumped(response: Response) -> bytes:
    got = bytearray()

    def feed(data: bytes) -> bool:
        got.extend(data)
        return True

    try:
        await response.pump(feed)
    finally:
        response.close()
    return bytes(got)


FRAMES = {
    "length": answer(b"hello world", content_type="text/plain"),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"hello ") + chunk(b"world") + LAST,
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunk(b"hello world")
    + b"0\r\nX-T: 1\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"hello world"),
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_split_at_any_byte(transport: Transport, upstream: Upstream, name: str, stream: bool) -> None:
    data = FRAMES[name]
    for cut in range(1, len(data), 3):
        upstream.says(data[:cut], data[cut:])
        if stream:
            response = await transport.request(origin_of(transport, upstream), GET, TIMES, whole=False)
            assert (response.status, await pumped(response)) == (200, b"hello world")
        else:
            assert await whole(transport, upstream) == (200, b"hello world")
    assert upstream.accepted == 1, "every answer left its connection fit for the next"


@pytest.mark.parametrize("moment", ["connect", "head", "body", "pump"])
async def test_cancelling_frees_the_connection(transport: Transport, upstream: Upstream, moment: str) -> None:
    if moment == "body":
        upstream.hangs(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    elif moment == "pump":
        upstream.hangs(STREAM_HEAD + chunk(b"some"))
    else:
        upstream.hangs()

    async def exchange() -> None:
        response = await transport.request(origin_of(transport, upstream), GET, TIMES, whole=moment != "pump")
        await pumped(response)

    task = asyncio.create_task(exchange())
    if moment == "connect":
        await asyncio.sleep(0)
    else:
        while not upstream.requests:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)  # the answer's first part may arrive or not: both must be freed
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not transport.active
    if moment != "connect":
        await asyncio.wait_for(upstream.hung_up.wait(), 2)


async def test_stopping_a_stream_keeps_the_connection_once_its_rest_has_come(
    transport: Transport, upstream: Upstream
) -> None:
    finish = asyncio.Event()

    async def handler(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunk(b"the part that counts"))
        await finish.wait()
        writer.write(chunk(b"rest") + LAST)

    upstream.handler = handler
    response = await transport.request(origin_of(transport, upstream), GET, TIMES, whole=False)

    def feed(_: bytes) -> bool:
        response.stop()
        return True

    await response.pump(feed)
    response.close()
    assert transport.active, "the connection waits for the rest"
    finish.set()
    while transport.active:
        await asyncio.sleep(0.005)
    upstream.says(answer(b"again"))
    assert await whole(transport, upstream) == (200, b"again")
    assert upstream.accepted == 1


async def test_a_stopped_stream_that_never_ends_is_dropped(
    transport: Transport, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scutum_server.upstream.transport.LINGER_S", 0.1)
    upstream.hangs(STREAM_HEAD + chunk(b"the part that counts"))
    response = await transport.request(origin_of(transport, upstream), GET, TIMES, whole=False)

    def feed(_: bytes) -> bool:
        response.stop()
        return True

    await response.pump(feed)
    response.close()
    await asyncio.wait_for(upstream.hung_up.wait(), 5)
    assert not transport.active


async def test_an_error_in_the_reader_ends_the_exchange(transport: Transport, upstream: Upstream) -> None:
    upstream.hangs(STREAM_HEAD + chunk(b"bad"))
    response = await transport.request(origin_of(transport, upstream), GET, TIMES, whole=False)

    def feed(_: bytes) -> bool:
        raise UpstreamError("too much", code="upstream_bad_answer")

    with pytest.raises(UpstreamError, match="too much"):
        await response.pump(feed)
    response.close()
    await asyncio.wait_for(upstream.hung_up.wait(), 5)


async def test_an_answer_over_the_limit_is_refused(transport: Transport, upstream: Upstream) -> None:
    upstream.says(answer(b"x" * 3000))
    response = await transport.request(origin_of(transport, upstream), GET, TIMES, whole=False)
    with pytest.raises(UpstreamError, match="larger than 1000"):
        await response.body(1000)
    response.close()


async def test_a_connection_that_is_too_old_is_not_used_again(
    transport: Transport, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await whole(transport, upstream)
    monkeypatch.setattr("scutum_server.upstream.transport.MAX_AGE_S", 0.0)
    await whole(transport, upstream)
    assert upstream.accepted == 2


async def test_many_at_once_share_what_is_free(transport: Transport, upstream: Upstream) -> None:
    for _ in range(3):
        assert {status for status, _ in await asyncio.gather(*(whole(transport, upstream) for _ in range(30)))} == {200}
    assert upstream.accepted <= 30
    assert len(upstream.requests) == 90


async def test_the_total_time_counts_while_bytes_trickle(transport: Transport, upstream: Upstream) -> None:
    async def trickle(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    upstream.handler = trickle
    with pytest.raises(UpstreamTimeout, match="answer in time"):
        await whole(transport, upstream, Timeouts(total_ms=300))


async def test_silence_between_two_pieces_ends_a_stream(transport: Transport, upstream: Upstream) -> None:
    upstream.hangs(STREAM_HEAD + chunk(b"one"))
    times = Timeouts(idle_ms=150)
    response = await transport.request(origin_of(transport, upstream), GET, times, whole=False)
    with pytest.raises(UpstreamTimeout, match="go on with its answer"):
        await asyncio.wait_for(pumped(response), 10)


async def test_a_client_that_pauses_a_stream_is_no_silence_of_the_provider(
    transport: Transport, upstream: Upstream
) -> None:
    upstream.says(STREAM_HEAD + chunk(b"one"), chunk(b"two") + LAST)
    times = Timeouts(idle_ms=150)
    response = await transport.request(origin_of(transport, upstream), GET, times, whole=False)
    got = bytearray()

    def feed(data: bytes) -> bool:
        got.extend(data)
        asyncio.get_running_loop().call_later(0.5, response.resume)
        return False

    try:
        await response.pump(feed)
    finally:
        response.close()
    assert got == b"onetwo"


async def test_an_answer_in_one_piece_may_be_long_in_coming_after_its_head(
    transport: Transport, upstream: Upstream
) -> None:
    async def handler(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = answer(b"hello").split(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        await asyncio.sleep(0.5)
        writer.write(body)

    upstream.handler = handler
    assert await whole(transport, upstream, Timeouts(idle_ms=100)) == (200, b"hello")


async def test_what_a_provider_sends_behind_its_answer_is_nobodys(transport: Transport, upstream: Upstream) -> None:
    sockets: list[int] = []

    async def handler(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sockets.append(writer.get_extra_info("socket").fileno())
        writer.write(answer(b"mine"))

    upstream.handler = handler
    for _ in range(3):
        assert await whole(transport, upstream) == (200, b"mine")
        # It lies in the socket before the next request is sent, and the loop has not read it yet.
        os.write(sockets[-1], answer(b"poison"))
    assert upstream.accepted == 3


@pytest.mark.parametrize("junk", [answer(b"poison"), b"\r\n\r\n" + answer(b"poison"), b"x", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_junk_in_one_piece_with_an_answer_ends_the_connection(
    transport: Transport, upstream: Upstream, junk: bytes
) -> None:
    upstream.says(answer(b"mine") + junk)
    for _ in range(3):
        assert await whole(transport, upstream) == (200, b"mine")
    assert upstream.accepted == 3


async def test_trailers_are_no_headers(transport: Transport, upstream: Upstream) -> None:
    upstream.says(
        b"HTTP/1.1 429 X\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"no") + b"0\r\nRetry-After: 9\r\n\r\n"
    )
    response = await transport.request(origin_of(transport, upstream), GET, TIMES, whole=True)
    assert response.header(b"retry-after") is None
    response.close()


@pytest.mark.parametrize("endless", [b"0\r\nX-Endless: " + b"x" * 2**20, b"0\r\n" + b"X-T: y\r\n" * 2**17, b"1;" + b"x" * 2**20])
@pytest.mark.parametrize("stream", [False, True])
async def test_endless_trailers_and_chunk_extensions_are_cut(
    transport: Transport, upstream: Upstream, endless: bytes, stream: bool
) -> None:
    upstream.says(STREAM_HEAD + chunk(b"some"), *(endless[at : at + 16384] for at in range(0, len(endless), 16384)))
    with pytest.raises(UpstreamError, match="too large a frame"):
        if stream:
            await pumped(await transport.request(origin_of(transport, upstream), GET, TIMES, whole=False))
        else:
            await whole(transport, upstream)
    await asyncio.wait_for(upstream.hung_up.wait(), 5)


@pytest.mark.parametrize("status", [b"000", b"099", b"101", b"600", b"999", b"20", b"2000", b"-20"])
async def test_statuses_that_do_not_exist(transport: Transport, upstream: Upstream, status: bytes) -> None:
    upstream.says(b"HTTP/1.1 %b X\r\nContent-Length: 2\r\n\r\nok" % status)
    with pytest.raises(UpstreamError, match=r"not HTTP/1\.1"):
        await whole(transport, upstream)


async def test_a_provider_that_answers_before_it_has_read_is_not_asked_again_on_that_connection(
    transport: Transport,
) -> None:
    serving: list[asyncio.Task[None]] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"too large", 413))
        await over.wait()
        writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024) as server:
        origin = transport.origin("127.0.0.1", server.sockets[0].getsockname()[1], tls=False)
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % 2**25 + bytes(2**25)
        for count in (1, 2):
            response = await transport.request(origin, request, TIMES, whole=True)
            response.close()
            assert (response.status, len(serving)) == (413, count)
        assert not transport.active
        over.set()
        await asyncio.gather(*serving)
