"""One command at a time changes a host: flock on run/lock, which says who has it."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scutum_cli.errors import CONFLICT, CliError


@contextmanager
def host_lock(path: Path) -> Iterator[None]:
    """Holds the lock for the block; fails at once with its holder when another command has it.

    The kernel frees it when the holder dies, so no lock is ever stale.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 500, 0).decode(errors="replace").strip() or "another command"
            raise CliError(
                f"{holder} is changing this install.",
                exit_code=CONFLICT,
                code="locked",
                hint="wait until it is done, then run this again",
            ) from None
        words = _own_words()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{words} (pid {os.getpid()})\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _own_words() -> str:
    """The command as its user typed it, without flags: they may hold what is nobody else's business."""
    name = Path(sys.argv[0]).name
    verbs = [part for part in sys.argv[1:2] if not part.startswith("-")]
    return " ".join(["install.sh" if name == "bootstrap.py" else name, *verbs])
