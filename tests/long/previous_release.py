"""All of the previous release's tests of reads and writes, with its own code, over this checkout's schema.

    python -m tests.long.previous_release [pytest arguments]

Two minutes on two cores; for everyone who adds a migration. Ends as pytest does.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.fixtures import previous_release

ALL = ("tests/integration/admin", "tests/integration/usage", "tests/integration/proxy/test_keys.py",
       "tests/integration/proxy/test_saved_configuration.py", "tests/integration/proxy/test_maintenance.py")  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="scutum-previous-") as directory:
        previous_release.unpack(Path(directory))
        print(f"{previous_release.kept().name} over the migrations of this checkout", flush=True)
        done = previous_release.run(Path(directory), "-n", "2", *(sys.argv[1:] or ALL))
        print(done.stdout, done.stderr, sep="")
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
