"""Rows of Postgres as Parquet (zstd) in an object store, and back, a few megabytes at a time.

The Parquet library is heavy: import this module where an archive is really written or read.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pyarrow import parquet as pq

from scutum_server.infra.objectstore import ObjectStore, Ranged, Upload

BLOCK: Final = 8 * 1024 * 1024
"""Bytes of text that become one row group; no single row may be longer."""
_READ_AHEAD: Final = 1024 * 1024
_BATCH_ROWS: Final = 8192

TYPES: Final[Mapping[str, pa.DataType]] = {
    "timestamptz": pa.timestamp("us", "UTC"), "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(),
    "bool": pa.bool_(), "bytea": pa.binary(),
}  # fmt: skip
"""By the name of a type in Postgres; any other is kept as its text."""
PLAIN: Final = frozenset({"bytea", "json", "jsonb", "uuid"})
"""Types whose values hardly repeat: a dictionary of them would be for nothing."""


def schema_of(columns: Sequence[tuple[str, str]]) -> pa.Schema:
    """Of (name, Postgres type) pairs."""
    return pa.schema([pa.field(name, TYPES.get(kind, pa.string())) for name, kind in columns])


class _Rows(io.RawIOBase):
    """COPY's rows as a file to read from."""

    def __init__(self, rows: Iterable[bytes | bytearray | memoryview]) -> None:
        self._rows = iter(rows)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found, length = [self._rest], len(self._rest)
        while size < 0 or length < size:
            row = next(self._rows, None)
            if row is None:
                break
            found.append(bytes(row))
            length += len(row)
        data = b"".join(found)
        if size < 0:
            size = len(data)
        self._rest = data[size:]
        return data[:size]


