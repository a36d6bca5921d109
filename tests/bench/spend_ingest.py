"""How fast usage records go from the journal into Postgres, and how long one takes: prints figures, asserts nothing.

python -m tests.bench.spend_ingest [RECORDS]
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from scutum_server.infra.redis import make_redis
from scutum_server.usage.journal import Journal
from scutum_server.usage.store import UsageStream
from tests.fixtures.journal_writer import record
from tests.fixtures.records import line_of
from tests.fixtures.servers import Postgres, Valkey, running_postgres, running_valkey


def start_worker(postgres: Postgres, valkey: Valkey, database: str) -> subprocess.Popen[bytes]:
    environment = {
        "PATH": os.environ["PATH"],
        "POSTGRES_PORT": str(postgres.port), "POSTGRES_DB": database, "POSTGRES_USER": "scutum_app",
        "POSTGRES_PASSWORD": postgres.app_password, "VALKEY_PORT": str(valkey.port), "VALKEY_PASSWORD": valkey.password,
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-m", "scutum_server", "worker"], env=environment)


async def stored(conn: psycopg.AsyncConnection, wanted: int) -> None:
    while True:
        found = await (await conn.execute("SELECT coalesce(sum(requests), 0) FROM spend_rollups")).fetchone()
        if found is not None and found[0] >= wanted:
            return
        await asyncio.sleep(0.005)


async def measure(postgres: Postgres, valkey: Valkey, database: str, count: int) -> None:
    redis = make_redis(valkey.settings(), name="bench")
    with tempfile.TemporaryDirectory() as spill:
        journal = Journal(Path(spill), UsageStream(redis))
        journal.open()
        flusher = asyncio.create_task(journal.run())
        conn = await psycopg.AsyncConnection.connect(**postgres.app(database).conninfo(), autocommit=True)
        journal.append([line_of(record())])
        await stored(conn, 1)
        delays = []
        for number in range(20):
            started = time.perf_counter()
            journal.append([line_of(record())])
            await stored(conn, number + 2)
            delays.append(time.perf_counter() - started)
            await asyncio.sleep(0.05)
        delays.sort()
        records = [record() for _ in range(count)]
        started = time.perf_counter()
        for one in records:
            journal.append([line_of(one)])
        appended = time.perf_counter() - started
        await stored(conn, 21 + count)
        total = time.perf_counter() - started
        flusher.cancel()
        await asyncio.gather(flusher, return_exceptions=True)
        await journal.close()
        await conn.close()
    await redis.aclose()
    print(f"append               {appended / count * 1e6:8.1f} µs a record")
    print(f"journal to spend_logs {count / total:7.0f} records/s ({count} records in {total:.1f} s)")
    print(f"delay of one record  {delays[10] * 1000:8.0f} ms median, {delays[-1] * 1000:.0f} ms at most, of 20")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    with running_postgres() as postgres, running_valkey() as valkey:
        worker = start_worker(postgres, valkey, database := postgres.clone())
        try:
            asyncio.run(measure(postgres, valkey, database, count))
            status = Path(f"/proc/{worker.pid}/status").read_text()
            print(f"worker's memory      {int(status.split('VmHWM:')[1].split()[0]) / 1024:8.0f} MB at its largest")
        finally:
            worker.terminate()
            worker.wait(10)


if __name__ == "__main__":
    main()
