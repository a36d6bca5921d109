"""Archived months for the proof: their files as files, and their rows as they were written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from scutum_server.audit.chain.models import COLUMNS, ChainRow
from scutum_server.audit.chain.store import ChainStore
from scutum_server.infra.archives import Part, PartDamaged, Roots, check, manifests, read

if TYPE_CHECKING:
    import pyarrow as pa

_READ: Final = (*COLUMNS, "diff", "canonical", "prev_hash", "hash")


class Months:
    """What `dropped` says lies in the object stores; `extra` are stores to look through for what it does not say."""

    def __init__(self, store: ChainStore, roots: Roots, extra: Sequence[str] = ()) -> None:
        self._store = store
        self._roots = roots
        self._extra = extra

    def parts(self) -> list[Part]:
        """As of the store's snapshot, oldest first."""
        return self._store.dropped()

    def faults(self, part: Part) -> list[str]:
        """What is wrong with a part's file; raises Unavailable when its store does not answer."""
        try:
            check(self._roots(part.store_url), part)
        except PartDamaged as error:
            return [str(error)]
        return []

    def rows(self, part: Part, org: str | None) -> Iterator[ChainRow]:
        """By (timestamp, id); raises PartDamaged where the file ends to be readable."""
        equal = None if org is None else {"org_id": [org]}
        for batch in read(self._roots(part.store_url), part, columns=_READ, equal=equal):
            yield from _chain_rows(batch)

    def unknown(self) -> list[str]:
        """Archives of this install that the database does not know of, one sentence each."""
        install, known = self._store.setting("install_id"), self._store.archived_keys()
        urls = dict.fromkeys([*(part.store_url for part in self.parts()), *self._extra])
        found = []
        for url in urls:
            try:
                for manifest in manifests(self._roots(url), "audit_logs"):
                    part = manifest.part
                    if manifest.install_id == install and part.key not in known:
                        found.append(
                            f"{url}/{part.key} holds rows {part.first_at:%Y-%m-%d} to {part.last_at:%Y-%m-%d}, and the "
                            f"database does not know of this archive."
                        )
            except PartDamaged as error:
                found.append(str(error))
        return found


def _chain_rows(batch: pa.RecordBatch) -> Iterator[ChainRow]:
    import pyarrow.compute as pc

    columns = [
        pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ") if name == "timestamp" else column
        for name, column in zip(_READ, batch.columns, strict=True)
    ]
    ip = COLUMNS.index("ip")
    lists = [column.to_pylist() for column in columns]
    lists[ip] = [None if address is None else address.partition("/")[0] for address in lists[ip]]
    size = len(COLUMNS)
    shown, rest = zip(*lists[:size], strict=True), zip(*lists[size:], strict=True)
    for values, (diff, canonical, prev_hash, digest) in zip(shown, rest, strict=True):
        yield ChainRow(values, diff or "", canonical or "", prev_hash or b"", digest or b"")
