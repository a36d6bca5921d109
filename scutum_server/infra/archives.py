"""Archived months as readers meet them: which parts there are, and their rows.

A part is one Parquet file with rows of one table and one month, in the order of time, and never changed; beside it lies
its manifest, for whoever has lost the database. Usually a month has one part; each later one holds rows that came late.
Layout: `<root>/<install id>/<table>/<YYYY-MM>/part-0000.parquet` and `part-0000.json`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from psycopg import sql

from scutum_server.infra.db import Connection
from scutum_server.infra.objectstore import ObjectNotFound, ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

Table = Literal["audit_logs", "spend_logs"]
KEYS: Final[Mapping[Table, tuple[str, str]]] = {"audit_logs": ("timestamp", "id"), "spend_logs": ("ts", "request_id")}
"""The columns by which a table's rows are ordered: its time first."""
FORMAT: Final = 1

DROPPED = """
SELECT table_name AS table, month, part, store_url, object_key AS key, version, rows, bytes, sha256, first_at, last_at,
    chains
FROM archives
WHERE table_name = %(table)s AND dropped_at IS NOT NULL
    AND (%(until)s::timestamptz IS NULL OR first_at < %(until)s)
    AND (%(since)s::timestamptz IS NULL OR last_at >= %(since)s)
ORDER BY month, part
"""


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """An org's piece of the audit chain in a part. Hashes in hex; `before` is that of the row before the first one."""

    first_seq: int
    last_seq: int
    before: str
    last: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One file. Of a table without a chain `chains` is None."""

    table: Table
    month: dt.date
    part: int
    store_url: str
    key: str
    version: str | None
    rows: int
    bytes: int
    sha256: str
    first_at: dt.datetime
    last_at: dt.datetime
    chains: dict[str, Chain] | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What lies beside a part."""

    format: int = FORMAT
    install_id: str
    archive_id: str
    part: Part
    verified_at: dt.datetime
    locked_until: dt.datetime | None = None


class PartDamaged(ValueError):
    """A part is not what was archived; the sentence says in what."""


def part_key(install_id: str, table: Table, month: dt.date, part: int) -> str:
    return f"{install_id}/{table}/{month:%Y-%m}/part-{part:04d}.parquet"


def manifest_key(key: str) -> str:
    return key.removesuffix(".parquet") + ".json"


async def freeze(conn: Connection, table: Table) -> None:
    """Makes the transaction one in which months have one source each: call it first in it.

    No partition of the table can be dropped until it ends, and all reads see one moment. Without the lock a partition
    could go between the look at `archives` and that at the table, and its rows would be in neither.
    """
    await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    await conn.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.Identifier(table)))


async def dropped_parts(
    conn: Connection, table: Table, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> list[Part]:
    """The parts whose rows are no longer in the table and may be from `since` up to `until`, oldest first.

    All other rows are in the table: with `freeze` before, both together are every row once.
    """
    rows = await (await conn.execute(DROPPED, {"table": table, "since": since, "until": until})).fetchall()
    return [msgspec.convert(row, Part) for row in rows]


def manifests(store: ObjectStore, table: Table | None = None) -> Iterator[Manifest]:
    """Every archived part below a root, whichever install wrote it; raises PartDamaged for an unreadable one."""
    for info in store.list():
        if not info.key.endswith(".json") or (table and f"/{table}/" not in info.key):
            continue
        try:
            yield msgspec.json.decode(b"".join(store.get(info.key)), type=Manifest)
        except msgspec.MsgspecError as error:
            raise PartDamaged(f"{store.url}/{info.key} is no manifest of an archive: {error}") from None


def read(
    store: ObjectStore,
    part: Part,
    *,
    columns: Sequence[str] | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    equal: Mapping[str, Sequence[Any]] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The part's rows from `since` up to `until`, oldest first, some thousands at a time.

    `equal`: columns with the values that they may have. `columns` None: all. Blocks: call it in a thread. Raises
    PartDamaged when the file is gone or is no Parquet; whether it is the one that was archived, `check` says.
    """
    from scutum_server.infra import parquet

    between = (KEYS[part.table][0], since, until) if since or until else None
    try:
        yield from parquet.read(store, part.key, version=part.version, columns=columns, between=between, equal=equal)
    except (ObjectNotFound, ValueError) as error:
        raise PartDamaged(f"The archive {store.url}/{part.key} cannot be read: {error}") from error


def read_back(
    store: ObjectStore,
    part: Part,
    *,
    columns: Sequence[str],
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    equal: Mapping[str, Sequence[Any]] | None = None,
) -> Iterator[tuple[pa.Table, dt.datetime | None]]:
    """As `read`, some thousands of rows at a time from the newest to the oldest ones: those that match, in the order of
    time and perhaps none, and the oldest time that was looked at.
    """
    from scutum_server.infra import parquet

    between = (KEYS[part.table][0], since, until)
    try:
        yield from parquet.backwards(
            store, part.key, version=part.version, columns=columns, between=between, equal=equal or {}
        )
    except (ObjectNotFound, ValueError) as error:
        raise PartDamaged(f"The archive {store.url}/{part.key} cannot be read: {error}") from error


def check(store: ObjectStore, part: Part) -> None:
    """Reads the whole file; raises PartDamaged when it is not, byte for byte, the one that was verified."""
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in store.get(part.key, version=part.version):
            digest.update(chunk)
            size += len(chunk)
    except ObjectNotFound:
        raise PartDamaged(f"The archive {store.url}/{part.key} is gone.") from None
    if size != part.bytes or digest.hexdigest() != part.sha256:
        raise PartDamaged(f"The archive {store.url}/{part.key} was changed: its SHA-256 is not the one it had.")


class Roots:
    """Object stores by their URL, each made once."""

    def __init__(self, make: Callable[[str], ObjectStore]) -> None:
        self._make = make
        self._made: dict[str, ObjectStore] = {}

    def __call__(self, url: str) -> ObjectStore:
        if url not in self._made:
            self._made[url] = self._make(url)
        return self._made[url]