def from_csv(rows: Iterable[bytes | bytearray | memoryview], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Batches from what `COPY … TO STDOUT (FORMAT csv)` sends, with bytea as hex digits and times in UTC."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    stream = _Rows(_chain(first, rows))
    read_as = {field.name: pa.string() if field.type == pa.binary() else field.type for field in schema}
    reader = csv.open_csv(
        pa.PythonFile(stream, mode="r"),
        read_options=csv.ReadOptions(column_names=schema.names, block_size=BLOCK, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=read_as, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=["t"], false_values=["f"],
        ),
    )  # fmt: skip
    for batch in reader:
        arrays = [
            _unhex(column) if field.type == pa.binary() else column
            for field, column in zip(schema, batch.columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _chain(first: bytes | bytearray | memoryview, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _unhex(text: pa.StringArray) -> pa.BinaryArray:
    """Pairs of hex digits as bytes, the whole column at once."""
    if text.offset:
        text = pa.concat_arrays([text])
    valid, offsets, data = text.buffers()
    places = pa.Array.from_buffers(pa.int32(), len(text) + 1, [None, offsets])
    first, last = places[0].as_py(), places[-1].as_py()
    raw = bytes.fromhex(data.slice(first, last - first).to_pybytes().decode()) if last > first else b""
    halved = pc.shift_right(pc.subtract(places, first), 1).cast(pa.int32())
    return pa.Array.from_buffers(
        pa.binary(), len(text), [valid, halved.buffers()[1], pa.py_buffer(raw)], text.null_count
    )


class _Sink(io.RawIOBase):
    """An upload as a file to write to."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        body = bytes(data)
        self._upload.write(body)
        self._at += len(body)
        return len(body)


class Tally(msgspec.Struct):
    """What is in a column whatever its batches are: nulls, and the sum of its numbers, times or lengths."""

    nulls: int = 0
    total: int = 0


class Contents:
    """Counts what goes by, to compare what was written with what is read back."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self.columns = {name: Tally() for name in schema.names}

    def add(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            tally = self.columns[name]
            tally.nulls += column.null_count
            tally.total += _total(column)

    def differs(self, other: Contents) -> str | None:
        """The first thing in which they differ, in words."""
        if self.rows != other.rows:
            return f"{other.rows} rows instead of {self.rows}"
        return next(
            (f"another {name}" for name, tally in self.columns.items() if other.columns.get(name) != tally), None
        )


def _total(column: pa.Array) -> int:
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not pa.types.is_integer(kind):
        column = pc.binary_length(column)
    # In two halves: the sum of microseconds since 1970 of a few thousand rows is beyond 64 bits.
    wide = column.cast(pa.int64())
    low, high = pc.bit_wise_and(wide, 0xFFFFFFFF), pc.shift_right(wide, 32)
    return ((pc.sum(high).as_py() or 0) << 32) + (pc.sum(low).as_py() or 0)


def write(
    upload: Upload, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, plain: Sequence[str] = ()
) -> Contents:
    """Batches as row groups of one Parquet file; `plain` names columns whose values hardly repeat."""
    contents = Contents(schema)
    repeating = [name for name in schema.names if name not in plain]
    with pq.ParquetWriter(
        _Sink(upload), schema, compression="zstd", compression_level=3, use_dictionary=repeating, version="2.6"
    ) as writer:
        for batch in batches:
            contents.add(batch)
            writer.write_batch(batch)
    return contents


def read(
    store: ObjectStore,
    key: str,
    *,
    version: str | None = None,
    columns: Sequence[str] | None = None,
    between: tuple[str, Any, Any] | None = None,
    equal: Mapping[str, Sequence[Any]] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Rows in the order in which they were written; raises ObjectNotFound, and ValueError for what is no Parquet.

    `between`: a column with its least value and the first one beyond, either None; `equal`: columns with the values
    that they may have. Row groups in which nothing can match are not fetched. A column that the file lacks is null.
    """
    file = io.BufferedReader(Ranged(store, key, version=version), _READ_AHEAD)
    try:
        parquet = pq.ParquetFile(file, pre_buffer=False)
        wanted = _condition(parquet.schema_arrow, between, equal or {})
        used = {between[0]} if between else set()
        names = parquet.schema_arrow.names
        asked = names if columns is None else columns
        fetched = [name for name in names if name in {*asked, *used, *(equal or ())}]
        groups = [
            number for number in range(parquet.num_row_groups)
            if between is None or _overlaps(parquet.metadata.row_group(number), *between)
        ]  # fmt: skip
        for batch in parquet.iter_batches(_BATCH_ROWS, groups, fetched, use_threads=False):
            kept = batch if wanted is None else batch.filter(wanted)
            if kept.num_rows:
                yield _shaped(kept, asked)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{key} is no whole Parquet file: {error}") from error


def backwards(
    store: ObjectStore,
    key: str,
    *,
    version: str | None,
    columns: Sequence[str],
    between: tuple[str, Any, Any],
    equal: Mapping[str, Sequence[Any]],
) -> Iterator[tuple[pa.Table, Any]]:
    """As `read`, from the last row group to the first: its rows that match, in the order of the file and perhaps none,
    and the least value of `between`'s column in it. Of one without a match only the columns in question are fetched.
    """
    file = io.BufferedReader(Ranged(store, key, version=version), _READ_AHEAD)
    try:
        parquet = pq.ParquetFile(file, pre_buffer=False)
        schema = parquet.schema_arrow
        wanted = _condition(schema, between, equal)
        asked = [name for name in schema.names if name in {between[0], *equal}]
        shown = [name for name in schema.names if name in {*columns, *asked}]
        for number in reversed(range(parquet.num_row_groups)):
            group = parquet.metadata.row_group(number)
            if not _overlaps(group, *between):
                continue
            least = _least(group, between[0])
            if any(not _may_hold(group, name, values) for name, values in equal.items()):
                yield schema.empty_table().select(shown), least
                continue
            found = parquet.read_row_group(number, asked, use_threads=False)
            if wanted is not None:
                found = found.filter(wanted)
            if found.num_rows and set(shown) != set(asked):
                found = parquet.read_row_group(number, shown, use_threads=False)
                found = found if wanted is None else found.filter(wanted)
            yield found, least
    except pa.ArrowInvalid as error:
        raise ValueError(f"{key} is no whole Parquet file: {error}") from error


def _least(group: Any, name: str) -> Any:
    statistics = _statistics(group, name)
    return None if statistics is None else statistics.min


def _may_hold(group: Any, name: str, values: Sequence[Any]) -> bool:
    statistics = _statistics(group, name)
    return statistics is None or any(statistics.min <= value <= statistics.max for value in values)


def _statistics(group: Any, name: str) -> Any:
    """What the file says of a column's values in a row group, if it does."""
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema == name and column.statistics is not None and column.statistics.has_min_max:
            return column.statistics
    return None


def _shaped(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    have = set(batch.schema.names)
    return pa.RecordBatch.from_arrays(
        [batch.column(name) if name in have else pa.nulls(batch.num_rows, pa.string()) for name in columns],
        names=list(columns),
    )


def _condition(schema: pa.Schema, between: tuple[str, Any, Any] | None, equal: Mapping[str, Sequence[Any]]) -> Any:
    parts: list[Any] = []
    if between is not None:
        name, low, high = between
        kind = schema.field(name).type
        parts += [pc.field(name) >= pa.scalar(low, kind)] if low is not None else []
        parts += [pc.field(name) < pa.scalar(high, kind)] if high is not None else []
    for name, values in equal.items():
        known = name in schema.names
        parts.append(pc.field(name).isin(pa.array(values, schema.field(name).type)) if known else pc.scalar(False))
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole = whole & part
    return whole


def _overlaps(group: Any, name: str, low: Any, high: Any) -> bool:
    """Whether the group may hold a value from `low` up to `high`, by what the file says of it."""
    statistics = _statistics(group, name)
    return statistics is None or ((low is None or statistics.max >= low) and (high is None or statistics.min < high))
