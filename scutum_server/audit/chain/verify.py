"""The whole proof: every month from its one source, each org's chain from its first row to its head."""

from __future__ import annotations

import datetime as dt
import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from scutum_server.audit.chain.models import COLUMNS, ChainRow, Checkpoint, Finding, Head
from scutum_server.audit.chain.sealing import Shelf, copies
from scutum_server.audit.chain.signing import Trust, moment
from scutum_server.audit.chain.store import ChainStore
from scutum_server.audit.chain.walk import Walker
from scutum_server.errors import Unavailable
from scutum_server.infra.archives import Part, PartDamaged

SHOWN: Final = 100
_BEAT_SECONDS: Final = 1.0
_EVERY: Final = 2000
_FIRST, _LAST = "-infinity", "infinity"
_TIME, _ID = COLUMNS.index("timestamp"), COLUMNS.index("id")


class Wanted(Struct, frozen=True, kw_only=True):
    """What to prove: rows from `since` to before `until`; `keys` are trusted instead of the server's own, `checkpoints`
    are copies that the asker has kept. Keys are in PEM.
    """

    since: str | None = None
    until: str | None = None
    keys: list[str] = msgspec.field(default_factory=list)
    checkpoints: list[Checkpoint] = msgspec.field(default_factory=list)


class Archives(Protocol):
    """Months that lie in object stores. Every call may raise Unavailable."""

    def parts(self) -> list[Part]:
        """Those whose rows are only there, as of the store's snapshot."""

    def faults(self, part: Part) -> list[str]:
        """What is wrong with the part's file as a file."""

    def rows(self, part: Part, org: str | None) -> Iterator[ChainRow]:
        """By (timestamp, id). Raises PartDamaged."""

    def unknown(self) -> list[str]:
        """What lies there and nobody knows of."""


