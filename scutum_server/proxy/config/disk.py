"""The configuration on disk, so that a worker starts and serves while Postgres is away.

One file per host: a base that is complete (it is renamed into place when it is), then what changed since. Rows are as
the database has them: provider secrets wrapped, client keys as hashes. Every frame carries a keyed checksum over itself
and the one before it, so a file that was damaged, cut, edited, or written with another encryption key is not believed.
The file's time of modification says when the database last confirmed what is in it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from scutum_server.errors import ScutumError
from scutum_server.proxy.config.snapshot import Row

log = logging.getLogger(__name__)

FORMAT: Final = 1
_MAGIC: Final = b"scutsnap"
_SUM: Final = 16
_FRAME: Final = struct.Struct(f">I{_SUM}s")
_MAX_FRAME: Final = 64 * 1024 * 1024

Batch = list[tuple[str, str, Row | None]]


class UnusableError(ScutumError):
    """There is no saved configuration, or none that can be believed."""

    code = "snapshot_unusable"


class SnapshotFile:
    """`shape` names the queries that the rows came from: another release's rows are not read."""

    def __init__(self, directory: Path, encryption_key: bytes, shape: str) -> None:
        self.path = directory / "configuration.snapshot"
        self._shape = shape
        self._key = blake2b(b"configuration snapshot", key=encryption_key, digest_size=32).digest()
        self._claim: int | None = None
        self._file: BinaryIO | None = None
        self._last = b""
        self.base_bytes = 0
        self.added_bytes = 0

    # -- reading

    def age(self) -> float | None:
        """Seconds since the database confirmed the file's content; None when there is no file."""
        try:
            return max(0.0, time.time() - self.path.stat().st_mtime)
        except OSError:
            return None

    def read(self) -> Iterator[tuple[int, Batch]]:
        """(version, rows) from the base on; raises UnusableError, also half-way through."""
        try:
            with self.path.open("rb") as file:
                yield from self._frames(file)
        except OSError as error:
            raise UnusableError(f"it cannot be read: {error.strerror}") from None

    def _frames(self, file: BinaryIO) -> Iterator[tuple[int, Batch]]:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise UnusableError("it is not a snapshot")
        head, last = self._next(file, b"")
        if head is None:
            raise UnusableError("it is damaged, or was written with another encryption key")
        if head != [FORMAT, self._shape]:
            raise UnusableError("another release wrote it")
        complete = False
        while True:
            frame, last = self._next(file, last)
            if frame is None:
                break
            version, batch = frame
            complete = complete or not batch
            yield version, [(kind, object_id, row) for kind, object_id, row in batch]
        if not complete:
            raise UnusableError("it is damaged")

    def _next(self, file: BinaryIO, last: bytes) -> tuple[Any, bytes]:
        """The next frame and its checksum; None at the end and at the first frame that is torn or wrong."""
        head = file.read(_FRAME.size)
        if len(head) == _FRAME.size:
            length, digest = _FRAME.unpack(head)
            payload = file.read(length) if length <= _MAX_FRAME else b""
            if self._sum(last, payload) == digest:
                return msgspec.msgpack.decode(payload), digest
        if head:
            log.warning("the saved configuration's last change is torn; it is left out")
        return None, last

    def _sum(self, last: bytes, payload: bytes) -> bytes:
        return blake2b(last + payload, key=self._key, digest_size=_SUM).digest()

    # -- writing, by the one process of the host that holds the claim

    def claim(self) -> bool:
        """Whether this process is the host's writer; it stays so until it ends or calls `release()`. Raises OSError."""
        if self._claim is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                return False
            self._claim = fd
        return True

    def begin(self) -> None:
        """Starts a new base beside the file in place."""
        self.close()
        fd = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(fd, "wb")
        self._file.write(_MAGIC)
        self._last = b""
        self.base_bytes = self.added_bytes = 0
        self._append([FORMAT, self._shape])

    def write(self, version: int, batch: Batch) -> None:
        """Appends rows; an empty batch ends the base. On disk for certain after `sync()` or `commit()`."""
        self._append([version, batch])

    def sync(self) -> None:
        """Waits for the disk."""
        if self._file is not None:
            self._file.flush()
            os.fdatasync(self._file.fileno())

    def commit(self) -> None:
        """Puts a finished base in place of the old file; waits for the disk."""
        self.sync()
        self._partial.rename(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self.base_bytes, self.added_bytes = self.added_bytes, 0

    def confirm(self) -> None:
        """Notes that the database has nothing newer."""
        os.utime(self.path)

    def _append(self, frame: Any) -> None:
        if self._file is None:
            raise OSError("the snapshot is not open")
        payload = msgspec.msgpack.encode(frame)
        self._last = self._sum(self._last, payload)
        self._file.write(_FRAME.pack(len(payload), self._last) + payload)
        self.added_bytes += _FRAME.size + len(payload)

    @property
    def _partial(self) -> Path:
        return self.path.with_suffix(".partial")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def release(self) -> None:
        """Leaves the writing to another process."""
        self.close()
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None
