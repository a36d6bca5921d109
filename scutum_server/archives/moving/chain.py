"""The audit chain of one archived month, walked as it is read back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from scutum_server.infra.archives import Chain, PartDamaged

COLUMNS: Final = ("org_id", "seq", "canonical", "prev_hash", "hash")


class ChainWalk:
    """`before`: where each org's chain stood at the end of the last archived month, where that is known."""

    def __init__(self, before: Mapping[str, Chain]) -> None:
        self._before = before
        self._first: dict[str, tuple[int, bytes]] = {}
        self._last: dict[str, tuple[int, bytes]] = {}

    def take(self, rows: Iterable[tuple[str, int, str, bytes, bytes]]) -> None:
        """The rows' columns in the order of COLUMNS; raises PartDamaged at the first that does not follow."""
        last, sha256 = self._last, hashlib.sha256
        for org, seq, canonical, prev_hash, digest in rows:
            before = last.get(org)
            if before is None:
                self._begin(org, seq, prev_hash)
            elif before != (seq - 1, prev_hash):
                raise PartDamaged(f"The audit chain of {org} breaks between its rows {before[0]} and {seq}.")
            if sha256(prev_hash + canonical.encode()).digest() != digest:
                raise PartDamaged(f"The audit row {seq} of {org} was changed: its hash is not that of its text.")
            last[org] = (seq, digest)

    def _begin(self, org: str, seq: int, prev_hash: bytes) -> None:
        known = self._before.get(org)
        if known is not None and (known.last_seq + 1, known.last) != (seq, prev_hash.hex()):
            raise PartDamaged(
                f"The audit chain of {org} breaks between its rows {known.last_seq} (archived) and {seq}."
            )
        self._first[org] = (seq, prev_hash)

    def chains(self) -> dict[str, Chain]:
        """Each org's piece of its chain."""
        return {
            org: Chain(first_seq=seq, last_seq=self._last[org][0], before=before.hex(), last=self._last[org][1].hex())
            for org, (seq, before) in self._first.items()
        }
