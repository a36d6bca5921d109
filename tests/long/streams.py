"""Two thousand streams at once on one worker, each saying a word now and then: none fails, and little is held.

    python -m tests.long.streams [--streams 2000] [--seconds 30] [--pause 5]

Ends with 1 if a stream failed, or if the worker held more than 200 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
from pathlib import Path

import psutil

from tests.fixtures.gateway import MASTER_KEY, Proxy, running_proxy
from tests.fixtures.servers import running_postgres, running_valkey
from tests.fixtures.upstream import DONE, LAST, STREAM_HEAD, USAGE, Request, Upstream, chunk, event

MOST_MB = 200


class Streams:
    """Opens the streams, waits for their ends, and watches the worker meanwhile."""

    def __init__(self, proxy: Proxy, upstream: Upstream, count: int, words: int, pause: float) -> None:
        self._proxy = proxy
        self._count = count
        self._words = words
        self._pause = pause
        self._process = psutil.Process(proxy.process.pid)
        self.highest = self._held()
        self.begun = 0
        self.failures: list[str] = []
        upstream.handler = self._speak

    def _held(self) -> float:
        return self._process.memory_info().rss / 2**20

    async def _speak(self, _: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunk(event("", role="assistant")))
        for number in range(self._words):
            await asyncio.sleep(self._pause)
            writer.write(chunk(event(f"word-{number} ")))
            await writer.drain()
        writer.write(chunk(event(usage=USAGE)) + chunk(DONE) + LAST)

    async def _listen(self) -> None:
        body = json.dumps({"model": "slow", "stream": True, "messages": [{"role": "user", "content": "go"}]}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._proxy.port)
        try:
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %b\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (MASTER_KEY.encode(), len(body), body)
            )
            await reader.readuntil(b"\r\n\r\n")
            self.begun += 1
            got = await reader.read()
            whole = all(f"word-{number} ".encode() in got for number in range(self._words))
            if not whole or not got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
                self.failures.append(repr(got[-200:]))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.failures.append(repr(error))
        finally:
            writer.close()

    async def run(self) -> None:
        tasks = []
        for _ in range(self._count):
            tasks.append(asyncio.create_task(self._listen()))
            await asyncio.sleep(0.001)
        watch = asyncio.create_task(self._watch())
        await asyncio.gather(*tasks)
        watch.cancel()

    async def _watch(self) -> None:
        while True:
            self.highest = max(self.highest, self._held())
            print(f"{self.begun - len(self.failures):6} begun   {self._held():6.1f} MB", flush=True)
            await asyncio.sleep(2)


async def measure(options: argparse.Namespace, proxy: Proxy) -> Streams:
    async with Upstream() as upstream:
        provider = proxy.rows.provider("slow", "openai", upstream.base_url, api_key="sk-up")
        proxy.rows.deployment("slow", provider)
        await asyncio.to_thread(proxy.wait_for, "slow")
        words = max(1, int(options.seconds / options.pause))
        streams = Streams(proxy, upstream, options.streams, words, options.pause)
        print(f"{0:6} begun   {streams.highest:6.1f} MB", flush=True)
        await streams.run()
        return streams


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--pause", type=float, default=5)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as directory, running_postgres() as postgres, running_valkey() as valkey:
        name = postgres.clone()
        with running_proxy(postgres.app(name), valkey.settings(), Path(directory)) as proxy:
            streams = asyncio.run(measure(options, proxy))
    print(f"{options.streams} streams: {len(streams.failures)} failed, the worker held {streams.highest:.1f} MB at most")
    print("\n".join(streams.failures[:5]))
    sys.exit(bool(streams.failures) or streams.highest > MOST_MB)


if __name__ == "__main__":
    main()
