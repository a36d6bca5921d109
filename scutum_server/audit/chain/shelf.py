"""Where checkpoints are shipped to: an object store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scutum_server.infra.objectstore import ObjectStore


class StoreShelf:
    """Objects below a store's URL, which says where it is and holds no secret."""

    def __init__(self, store: ObjectStore) -> None:
        self.name = store.url
        self._store = store

    def put(self, key: str, data: bytes) -> None:
        self._store.put(key, data)

    def read(self, prefix: str) -> Iterator[bytes]:
        for found in self._store.list(prefix):
            yield b"".join(self._store.get(found.key))
