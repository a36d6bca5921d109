"""Reads and writes of the admin API in a second of one process's CPU, against the bare framework in the same run.

    python -m tests.bench.admin_api [REQUESTS]

In-process, without a socket: what is left is our part. Times are CPU of the control plane's thread; Postgres has its own.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import httpx
from fastapi import FastAPI

from scutum_server.admin.app import create_app
from scutum_server.admin.runtime import make_runtime
from tests.fixtures.servers import running_postgres, running_valkey
from tests.integration.admin.conftest import API, MASTER_KEY, admin_settings

Call = Callable[[int], Awaitable[httpx.Response]]


async def rate(call: Call, count: int, *, at_once: int = 10) -> tuple[float, float]:
    """Requests in a second of CPU and in a second, `at_once` at a time."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            answer = await call(number)
            assert answer.status_code < 300, answer.text

    cpu, clock = time.process_time(), time.monotonic()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return count / (time.process_time() - cpu), count / (time.monotonic() - clock)


async def bench(count: int) -> None:
    bare = FastAPI()

    @bare.get("/x")
    async def x() -> dict[str, str]:
        return {"name": "x"}

    with running_postgres() as postgres, running_valkey() as valkey:
        runtime = make_runtime(admin_settings(postgres.app(postgres.clone()), valkey.settings()))
        app = create_app(runtime)
        async with app.router.lifespan_context(app):
            await runtime.ready.wait()
            async with (
                httpx.AsyncClient(transport=httpx.ASGITransport(bare), base_url="http://bare") as plain,
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://admin") as http,
            ):
                token = (await http.post(API + "/auth/login", json={"master_key": MASTER_KEY})).json()["access_token"]
                http.headers["authorization"] = f"Bearer {token}"
                calls: dict[str, tuple[Call, int]] = {
                    "the bare framework": (lambda _: plain.get("/x"), count),
                    "GET /health": (lambda _: http.get("/health"), count),
                    "POST /keys": (lambda n: http.post(API + "/keys", json={"name": f"key-{n}"}), count),
                    "GET /keys/{ref}": (lambda n: http.get(f"{API}/keys/key-{n}"), count),
                    "GET /keys?limit=10": (lambda _: http.get(f"{API}/keys?limit=10"), count),
                    "GET /keys?limit=500": (lambda _: http.get(f"{API}/keys?limit=500"), count // 10),
                    "PATCH /keys/{ref}": (lambda n: http.patch(f"{API}/keys/key-{n}", json={"owner": f"o{n}"}), count),
                }
                print(f"{'':24}{'per CPU s':>10}{'per s':>8}{'of bare':>9}")
                base = 0.0
                for name, (call, times) in calls.items():
                    cpu, wall = await rate(call, times)
                    base = base or cpu
                    print(f"{name:24}{cpu:>10.0f}{wall:>8.0f}{cpu / base:>9.2f}", flush=True)


if __name__ == "__main__":
    asyncio.run(bench(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
