"""`scutum audit query --export FILE`: any number of rows into one file that appears only when it is whole."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scutum_cli import errors, output
from scutum_cli.client.audit import AuditApi
from scutum_cli.errors import CliError
from scutum_cli.render.audit import FIELDS
from scutum_cli.render.text import plural

_BATCH = 5000


def write(server: AuditApi, wanted: Mapping[str, str | None], target: str, limit: int | None) -> None:
    """Everything that fits, newest first, page by page."""
    path = Path(target)
    writers: dict[str, Callable[[Path, Iterable[dict[str, Any]]], None]] = {
        ".csv": _csv, ".json": _json, ".parquet": _parquet,
    }  # fmt: skip
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise CliError("--export takes a FILE.csv, FILE.json or FILE.parquet.", hint="scutum audit query --help")
    counted = _Counted(row for page, _ in server.pages(wanted, limit) for row in page)
    try:
        with _whole(path) as partial:
            writer(partial, counted)
    except OSError as error:
        raise CliError(
            f"{path} cannot be written: {error.strerror}.", exit_code=errors.HALF_WAY, code="not_written"
        ) from None
    output.changed({"file": str(path), "rows": counted.rows}, f"{plural(counted.rows, 'row')} written to {path}.")


class _Counted:
    """Rows that go by, told while they do."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self._given = iter(rows)
        self.rows = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._given:
            self.rows += 1
            if self.rows % _BATCH == 0:
                output.live(f"{plural(self.rows, 'row')} so far")
            yield row
        output.live(None)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, readable by its owner alone: nothing half-written stays."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield partial
        partial.rename(path)
    finally:
        output.live(None)
        partial.unlink(missing_ok=True)


def _csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows([_plain(row[name]) for name in FIELDS] for row in rows)


def _json(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, row in enumerate(rows):
            file.write(",\n" if number else "\n")
            file.write(json.dumps({name: row[name] for name in FIELDS}, ensure_ascii=False))
        file.write("\n]\n")


def _parquet(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise CliError(
            "This command was installed without the Parquet library.",
            exit_code=errors.REFUSED,
            code="parquet_missing",
            hint="--export FILE.csv, or use the scutum of a gateway's host",
        ) from None
    import datetime as dt

    kinds = {"timestamp": pa.timestamp("us", "UTC"), "seq": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in FIELDS])
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            columns: dict[str, list[Any]] = {name: [_plain(row[name]) for row in batch] for name in FIELDS}
            columns["timestamp"] = [dt.datetime.fromisoformat(text) for text in columns["timestamp"]]
            columns["seq"] = [row["seq"] for row in batch]
            writer.write_table(pa.table(columns, schema=schema))


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