class Verification:
    """One walk over one org's or everybody's rows; `beat` is called about once a second and may end it by False."""

    def __init__(
        self,
        store: ChainStore,
        trust: Trust,
        *,
        shelves: Sequence[Shelf] = (),
        archives: Archives | None = None,
        org: str | None = None,
        beat: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> None:
        self._store = store
        self._trust = trust
        self._shelves = shelves
        self._archives = archives
        self._org = org
        self._beat = beat
        self._beaten = 0.0
        self._total: int | None = None
        self._faulty = 0
        self._sources = {"hot": 0, "archived": 0}
        self._walker = Walker()

    def run(self, wanted: Wanted) -> dict[str, Any]:
        """The result: `intact`, the `first` finding and the others, and what was read. Raises Unavailable."""
        started = time.monotonic()
        since, until = wanted.since or _FIRST, wanted.until or _LAST
        bounded = wanted.since is not None
        walker = self._walker = Walker(anchored=not bounded)
        units = self._units(since, until)
        with self._store.snapshot():
            self._total = None if bounded or wanted.until else sum(head.seq for head in self._store.heads(self._org))
            if bounded:
                for head in self._store.before(since, self._org):
                    walker.begin(*head)
        heads: list[Head] | None = None
        for at, (month, low, high) in enumerate(units):
            last = at == len(units) - 1
            # Copies come first: what is shipped later than the snapshot is not in it.
            shipped = self._copies(month, wanted, low, high, rest=last)
            with self._store.snapshot():
                if last and wanted.until is None:
                    heads = self._store.heads(self._org)
                self._expect(shipped, low, high)
                self._walk(month, low, high)
                if last and wanted.until is not None:
                    walker.month = None
                    for row in self._store.behind(until, self._org):
                        walker.feed(row)
        walker.month = None
        walker.finish(heads)
        if self._archives is not None and self._org is None:
            for detail in self._archives.unknown():
                walker.tell("archive", detail)
        return self._result(wanted, time.monotonic() - started)

    def _units(self, since: str, until: str) -> list[tuple[dt.date, str, str]]:
        """Month by month, (month, from, to): each is read as of one moment, and none is held on to for long."""
        with self._store.snapshot():
            months = {*self._store.months(), *(part.month for part in self._parts())}
        now = dt.datetime.now(dt.UTC).date().replace(day=1)
        edges = sorted(month for month in months if month <= now) or [now]
        units = []
        for at, month in enumerate(edges):
            low = _FIRST if at == 0 else f"{month:%Y-%m-%d}T00:00:00.000000Z"
            high = _LAST if at == len(edges) - 1 else f"{edges[at + 1]:%Y-%m-%d}T00:00:00.000000Z"
            if (until == _LAST or low == _FIRST or low < until) and (since == _FIRST or high == _LAST or high > since):
                low = since if low == _FIRST or (since != _FIRST and since > low) else low
                high = until if high == _LAST or (until != _LAST and until < high) else high
                units.append((month, low, high))
        return units

    def _walk(self, month: dt.date, low: str, high: str) -> None:
        walker = self._walker
        walker.month = f"{month:%Y-%m}"
        parts = [part for part in self._parts() if part.month == month]
        self._sources["archived" if parts else "hot"] += 1
        hot = self._store.rows(low, high, self._org)
        rows = hot if not parts else heapq.merge(hot, *(self._archived(part, low, high) for part in parts), key=_order)
        for count, row in enumerate(rows):
            walker.feed(row)
            if count % _EVERY == 0:
                self._report()

    def _parts(self) -> list[Part]:
        return [] if self._archives is None else self._archives.parts()

    def _archived(self, part: Part, low: str, high: str) -> Iterator[ChainRow]:
        """A part's rows, as far as its file can be read."""
        if self._archives is None:
            return
        where = {"month": f"{part.month:%Y-%m}", "timestamp": moment(part.first_at)}
        for detail in self._archives.faults(part):
            self._walker.tell("archive", detail, **where)
        try:
            yield from self._within(self._archives.rows(part, self._org), low, high)
        except PartDamaged as error:
            self._walker.tell("archive", str(error), **where)

    @staticmethod
    def _within(rows: Iterator[ChainRow], low: str, high: str) -> Iterator[ChainRow]:
        for row in rows:
            at = str(row.columns[_TIME])
            if (low == _FIRST or at >= low) and (high == _LAST or at < high):
                yield row

    def _expect(self, shipped: list[Checkpoint], low: str, high: str) -> None:
        """The month's checkpoints; those that only the copies have were taken out of the database."""
        stored = set()
        for checkpoint in self._store.checkpoints(low, high, self._org):
            stored.add(checkpoint.signature)
            self._judge(checkpoint, "The checkpoint")
        told = set()
        for checkpoint in shipped:
            if checkpoint.signature in stored or checkpoint.signature in told:
                continue
            told.add(checkpoint.signature)
            if self._judge(checkpoint, "The copy of the checkpoint"):
                self._faulty += 1
                self._tell(checkpoint, f"The checkpoint of row {checkpoint.seq} is gone from the database.")

    def _judge(self, checkpoint: Checkpoint, what: str) -> bool:
        fault = self._trust.fault(checkpoint)
        if fault is None:
            self._walker.expect(checkpoint)
            return True
        self._faulty += 1
        self._tell(checkpoint, f"{what} of row {checkpoint.seq} {fault}.")
        return False

    def _tell(self, checkpoint: Checkpoint, detail: str) -> None:
        where = {"org_id": checkpoint.org_id, "seq": checkpoint.seq, "timestamp": checkpoint.timestamp}
        self._walker.tell("checkpoint", detail, **where)

    def _copies(self, month: dt.date, wanted: Wanted, low: str, high: str, *, rest: bool) -> list[Checkpoint]:
        """Shipped and given copies of this unit's rows; the last unit takes what lies behind it, too."""
        found = [*wanted.checkpoints]
        for shelf in self._shelves:
            try:
                found += copies(shelf, f"{month:%Y-%m}")
            except Unavailable as error:
                self._walker.tell("checkpoint", f"The copies at {shelf.name} cannot be read: {error.detail}")
        return [
            one
            for one in found
            if (self._org is None or one.org_id == self._org)
            and (low == _FIRST or one.timestamp >= low)
            and (one.timestamp < high if high != _LAST else rest)
        ]

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._beaten < _BEAT_SECONDS:
            return
        self._beaten = now
        walker = self._walker
        going_on = self._beat({"rows": walker.rows, "total": self._total, "month": walker.month, "found": walker.found})
        if not going_on:
            raise Unavailable("Nobody waits for this verification any more.", code="verification_dropped")

    def _result(self, wanted: Wanted, seconds: float) -> dict[str, Any]:
        walker = self._walker
        findings = sorted(walker.findings, key=_place)
        return {
            "intact": walker.found == 0,
            "first": None if not findings else msgspec.to_builtins(findings[0]),
            "findings": [msgspec.to_builtins(finding) for finding in findings[:SHOWN]],
            "found": walker.found,
            "rows": walker.rows,
            "orgs": walker.orgs,
            "months_hot": self._sources["hot"],
            "months_archived": self._sources["archived"],
            "checkpoints": walker.confirmed,
            "checkpoints_faulty": self._faulty,
            "keys": [{"id": key.id, "retired_at": key.retired_at} for key in self._trust.keys],
            "since": wanted.since,
            "until": wanted.until,
            "verified_at": moment(dt.datetime.now(dt.UTC)),
            "seconds": round(seconds, 1),
        }


def _order(row: ChainRow) -> tuple[str, str]:
    return str(row.columns[_TIME]), str(row.columns[_ID])


def _place(finding: Finding) -> tuple[str, str, int]:
    return finding.timestamp or finding.month or "", finding.org_id or "", finding.seq or 0
