"""Objects as files below a directory, each whole or not there."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from scutum_server.infra.objectstore.base import (
    CHUNK,
    LockProbe,
    ObjectInfo,
    ObjectNotFound,
    ObjectStoreError,
    check_key,
    chunks,
)

_PARTIAL = ".partial"
_NO_LOCK = "a directory has no retention lock: whoever may write to it may delete from it"


def _failed(error: OSError, key: str) -> ObjectStoreError:
    return ObjectStoreError(
        f"The directory does not take or give {key}: {error.strerror or error}.",
        hint="Look at the directory's rights and at the room on its disk.",
    )


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _FileUpload:
    """Into a file beside its place, which takes its name once it is on the disk."""

    def __init__(self, root: Path, key: str) -> None:
        self._key, self._path = key, root / key
        self._partial = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}{_PARTIAL}")
        self._digest, self._size = hashlib.sha256(), 0
        self.info = ObjectInfo(key=key, size=0)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except OSError as error:
            raise _failed(error, key) from error

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._size += len(data)
        try:
            return self._file.write(data)
        except OSError as error:
            raise _failed(error, self._key) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()
            if kind is None:
                self._partial.replace(self._path)
                _sync(self._path.parent)
                self.info = ObjectInfo(key=self._key, size=self._size, sha256=self._digest.hexdigest())
        except OSError as failure:
            raise _failed(failure, self._key) from failure
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
            self._partial.unlink(missing_ok=True)


class DirectoryStore:
    """See `base.ObjectStore`. Objects have no versions: a write under a key replaces what was there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.url = root.as_uri()

    def upload(self, key: str) -> _FileUpload:
        return _FileUpload(self._root, check_key(key))

    def put(self, key: str, data: bytes | Iterable[bytes], *, retain_until: dt.datetime | None = None) -> ObjectInfo:
        if retain_until is not None:
            self.retain(key, retain_until)
        with self.upload(key) as upload:
            for chunk in chunks(data):
                upload.write(chunk)
        return upload.info

    def get(
        self, key: str, *, version: str | None = None, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        left = self._stat(key, version).st_size - start
        left = left if length is None else min(left, length)
        try:
            with (self._root / key).open("rb") as file:
                file.seek(start)
                while left > 0 and (chunk := file.read(min(CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
        except OSError as error:
            raise _failed(error, key) from error

    def head(self, key: str, *, version: str | None = None) -> ObjectInfo:
        stat = self._stat(key, version)
        return ObjectInfo(key=key, size=stat.st_size, modified=dt.datetime.fromtimestamp(stat.st_mtime, dt.UTC))

    def _stat(self, key: str, version: str | None) -> os.stat_result:
        try:
            path = self._root / check_key(key)
            stat = path.stat()
            if version is None and path.is_file():
                return stat
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise _failed(error, key) from error
        raise ObjectNotFound(f"There is no object {key}.")

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        directory, _, _ = prefix.rpartition("/")
        try:
            keys = sorted(
                key for path in (self._root / directory).rglob("*")
                if not path.name.endswith(_PARTIAL) and path.is_file()
                and (key := path.relative_to(self._root).as_posix()).startswith(prefix)
            )  # fmt: skip
        except OSError as error:
            raise _failed(error, prefix) from error
        for key in keys:
            with contextlib.suppress(ObjectNotFound):
                yield self.head(key)

    def delete(self, key: str, *, version: str | None = None) -> None:
        del version
        try:
            (self._root / check_key(key)).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise _failed(error, key) from error

    def discard_partial(self, prefix: str) -> int:
        directory, _, name = prefix.rpartition("/")
        found = 0
        try:
            for path in (self._root / directory).glob(f".{name}*{_PARTIAL}"):
                path.unlink(missing_ok=True)
                found += 1
        except OSError as error:
            raise _failed(error, prefix) from error
        return found

    def retain(self, key: str, until: dt.datetime, *, version: str | None = None, compliance: bool = False) -> None:
        del until, version, compliance
        raise ObjectStoreError(f"{key} cannot be locked: {_NO_LOCK}.", code="no_retention_lock")

    def probe_lock(self) -> LockProbe:
        return LockProbe(False, _NO_LOCK)
