"""How long the `scutum` command takes to start: `python tests/bench/cli_start.py [--home DIR]`.

Prints the median wall time of whole commands, beside a bare interpreter in the same run. `status` is timed against the
install in --home (or the default one) and is left out where there is none.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path


def median_ms(command: list[str], runs: int) -> tuple[float, int]:
    times = []
    code = 0
    for attempt in range(runs + 1):
        begin = time.perf_counter()
        code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        if attempt:  # the first run warms the page cache
            times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times), code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home")
    parser.add_argument("-n", type=int, default=15)
    args = parser.parse_args()
    scutum = str(Path(sys.executable).with_name("scutum"))
    home = ["--home", args.home] if args.home else []
    commands = {
        "bare interpreter": [sys.executable, "-c", "pass"],
        "scutum --help": [scutum, "--help"],
        "scutum keys --help": [scutum, "keys", "--help"],
        "scutum ps": [scutum, "ps", *home],
        "scutum status": [scutum, "status", *home],
    }
    for name, command in commands.items():
        took, code = median_ms(command, args.n)
        note = "" if code == 0 else f"   (exit code {code})"
        print(f"{name:18} {took:7.1f} ms{note}")


if __name__ == "__main__":
    main()
