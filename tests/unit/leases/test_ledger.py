"""The ledger outlives its process, and nobody reads it while that lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scutum_server.leases.ledger import Entry, Ledger, abandoned

KILLED = """
import os, signal, sys
from pathlib import Path
from scutum_server.leases.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(3000):
    at = ledger.take()
    ledger.name(at, f"limit_{number}.rpm:1000", 61000)
    ledger.write(at, 10 + number, number)
ledger.free(at)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_worker_leaves_what_it_held(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    (path,) = tmp_path.iterdir()
    with abandoned(path) as entries:
        assert entries is not None
        assert len(entries) == 2999, "grown on the way; the one that was freed is gone"
        assert entries[7] == Entry("limit_7.rpm:1000", 17, 7, 61000)
        with abandoned(path) as again:
            assert again is None, "one successor at a time"


def test_nobody_takes_over_from_the_living(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.name(ledger.take(), "limit_1.rpm:0", 60_000)
    with abandoned(ledger.path) as entries:
        assert entries is None
    ledger.close(remove=False)
    with abandoned(ledger.path) as entries:
        assert entries == [Entry("limit_1.rpm:0", 0, 0, 60_000)]


def test_a_slot_that_is_used_again_begins_empty(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    at = ledger.take()
    ledger.name(at, "a-rather-long-name:1", 5)
    ledger.write(at, 9, 4)
    ledger.name(at, "b:2", 7)
    ledger.close(remove=False)
    with abandoned(ledger.path) as entries:
        assert entries == [Entry("b:2", 0, 0, 7)]
