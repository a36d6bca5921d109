"""Keeps a release's server and its tests of reads and writes, for the releases after it to be tested with.

    python -m tests.tools.keep_release v0.1.0 [NAME]

Run it when a release is tagged, and commit the archive: a shallow clone has no tags. It takes the place of the one before,
since a rollback goes back by one release.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests" / "compat"
TAKEN = (
    "pyproject.toml", "scutum_server", "tests/__init__.py", "tests/conftest.py", "tests/fixtures",
    "tests/integration/__init__.py", "tests/integration/admin", "tests/integration/proxy", "tests/integration/usage",
)  # fmt: skip
"""Without its migrations: those of the checkout take their place."""


def main() -> None:
    """Writes tests/compat/NAME.zip, the same bytes for the same commit."""
    ref = sys.argv[1]
    name = sys.argv[2] if len(sys.argv) > 2 else ref.replace("/", "-")
    command = ["git", "archive", "--format=tar", ref, *TAKEN]
    tar = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    KEPT.mkdir(exist_ok=True)
    for former in KEPT.glob("*.zip"):
        former.unlink()
    target = KEPT / f"{name}.zip"
    with tarfile.open(fileobj=io.BytesIO(tar)) as source, zipfile.ZipFile(target, "w") as archive:
        for member in sorted((m for m in source.getmembers() if m.isfile()), key=lambda member: member.name):
            content = source.extractfile(member)
            if content is not None:
                entry = zipfile.ZipInfo(member.name)
                archive.writestr(entry, content.read(), zipfile.ZIP_DEFLATED, 9)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
