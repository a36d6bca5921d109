"""One file of the journal: newline-ended records, owned by whoever holds the lock on it."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from pathlib import Path
from uuid import uuid4

log = logging.getLogger(__name__)

SUFFIX = ".journal"
_TAIL = 64 * 1024


class Segment:
    """An open, locked file. 0 ≤ `acked` ≤ `sent` ≤ `size`, in bytes, all at ends of records.

    `sent` is what the stream has taken, `acked` what it holds for certain; a new owner begins at 0 again, which is
    harmless because records are idempotent by request id.
    """

    def __init__(self, path: Path, fd: int, size: int) -> None:
        self.path = path
        self.fd = fd
        self.size = size
        self.sent = 0
        self.acked = 0
        self.emptied = 0
        self._turn = 0

    @property
    def unsent(self) -> bool:
        return self.sent < self.size

    @classmethod
    def create(cls, directory: Path) -> Segment:
        """A new, empty, locked file of mode 0600; raises OSError."""
        while True:
            path = directory / f"{os.getpid()}-{uuid4().hex[:12]}{SUFFIX}"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            if _lock(fd):
                return cls(path, fd, 0)
            # Somebody who looks for abandoned files was faster than our lock and removes it.
            os.close(fd)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """The file of a dead owner, cut after its last whole record; None when it has an owner or nothing in it."""
        try:
            fd = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        if not _lock(fd):
            os.close(fd)
            return None
        segment = cls(path, fd, os.fstat(fd).st_size)
        try:
            segment._move_torn_line_aside()
        except OSError:
            segment.close()
            raise
        if segment.size == 0:
            segment.remove()
            return None
        return segment

    def _move_torn_line_aside(self) -> None:
        end = self.size
        while end > 0:
            start = max(0, end - _TAIL)
            newline = os.pread(self.fd, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end == self.size:
            return
        torn = self.path.with_suffix(".torn")
        length = self.size - end
        aside = os.open(torn, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(aside, os.pread(self.fd, length, end))
        finally:
            os.close(aside)
        os.ftruncate(self.fd, end)
        self.size = end
        log.error("A journal ended in half a record, which was moved aside", extra={"file": str(torn), "bytes": length})

    def write(self, lines: bytes) -> None:
        """Appends records with their newlines, all or none of them; raises OSError."""
        # Not O_APPEND: what a nearly full disk took of a record is overwritten by the next one.
        written = os.pwrite(self.fd, lines, self.size)
        if written != len(lines):
            os.ftruncate(self.fd, self.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written

    def read(self, limit_bytes: int, limit_lines: int) -> bytes:
        """Whole records from `sent` on, within both limits, but at least one."""
        chunk = os.pread(self.fd, min(limit_bytes, self.size - self.sent), self.sent)
        while b"\n" not in chunk:
            more = os.pread(self.fd, limit_bytes, self.sent + len(chunk))
            if not more:
                raise OSError(errno.EIO, f"{self.path} is shorter than it was")
            chunk += more
        chunk = chunk[: chunk.rindex(b"\n") + 1]
        if chunk.count(b"\n") > limit_lines:
            chunk = b"\n".join(chunk.split(b"\n", limit_lines)[:limit_lines]) + b"\n"
        return chunk

    def position(self) -> tuple[int, int]:
        """Where `sent` stands, for `advance()` after the wait for the stream."""
        return self._turn, self.sent

    def advance(self, position: tuple[int, int], length: int) -> None:
        """Moves `sent` on, unless the file was rewound, emptied or closed since `position` was taken."""
        if position == (self._turn, self.sent):
            self.sent += length

    def rewind(self) -> None:
        """Everything that is not acknowledged is to be sent again."""
        self.sent = self.acked
        self._turn += 1

    def holds(self, emptied: int, size: int) -> bool:
        """Whether some of what it held then is not acknowledged."""
        return self.fd >= 0 and self.emptied == emptied and self.acked < size

    def acknowledge(self, position: tuple[int, int]) -> bool:
        """Nothing before that position is needed any more; true when this is all there is."""
        self.acked = max(self.acked, position[1])
        self.sent = max(self.sent, self.acked)
        return self.acked == self.size

    def reset(self) -> None:
        """Empties the file, once all is acknowledged."""
        os.ftruncate(self.fd, 0)
        self.size = self.sent = self.acked = 0
        self.emptied += 1
        self._turn += 1

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Gives up the lock; what is not acknowledged waits for the next owner."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self._turn += 1
            self.sent = self.size


def _lock(fd: int) -> bool:
    """True when this process owns the file now, and the file still has its name."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(fd).st_nlink > 0
