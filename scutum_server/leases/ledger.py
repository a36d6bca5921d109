"""A file in memory that outlives its process: what each lease was granted and has not used.

Used and reserved units are granted - unused: a successor counts what was in flight as spent and returns the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from msgspec import Struct

from scutum_server.leases.lease import WORDS

SUFFIX = ".leases"
SLOT = WORDS * 8
_NAME = 24
"""Where the name begins in a slot, after granted, unused and end, 8 bytes each."""
_LONGEST = SLOT - _NAME - 1
_FIRST = 1024


class Entry(Struct, frozen=True):
    """What a dead worker left of one lease; `end` is when its window ends."""

    key: str
    granted: int
    unused: int
    end: int


class Ledger:
    """Writes cost 0.2 µs and no system call; the kernel keeps them when the process is killed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            self.path = directory / f"{os.getpid()}-{uuid4().hex[:12]}{SUFFIX}"
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            if lock(self._fd):
                break
            # Somebody who looks for abandoned files was faster than our lock and removes it.
            os.close(self._fd)
        self.holder = self.path.stem
        """The name under which this worker leases; every spend record has it, and a path takes a while to split."""
        self._slots = 0
        self._map: mmap.mmap | None = None
        self._free: list[int] = []
        self._grow(_FIRST)

    def _grow(self, slots: int) -> None:
        os.ftruncate(self._fd, slots * SLOT)
        self._unmap()
        self._map = mmap.mmap(self._fd, slots * SLOT)
        self.words = memoryview(self._map).cast("q")
        self._free += range(slots - 1, self._slots - 1, -1)
        self._slots = slots

    def take(self) -> int:
        """A slot of one's own."""
        if not self._free:
            self._grow(self._slots * 2)
        return self._free.pop()

    def free(self, at: int) -> None:
        self._fill(at, b"")
        self._free.append(at)

    def name(self, at: int, key: str, end: int) -> None:
        """Says what the slot is about; its figures are zero at that moment."""
        self._fill(at, bytes(16) + end.to_bytes(8, "little") + key.encode()[:_LONGEST])

    def _fill(self, at: int, data: bytes) -> None:
        if self._map is not None:
            self._map[at * SLOT : (at + 1) * SLOT] = data.ljust(SLOT, b"\0")

    def write(self, at: int, granted: int, unused: int) -> None:
        words, word = self.words, at * WORDS
        # Granted goes up before unused does and down after it: whatever is torn is counted as spent.
        if granted >= words[word]:
            words[word] = granted
            words[word + 1] = unused
        else:
            words[word + 1] = unused
            words[word] = granted

    def close(self, *, remove: bool) -> None:
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._fd)
        self._unmap()
        # A request that ends after this must not stumble.
        self.words = memoryview(bytearray(self._slots * SLOT)).cast("q")

    def _unmap(self) -> None:
        """A map keeps the file's lock alive, even when the file is closed."""
        if self._map is not None:
            self.words.release()
            self._map.close()
            self._map = None


class Void:
    """The ledger of leases that were given up: it keeps nothing."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}

    def write(self, at: int, granted: int, unused: int) -> None:
        """Nobody takes over from nobody."""


def lock(fd: int) -> bool:
    """True when this process owns the file now, and the file still has its name."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(fd).st_nlink > 0


@contextlib.contextmanager
def abandoned(path: Path) -> Iterator[list[Entry] | None]:
    """The entries of a dead worker's file, owned until the end of the block; None while its worker lives."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        yield _read(os.pread(fd, os.fstat(fd).st_size, 0)) if lock(fd) else None
    finally:
        os.close(fd)


def _read(data: bytes) -> list[Entry]:
    found = []
    for start in range(0, len(data) - SLOT + 1, SLOT):
        slot = data[start : start + SLOT]
        key = slot[_NAME:].rstrip(b"\0").decode("utf-8", "replace")
        if key:
            granted, unused, end = (int.from_bytes(slot[at : at + 8], "little", signed=True) for at in (0, 8, 16))
            found.append(Entry(key, granted, max(0, min(unused, granted)), end))
    return found
