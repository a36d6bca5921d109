"""What must not be felt: a restart under open streams, clients that read slowly, clients that write slowly."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
from tests.fixtures.gateway import MASTER_KEY, Proxy, Rows, proxy_environment, running_proxy
from tests.fixtures.servers import Postgres, Valkey, wait_until
from tests.fixtures.upstream import DONE, LAST, STREAM_HEAD, USAGE, Request, Upstream, chunk, event
from tests.integration.proxy.scripted import ask, provide, send_raw
from tests.integration.proxy.test_process import Workers, asks_until

from scutum_server.settings import DatabaseSettings, RedisSettings

STREAMS = 200


async def test_two_hundred_streams_survive_a_rolling_restart(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path, upstream: Upstream
) -> None:
    go, failures, stop = asyncio.Event(), [], threading.Event()

    async def streams(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunk(event("begun")))
        await go.wait()
        writer.write(chunk(event(" and ended")) + chunk(event(usage=USAGE)) + chunk(DONE) + LAST)

    upstream.handler = streams
    key = os.urandom(32)
    rows = Rows(database, key)
    rows.seed()
    rows.deployment("sim", rows.provider("sim", "sim"))
    rows.deployment("slow", rows.provider("slow", "openai", upstream.base_url, api_key="sk-up"))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port = listener.getsockname()[1]
        workers = Workers(proxy_environment(database, redis_settings, key, tmp_path, port), listener, tmp_path)
        loads: list[asyncio.Task[int]] = []
        try:
            old = await asyncio.to_thread(workers.start)
            proxy = Proxy(port, old, rows, redis_settings, tmp_path, tmp_path)
            opened = await asyncio.gather(*(send_raw(proxy, "slow", stream=True) for _ in range(STREAMS)))
            begun = await asyncio.gather(*(reader.readuntil(b"begun") for reader, _ in opened))
            assert all(part.startswith(b"HTTP/1.1 200 ") for part in begun)
            loads = [asyncio.create_task(asyncio.to_thread(asks_until, stop, port, failures)) for _ in range(4)]
            new = await asyncio.to_thread(workers.start)
            old.terminate()
            await asyncio.to_thread(
                wait_until, lambda: listening(old.pid) == 0, what="the old worker to stop listening"
            )
            assert old.poll() is None, "it waits for its streams"
            go.set()
            rest = await asyncio.gather(*(reader.read() for reader, _ in opened))
            assert await asyncio.to_thread(old.wait, 20) == 0
            stop.set()
            answered = sum(await asyncio.gather(*loads))
            new.terminate()
            assert await asyncio.to_thread(new.wait, 20) == 0
        finally:
            stop.set()
            for worker in workers.started:
                worker.kill()
                worker.wait(10)
    assert [part[-40:] for part in rest if b" and ended" not in part or not part.endswith(b"0\r\n\r\n")] == []
    assert failures == []
    assert answered > 20
    records = {record["request_id"]: record for record in proxy.records()}
    assert len(records) == STREAMS + answered
    assert sum(record["tokens_out"] == USAGE["completion_tokens"] for record in records.values()) >= STREAMS
    for _, writer in opened:
        writer.close()


def listening(pid: int) -> int:
    return sum(connection.status == psutil.CONN_LISTEN for connection in psutil.Process(pid).net_connections("tcp"))


async def test_clients_that_hardly_read_hold_little_memory(proxy: Proxy, upstream: Upstream) -> None:
    many, sent = 40, 0

    async def endless(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(STREAM_HEAD)
        part = chunk(event("x" * 16_000))
        while not writer.is_closing():
            writer.write(part)
            sent += len(part)
            await writer.drain()

    upstream.handler = endless
    model = await provide(proxy, upstream.base_url)
    before = psutil.Process(proxy.process.pid).memory_info().rss
    clients = []
    for _ in range(many):
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", proxy.port))
        body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "go"}]}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(raw, head % (MASTER_KEY.encode(), len(body)) + body)
        clients.append(raw)
    for _ in range(3):
        for raw in clients:
            assert len(await asyncio.get_running_loop().sock_recv(raw, 1)) == 1
        level = -1
        while level != sent:  # until every provider is held back
            level = sent
            await asyncio.sleep(0.3)
        assert (await ask(proxy, "sim"))[0] == 200
    grown = psutil.Process(proxy.process.pid).memory_info().rss - before
    assert grown < many * 1024 * 1024, f"{grown >> 20} MB for {many} clients"
    assert sent < many * 16 * 1024 * 1024, "the providers are held back"
    for raw in clients:
        raw.close()
    await asyncio.wait_for(upstream.hung_up.wait(), 10)


async def test_slow_and_flooding_heads_stall_nobody(proxy: Proxy) -> None:
    dripping = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(300)]
    for number, (_, writer) in enumerate(dripping):
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: "
        writer.write(head[: 1 + number % len(head)])

    async def drip() -> None:
        while True:
            await asyncio.sleep(0.05)
            for _, writer in dripping[-100:]:
                writer.write(b"x")

    async def flood() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        try:
            writer.write(b"GET /v1/models HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % each for each in range(20_000)))
            return await reader.readline()
        except ConnectionError:
            return b"closed"
        finally:
            writer.close()

    dripper = asyncio.create_task(drip())
    try:
        floods = [asyncio.create_task(flood()) for _ in range(50)]
        answers = await asyncio.gather(*(ask(proxy, "sim") for _ in range(20)))
        assert {status for status, _, _ in answers} == {200}
        for line in await asyncio.gather(*floods):
            assert line in {b"HTTP/1.1 431 Request Header Fields Too Large\r\n", b"closed", b""}, line
        assert (await ask(proxy, "sim"))[0] == 200
    finally:
        dripper.cancel()
        for _, writer in dripping:
            writer.close()


async def test_stores_that_stop_in_turn_under_load_cost_no_request(
    postgres: Postgres, valkey: Valkey, database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    failures: list[str] = []
    stop = threading.Event()
    with running_proxy(database, redis_settings, tmp_path) as proxy:
        proxy.rows.deployment("sim", proxy.rows.provider("sim", "sim"))
        await asyncio.to_thread(proxy.wait_for, "sim")
        loads = [asyncio.create_task(asyncio.to_thread(asks_until, stop, proxy.port, failures)) for _ in range(4)]
        log = proxy.log.read_text
        try:
            valkey.kill()
            await asyncio.to_thread(wait_until, lambda: "usage stream is away" in log(), what="Valkey to be missed")
            postgres.kill()
            await asyncio.to_thread(wait_until, lambda: "last snapshot" in log(), what="Postgres to be missed")
            assert (await ask(proxy, "sim"))[0] == 200
            valkey.start()
            await asyncio.to_thread(wait_until, lambda: "usage stream is back" in log(), what="Valkey to be found")
        finally:
            for server in (valkey, postgres):
                if server.process is None or server.process.poll() is not None:
                    server.start()
        fresh = await asyncio.to_thread(wait_for_database, proxy)
        await asyncio.to_thread(wait_until, lambda: proxy.chat("sim", key=fresh)[0] == 200, what="news from Postgres")
        stop.set()
        answered = sum(await asyncio.gather(*loads))
        assert failures == []
        assert proxy.stop() == 0
        assert len({record["request_id"] for record in proxy.records()}) >= answered > 20


def wait_for_database(proxy: Proxy) -> str:
    """A key made as soon as Postgres takes changes again."""
    made: list[str] = []

    def make() -> bool:
        with suppress(psycopg.OperationalError):
            made.append(proxy.rows.key())
        return bool(made)

    wait_until(make, what="Postgres to be back")
    return made[0]
