"""What an object store does, whichever kind it is."""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Final, Protocol

import msgspec

from scutum_server.errors import InvalidInput, NotFound, Unavailable

CHUNK: Final = 1024 * 1024
"""Bytes that `get` yields at once, at most."""
PROBES: Final = ".scutum-lock-probe/"
"""Where `probe_lock` leaves what it may not delete."""
_KEY = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[^\0/][^\0]*(?<!/)")


class ObjectStoreError(Unavailable):
    """The store is away, refuses the credentials or broke off; worth another try once that is mended."""

    code = "object_store_failed"


class ObjectNotFound(NotFound):
    code = "object_not_found"


class ObjectInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`version` names these very bytes, where the store keeps versions: a later write under the key leaves them be.

    `sha256` is that of what was sent, in hex; None where the answer is of a store, which does not know it.
    """

    key: str
    size: int
    version: str | None = None
    modified: dt.datetime | None = None
    sha256: str | None = None


class LockProbe(msgspec.Struct, frozen=True):
    """Whether a retention lock is enforced here, as tried out; `reason` says what was seen."""

    enforced: bool
    reason: str


class Upload(AbstractContextManager["Upload"], Protocol):
    """An object that is being written: there at the end of the `with` block, and not at all if that fails."""

    def write(self, data: bytes) -> int: ...

    @property
    def info(self) -> ObjectInfo:
        """What was written; only after the block."""
        ...


class ObjectStore(Protocol):
    """Keys are relative paths with `/`. Every call may raise ObjectStoreError."""

    @property
    def url(self) -> str: ...

    def upload(self, key: str) -> Upload:
        """Writes in parts; replaces what was under the key, at once and whole."""
        ...

    def put(self, key: str, data: bytes | Iterable[bytes], *, retain_until: dt.datetime | None = None) -> ObjectInfo:
        """`retain_until`: see `retain`."""
        ...

    def get(
        self, key: str, *, version: str | None = None, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """Chunks from the byte `start` on, as many as `length` or all; raises ObjectNotFound before the first one."""
        ...

    def head(self, key: str, *, version: str | None = None) -> ObjectInfo:
        """Raises ObjectNotFound."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """By key; `prefix` may end inside of a name. Without what `probe_lock` left."""
        ...

    def delete(self, key: str, *, version: str | None = None) -> None:
        """What is not there is deleted."""
        ...

    def discard_partial(self, prefix: str) -> int:
        """Removes what uploads under these keys left that were killed; how many. None may be running."""
        ...

    def retain(self, key: str, until: dt.datetime, *, version: str | None = None, compliance: bool = False) -> None:
        """Locks a version against deletion. Only where `probe_lock` says that it holds: a store that does not know the
        request may take it for a write. Raises ObjectStoreError where there is no lock.
        """
        ...

    def probe_lock(self) -> LockProbe:
        """Tries to delete and to overwrite a locked object; in S3 it leaves one of some bytes for a day."""
        ...


def check_key(key: str) -> str:
    """The key, if it stays below the store's root; raises InvalidInput."""
    if len(key.encode()) > 900 or not _KEY.fullmatch(key):
        raise InvalidInput(f"This is no key of an object: {key[:100]!r}.", code="bad_object_key")
    return key


def chunks(data: bytes | Iterable[bytes]) -> Iterable[bytes]:
    return (data,) if isinstance(data, bytes) else data


class Ranged(io.RawIOBase):
    """An object as a file to seek in; each read is one ranged request, so read through a buffer."""

    def __init__(self, store: ObjectStore, key: str, *, version: str | None = None, size: int | None = None) -> None:
        self._store, self._key, self._version = store, key, version
        self._size = store.head(key, version=version).size if size is None else size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        length = left if size < 0 else min(size, left)
        if not length:
            return b""
        data = b"".join(self._store.get(self._key, version=self._version, start=self._at, length=length))
        if len(data) != length:
            raise ObjectStoreError(f"{self._key} is shorter than it was.", hint="Look at it in the object store.")
        self._at += length
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
