"""Signs where the chains are, after reading what came since the last time, and ships the checkpoints off the host."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from scutum_server.audit.chain.models import COLUMNS, Checkpoint, Finding, Head
from scutum_server.audit.chain.signing import Keyring, Trust, moment, sign
from scutum_server.audit.chain.store import ChainStore
from scutum_server.audit.chain.walk import Walker
from scutum_server.errors import Unavailable

FOLDER: Final = "audit_checkpoints"
SEGMENT_ROWS: Final = 20_000
_SHIP_ROWS: Final = 5000
_SEQ, _TIME = COLUMNS.index("seq"), COLUMNS.index("timestamp")
_ALWAYS = "-infinity"


class Shelf(Protocol):
    """A place off the host. `name` tells it from others in messages, without a secret in it."""

    name: str

    def put(self, key: str, data: bytes) -> None:
        """Raises Unavailable."""

    def read(self, prefix: str) -> Iterator[bytes]:
        """What lies under this prefix. Raises Unavailable."""


class Sealed(Struct, kw_only=True):
    """What one turn did: new checkpoints, what was found wrong on the way, places that took nothing."""

    signed: int = 0
    shipped: int = 0
    findings: list[Finding] = msgspec.field(default_factory=list)
    failures: dict[str, str] = msgspec.field(default_factory=dict)
    busy: bool = False


class Sealer:
    """The one holder of the private key; one turn at a time over all hosts."""

    def __init__(
        self,
        connect: Callable[[], ChainStore],
        keyring: Keyring,
        shelves: Sequence[Shelf],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._connect = connect
        self._keyring = keyring
        self._shelves = shelves
        self._clock = clock

    def turn(self, *, rotate: bool = False) -> Sealed:
        """Signs every chain that has grown, perhaps takes a new key, and ships. Raises Unavailable, KeyUnreadable."""
        done = Sealed()
        store = self._connect()
        try:
            with store.alone() as mine:
                if not mine:
                    done.busy = True
                    return done
                key, trust = self._keyring.open(), self._keyring.trust()
                for head in store.unsealed():
                    self._seal(store, head, trust, lambda checkpoint: sign(key, checkpoint), done)
                if rotate:
                    self._keyring.rotate()
                    trust = self._keyring.trust()
                store.publish(trust.keys)
                for shelf in self._shelves:
                    self._ship(store, shelf, done)
                store.forget()
        finally:
            store.close()
        return done

    def _seal(
        self, store: ChainStore, head: Head, trust: Trust, signed: Callable[[Checkpoint], Checkpoint], done: Sealed
    ) -> None:
        """In segments: a chain that nobody has signed yet may have millions of rows."""
        good = next((known for known in store.latest(head.org_id) if trust.fault(known) is None), None)
        key_id = next(key.id for key in trust.keys if key.retired_at is None)
        after, seq = (_ALWAYS, 0) if good is None else (good.timestamp, good.seq)
        if good is not None and (head.seq, head.hash.hex()) == (seq, good.hash):
            return
        walker = Walker(anchored=False)
        if good is not None:
            walker.begin(head.org_id, good.seq, bytes.fromhex(good.hash))
        while True:
            rows = store.segment(head.org_id, after, SEGMENT_ROWS)
            for row in rows:
                walker.feed(row)
            if rows and (last := rows[-1].columns)[_SEQ] != seq:
                after, seq = str(last[_TIME]), int(last[_SEQ] or 0)
                store.seal(
                    signed(
                        Checkpoint(
                            org_id=head.org_id,
                            seq=seq,
                            timestamp=after,
                            hash=rows[-1].hash.hex(),
                            count=len(rows),
                            signed_at=moment(self._clock()),
                            key_id=key_id,
                        )
                    )
                )
                done.signed += 1
            if len(rows) < SEGMENT_ROWS:
                break
        # It may have grown since its head was read; it can never have shrunk.
        walker.finish([head] if seq <= head.seq else None)
        done.findings += walker.findings

    def _ship(self, store: ChainStore, shelf: Shelf, done: Sealed) -> None:
        try:
            while batch := store.unshipped(shelf.name, _SHIP_ROWS):
                by_month = sorted(batch, key=lambda one: one[1].timestamp[:7])
                for month, part in itertools.groupby(by_month, key=lambda one: one[1].timestamp[:7]):
                    lines = [msgspec.json.encode(checkpoint) + b"\n" for _, checkpoint in part]
                    name = f"{moment(self._clock()).replace(':', '')}-{batch[0][0]}.jsonl"
                    shelf.put(f"{FOLDER}/{month}/{name}", b"".join(lines))
                store.shipped(shelf.name, batch[-1][0])
                done.shipped += len(batch)
        except Unavailable as error:
            store.not_shipped(shelf.name, error.detail)
            done.failures[shelf.name] = error.detail


def copies(shelf: Shelf, month: str) -> Iterator[Checkpoint]:
    """The checkpoints of a month's rows (`2026-11`) that lie on this shelf; lines that are none are left out."""
    for data in shelf.read(f"{FOLDER}/{month}/"):
        for line in data.splitlines():
            try:
                yield msgspec.json.decode(line, type=Checkpoint)
            except msgspec.MsgspecError:
                continue
