"""Mixed load for half an hour: what each process holds of memory, minute by minute, and whether it grows.

    python -m tests.long.growth [--minutes 30]

Fails when a process of ours, or Valkey, holds more in the last quarter of the time than in the second one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from scutum_server.settings import DatabaseSettings
from tests.fixtures.ledger import keeping_books
from tests.fixtures.mixed_load import Clients, Job, job, provide_all
from tests.fixtures.reconciliation import Fleet, prepare
from tests.fixtures.servers import Valkey, running_postgres, running_valkey

CLIENTS = 16
SAMPLE_S = 5.0
ALLOWED_MB = 2.0
ALLOWED_SHARE = 0.02
"""Of what a process holds; the greater of both is noise."""


class Watch:
    """Samples of each process's resident memory, in MB."""

    def __init__(self, processes: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in processes.items()}
        self.samples: dict[str, list[float]] = {name: [] for name in processes}

    def take(self) -> None:
        for name, process in self._processes.items():
            self.samples[name].append(process.memory_info().rss / 2**20)

    def line(self) -> str:
        return "  ".join(f"{name} {samples[-1]:6.1f}" for name, samples in self.samples.items())

    def growth(self) -> dict[str, tuple[float, float]]:
        """Per process: the median of the second quarter, and how much more the last one holds."""
        found = {}
        for name, samples in self.samples.items():
            quarter = len(samples) // 4
            before, after = (statistics.median(part) for part in (samples[quarter : 2 * quarter], samples[-quarter:]))
            found[name] = (before, after - before)
        return found


def _endless(ledger_entries: dict[str, object]) -> Iterator[Job]:
    luck = random.Random(1)
    for number in itertools.count():
        if len(ledger_entries) > 1_000:
            ledger_entries.clear()  # nobody compares them here
        yield job(f"mark-{number % 2**24:06x}{luck.getrandbits(16):04x}", luck)


async def _until(end: float, fleet: Fleet, watch: Watch, clients: Clients) -> None:
    """Changes the configuration all the time, as an operator's tools may."""
    print("minute  requests  MB held")
    shown = 0.0
    for turn in itertools.count():
        watch.take()
        if time.monotonic() >= shown + 60:
            shown = time.monotonic()
            print(f"{turn * SAMPLE_S / 60:6.1f}  {clients.done:8d}  {watch.line()}", flush=True)
        if time.monotonic() >= end:
            return
        await asyncio.to_thread(fleet.rows.alias, f"changing-{turn % 7}", "gpt", retries=turn % 3)
        await asyncio.sleep(SAMPLE_S)


async def _run(minutes: float, database: DatabaseSettings, valkey: Valkey, directory: Path) -> Watch:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        fleet = Fleet(database, valkey, directory, listener)
        try:
            async with keeping_books() as ledger:
                await asyncio.to_thread(prepare, fleet, valkey, lambda: provide_all(fleet.rows, ledger))
                assert fleet.worker is not None
                assert valkey.process is not None
                watch = Watch(
                    {"proxy": fleet.proxies[0].pid, "proxy-2": fleet.proxies[1].pid, "worker": fleet.worker.pid,
                     "valkey": valkey.process.pid, "(load)": os.getpid()}
                )  # fmt: skip
                clients = Clients(listener.getsockname()[1], _endless(ledger.entries))
                load = asyncio.create_task(clients.run(CLIENTS))
                await _until(time.monotonic() + minutes * 60, fleet, watch, clients)
                load.cancel()
                await asyncio.gather(load, return_exceptions=True)
            return watch
        finally:
            fleet.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    asked = parser.parse_args()
    with (
        running_postgres() as postgres,
        running_valkey() as valkey,
        tempfile.TemporaryDirectory(prefix="scutum-long-") as directory,
    ):
        database = postgres.app(postgres.clone())
        watch = asyncio.run(_run(asked.minutes, database, valkey, Path(directory)))
    grown = []
    for name, (before, more) in watch.growth().items():
        print(f"{name:8s} {before:6.1f} MB, later {more:+.2f} MB")
        if not name.startswith("(") and more > max(ALLOWED_MB, ALLOWED_SHARE * before):
            grown.append(name)
    if grown:
        sys.exit(f"grows: {', '.join(grown)}")


if __name__ == "__main__":
    main()
