"""Objects by key, in a bucket behind the S3 API or in a directory: for archives, backups, exports.

Calls block: from a coroutine, call them in a thread. Memory stays at a few parts of 8 MiB whatever the objects' size.
The S3 library is loaded by `make_store` for an s3:// URL only.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from scutum_server.errors import InvalidInput
from scutum_server.infra.objectstore.base import (
    LockProbe,
    ObjectInfo,
    ObjectNotFound,
    ObjectStore,
    ObjectStoreError,
    Ranged,
    Upload,
)
from scutum_server.infra.objectstore.directory import DirectoryStore
from scutum_server.object_settings import S3Settings

__all__ = [
    "LockProbe", "ObjectInfo", "ObjectNotFound", "ObjectStore", "ObjectStoreError", "Ranged", "Upload", "check_url",
    "make_store",
]  # fmt: skip


class BadStoreUrl(InvalidInput):
    code = "bad_store_url"


def _refuse(why: str) -> BadStoreUrl:
    return BadStoreUrl(
        f"This is no place for objects: {why}.",
        hint="For example s3://bucket/prefix or file:///var/lib/scutum-archive; keys are never part of it.",
    )


def check_url(url: str) -> tuple[str, str, str]:
    """Scheme, bucket (empty for a directory) and prefix or path of a store's URL; raises BadStoreUrl."""
    try:
        parts = urlsplit(url)
        named = parts.username or parts.password or parts.port
    except ValueError:
        raise _refuse("it is not a URL") from None
    path = unquote(parts.path)
    if parts.query or parts.fragment or named or "\0" in path:
        raise _refuse("it holds more than a bucket and a prefix")
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        if not path.startswith("/") or path == "/" or ".." in path.split("/"):
            raise _refuse("a directory is named in full, such as file:///var/lib/scutum-archive")
        return "file", "", path
    if parts.scheme == "s3" and parts.hostname:
        return "s3", parts.netloc, path.strip("/")
    raise _refuse("it begins with neither s3://bucket nor file:///")


def make_store(url: str, settings: S3Settings) -> ObjectStore:
    """The store at `file:///directory` or `s3://bucket/prefix`; nothing is asked yet. Raises BadStoreUrl."""
    scheme, bucket, path = check_url(url)
    if scheme == "file":
        return DirectoryStore(Path(path))
    from scutum_server.infra.objectstore.s3 import S3Store

    return S3Store(bucket, path, settings)
