"""Moves closed months into the object store: written, read back and compared, and only then dropped.

What a kill at any moment leaves is finished or cleared by the next run; until the drop, which is one transaction with
the note of it, the rows are in the database.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from scutum_server.archives.models import TABLES, Archive, Partition
from scutum_server.archives.moving import chain
from scutum_server.archives.moving.plan import Outcome, Plan
from scutum_server.archives.moving.store import Busy, MovingStore, RowsChanged
from scutum_server.errors import ScutumError
from scutum_server.infra import archives, parquet
from scutum_server.infra.archives import KEYS, Manifest, Part, PartDamaged, Table
from scutum_server.infra.ids import new_id
from scutum_server.infra.objectstore import LockProbe, ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

DROP_TRIES: Final = 10
DROP_PAUSE_S: Final = 3.0
ROW_HASH: Final = "row_hash"
Step = Literal[
    "noted", "writing", "written", "checked", "locked", "described", "verified", "dropping", "dropped", "cleared"
]
"""Where the moving of a month is; each is told once it is reached."""


class _Written(msgspec.Struct):
    """What is known of a part once it is written, and is to be found in it again."""

    part: Part
    contents: parquet.Contents
    fingerprint: int


class Mover:
    """One run. `on_step` hears of each step with the month; an exception that it raises ends the run."""

    def __init__(
        self,
        store: MovingStore,
        objects: ObjectStore,
        roots: Callable[[str], ObjectStore],
        plan: Plan,
        *,
        clock: Callable[[], dt.datetime],
        pause: Callable[[float], None] = time.sleep,
        on_step: Callable[[Step, Table, dt.date], None] = lambda *_: None,
    ) -> None:
        self._store, self._objects, self._roots, self._plan = store, objects, roots, plan
        self._clock, self._pause, self._told = clock, pause, on_step
        self._probe: LockProbe | None = None

    def run(self) -> Iterator[Outcome]:
        """Finishes what an earlier run began, then moves every month whose time has come, oldest first; a table stops
        at the first one that cannot be. Raises Busy when another archiver is at work, Unavailable, ObjectStoreError.
        """
        if not self._store.alone():
            raise Busy("Another archiver is at work.", code="archiving_busy")
        self._install = self._store.install_id()
        stuck: set[Table] = set()
        for archive in self._store.unfinished():
            outcome = self._resume(archive)
            if outcome is not None:
                yield outcome
                if outcome.error:
                    stuck.add(outcome.table)
        for table in TABLES:
            if table in stuck or table not in self._plan.days:
                continue
            for partition in self._store.partitions(table):
                if not partition.due(self._plan.days[table], self._clock()):
                    break
                outcome = self._move(partition)
                if outcome is not None:
                    yield outcome
                    if outcome.error:
                        break

    def _resume(self, archive: Archive) -> Outcome | None:
        """A verified month is dropped if it still is what was verified; of any other one everything is cleared."""
        if archive.state == "verified":
            part = self._store.part(archive.id)
            return self._guarded(archive.table, archive.month, archive.id, lambda: self._drop_again(archive.id, part))
        self._clear(archive.id, self._roots(archive.store_url), archive.key, archive.table, archive.month)
        return None

    def _drop_again(self, archive_id: str, part: Part) -> Part:
        archives.check(self._roots(part.store_url), part)
        self._drop(archive_id, part)
        return part

    def _move(self, partition: Partition) -> Outcome | None:
        table, month = partition.table, partition.month
        if self._store.is_empty(table, month):
            return self._guarded(table, month, None, lambda: self._drop_empty(table, month))
        taken = self._store.parts(table, month) | self._in_store(table, month)
        number = max(taken, default=-1) + 1
        archive_id, key = new_id("arc"), archives.part_key(self._install, table, month, number)
        self._store.begin(archive_id, table, month, number, self._objects.url, key)
        self._told("noted", table, month)
        return self._guarded(table, month, archive_id, lambda: self._archive(archive_id, table, month, number, key))

    def _in_store(self, table: Table, month: dt.date) -> set[int]:
        """Parts that lie there although the database knows nothing of them: it may be an older one, restored."""
        prefix = archives.part_key(self._install, table, month, 0).rpartition("part-")[0]
        names = (info.key.rpartition("part-")[2].partition(".")[0] for info in self._objects.list(prefix))
        return {int(name) for name in names if name.isdecimal()}

    def _guarded(
        self, table: Table, month: dt.date, archive_id: str | None, work: Callable[[], Part | None]
    ) -> Outcome | None:
        """The work's outcome: what is wrong with this month is noted with it, and the other table goes on."""
        began = time.monotonic()
        try:
            part = work()
        except (PartDamaged, RowsChanged, ObjectStoreError, Busy) as error:
            said = error.detail if isinstance(error, ScutumError) else str(error)
            if archive_id is not None and not isinstance(error, Busy):
                self._store.failed(archive_id, said)
            return Outcome(table=table, month=month, seconds=time.monotonic() - began, error=said)
        if part is None:
            return None
        return Outcome(table=table, month=month, rows=part.rows, bytes=part.bytes, seconds=time.monotonic() - began)

    def _archive(self, archive_id: str, table: Table, month: dt.date, number: int, key: str) -> Part:
        written = self._write(table, month, number, key)
        self._told("written", table, month)
        part = self._check(written)
        self._told("checked", table, month)
        locked_until = self._lock(part)
        self._told("locked", table, month)
        now = self._clock()
        manifest = Manifest(
            install_id=self._install, archive_id=archive_id, part=part, verified_at=now, locked_until=locked_until
        )
        described = self._objects.put(
            archives.manifest_key(key), msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        )
        if locked_until is not None:
            self._objects.retain(
                described.key, locked_until, version=described.version, compliance=self._plan.compliance
            )
        self._told("described", table, month)
        self._store.verified(archive_id, part, written.fingerprint, now, locked_until)
        self._told("verified", table, month)
        self._drop(archive_id, part)
        return part

    def _write(self, table: Table, month: dt.date, number: int, key: str) -> _Written:
        columns = self._store.columns(table)
        schema = parquet.schema_of(columns)
        csv_schema = schema.append(parquet.schema_of([(ROW_HASH, "int8")]).field(0))
        time_column = schema.names.index(KEYS[table][0])
        seen = _Seen()

        def batches() -> Iterator[pa.RecordBatch]:
            with self._store.rows(table, month, columns) as rows:
                for batch in parquet.from_csv(rows, csv_schema):
                    seen.add(batch.column(time_column), batch.column(len(columns)))
                    if seen.batches == 1:
                        self._told("writing", table, month)
                    yield batch.select(range(len(columns)))

        plain = [name for name, kind in columns if kind in parquet.PLAIN or name in {"id", "canonical", KEYS[table][0]}]
        with self._objects.upload(key) as upload:
            contents = parquet.write(upload, schema, batches(), plain=plain)
        if seen.first is None or seen.last is None:
            raise RowsChanged("the rows of the month went while it was read")
        info = upload.info
        part = Part(
            table=table, month=month, part=number, store_url=self._objects.url, key=key, version=info.version,
            rows=contents.rows, bytes=info.size, sha256=info.sha256 or "", first_at=seen.first, last_at=seen.last,
        )  # fmt: skip
        return _Written(part, contents, seen.fingerprint)

    def _check(self, written: _Written) -> Part:
        """Reads it all back: the same bytes, in them the same rows, and in these an audit chain without a gap."""
        part = written.part
        archives.check(self._objects, part)
        found = parquet.Contents(written.contents.schema)
        walk = chain.ChainWalk(self._store.chains_before(part.month)) if part.table == "audit_logs" else None
        for batch in archives.read(self._objects, part):
            found.add(batch)
            if walk is not None:
                walk.take(zip(*(batch.column(name).to_pylist() for name in chain.COLUMNS), strict=True))
        difference = written.contents.differs(found)
        if difference is not None:
            raise PartDamaged(f"The archive {self._objects.url}/{part.key} holds {difference}.")
        return part if walk is None else msgspec.structs.replace(part, chains=walk.chains())

    def _lock(self, part: Part) -> dt.datetime | None:
        if not self._plan.lock_days:
            return None
        self._probe = self._probe or self._objects.probe_lock()
        if not self._probe.enforced:
            return None
        until = self._clock().replace(microsecond=0) + dt.timedelta(days=self._plan.lock_days)
        self._objects.retain(part.key, until, version=part.version, compliance=self._plan.compliance)
        return until

    def _drop(self, archive_id: str, part: Part) -> None:
        """A reader or a late writer is waited for; raises RowsChanged, and Busy when it takes too long."""
        self._told("dropping", part.table, part.month)
        try:
            self._patiently(lambda: self._store.drop(archive_id))
        except RowsChanged:
            # What was verified is no archive of this month any more: the next run makes another one.
            self._clear(archive_id, self._roots(part.store_url), part.key, part.table, part.month)
            raise
        self._told("dropped", part.table, part.month)

    def _drop_empty(self, table: Table, month: dt.date) -> None:
        self._patiently(lambda: self._store.drop_empty(table, month))

    def _patiently(self, drop: Callable[[], None]) -> None:
        for left in range(DROP_TRIES - 1, -1, -1):
            try:
                drop()
            except Busy:
                if not left:
                    raise
                self._pause(DROP_PAUSE_S)
            else:
                return

    def _clear(self, archive_id: str, objects: ObjectStore, key: str, table: Table, month: dt.date) -> None:
        """Removes what was begun; an object that is locked already keeps its version, and nothing refers to it."""
        try:
            objects.discard_partial(key)
            for name in (archives.manifest_key(key), key):
                objects.delete(name)
        except ObjectStoreError as error:
            if objects.url == self._objects.url:
                raise
            log.warning("What was begun in a store that is no longer used stays there: %s", error)
        self._store.forget(archive_id)
        self._told("cleared", table, month)


class _Seen:
    """What of a month's rows is told by COPY and not by the file."""

    def __init__(self) -> None:
        self.batches = 0
        self.fingerprint = 0
        self.first: dt.datetime | None = None
        self.last: dt.datetime | None = None

    def add(self, times: pa.Array, hashes: pa.Array) -> None:
        self.batches += 1
        self.fingerprint += sum(hashes.to_pylist())
        self.first = self.first or times[0].as_py()
        self.last = times[-1].as_py()
