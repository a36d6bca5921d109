"""Ten thousand requests of every kind while each process on their way is killed again and again, row by row:

    python -m tests.long.reconcile [--requests 10000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from tests.fixtures import reconciliation
from tests.fixtures.servers import running_postgres, running_valkey


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5, help="how often each process is killed")
    asked = parser.parse_args()
    started = time.monotonic()
    with (
        running_postgres() as postgres,
        running_valkey() as valkey,
        tempfile.TemporaryDirectory(prefix="scutum-long-") as directory,
    ):
        database = postgres.app(postgres.clone())
        work = reconciliation.run(
            postgres, valkey, database, Path(directory), count=asked.requests, rounds=asked.rounds
        )
        kinds = reconciliation.check(asyncio.run(work))
    print(f"{asked.requests} requests, {4 * asked.rounds} kills, {time.monotonic() - started:.0f} s")
    for kind, count in sorted(kinds.items()):
        print(f"{count:8d} {reconciliation.WORDS[kind]}")


if __name__ == "__main__":
    main()
