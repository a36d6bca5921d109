"""Limits and budgets on two hosts with four workers each, 64 clients: kept, reached, fair and cheap?

    python -m tests.long.limits [--seconds 40] [--hosts 2] [--workers 4] [--clients 64] [--only rpm …] [--kill]

Every load stays within one minute of the clock, which it may wait for: about five minutes in all. Prints a table and ends
with 1 if a limit was passed, less than 95 % of it was reached, a request was refused while something was free, or a
request cost more than 0.1 calls to Redis. `--kill` kills a worker of each host in the middle of every load.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.fixtures.fleet import running_fleet
from tests.fixtures.limit_loads import LOADS, Load, run
from tests.fixtures.servers import running_postgres, running_valkey
from tests.fixtures.verdicts import Verdict

HEAD = f"{'load':14}{'capacity':>13}{'taken':>13}{'reached':>9}{'busy':>9}{'offered':>9}{'refused':>9}{'wrongly':>9}{'calls/offered':>15}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--only", nargs="*", choices=[load.name for load in LOADS])
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()
    failed = False
    with (
        tempfile.TemporaryDirectory() as directory,
        running_postgres() as postgres,
        running_valkey() as valkey,
        running_fleet(postgres, valkey, Path(directory), hosts=options.hosts, workers=options.workers) as fleet,
    ):
        print(HEAD)
        for load in LOADS:
            if options.only and load.name not in options.only:
                continue
            (verdict,) = asyncio.run(run(fleet, [load], options.seconds, options.clients, kill=options.kill))
            failed |= not _judge(load, verdict)
    sys.exit(failed)


def _judge(load: Load, found: Verdict) -> bool:
    print(f"{found.name:14}{found.capacity:13}{found.taken:13}{found.reached:9.1%}{found.busy:9.1%}{found.offered:9}"
          f"{found.refused:9}{found.wrong:9}{found.calls:15.3f}", flush=True)  # fmt: skip
    held = found.taken <= found.capacity and not found.wrong
    return held and min(found.reached, found.busy) >= 0.95 and (found.calls <= 0.1 or not load.cheap)


if __name__ == "__main__":
    main()
