"""How long a killed service of an install takes to be back: `python -m tests.bench.restart_time --home DIR [-n 1]`.

Sends SIGKILL to each service in turn and prints the seconds until its successor runs, the median of n kills.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import time
from pathlib import Path

from scutum_cli.host import procfs

SERVICES = ("postgres", "valkey", "admin", "worker", "proxy")


def pids(home: Path, service: str) -> set[int]:
    return {found.pid for found in procfs.of_home(home) if found.service == service and not found.starting}


def kill_and_wait(home: Path, service: str) -> float:
    before = pids(home, service)
    os.kill(min(before), signal.SIGKILL)
    begin = time.monotonic()
    while not pids(home, service) - before:
        time.sleep(0.005)
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("-n", type=int, default=1)
    args = parser.parse_args()
    for service in SERVICES:
        took = []
        for _ in range(args.n):
            if took:
                time.sleep(61)  # one that dies twice within a minute waits longer: that is the backoff's business
            took.append(kill_and_wait(args.home, service))
        print(f"{service:10} {statistics.median(took):6.2f} s", flush=True)


if __name__ == "__main__":
    main()
