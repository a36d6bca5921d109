"""Rows into a file that programs read: CSV, JSON or Parquet, by the name's ending; whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, Literal

from scutum_cli.errors import CliError

FORMATS = (".csv", ".json", ".parquet")


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the file; `money` is a decimal that the API sends as text, `day` an ISO date."""

    name: str
    kind: Literal["text", "whole", "number", "money", "flag", "day"]


def checked(path: str) -> Path:
    """The file's path; CliError when its ending is no known format or its directory is not there."""
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise CliError(f"--export takes a file that ends in {', '.join(FORMATS)}, not {path!r}.")
    if not target.parent.is_dir():
        raise CliError(f"There is no directory {str(target.parent)!r}.", hint="make it first, or name another one")
    return target


def write(target: Path, fields: Sequence[Field], rows: Sequence[Mapping[str, Any]], whole: Mapping[str, Any]) -> None:
    """Writes `rows` with these columns, or for JSON `whole`, the document that they are from; raises CliError."""
    try:
        with NamedTemporaryFile("wb", dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = Path(file.name)
            try:
                _fill(file, target.suffix.lower(), fields, rows, whole)
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), 0o666 & ~_umask())
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise CliError(f"{str(target)!r} cannot be written: {error.strerror or error}.", exit_code=8) from error


def _fill(
    file: IO[bytes], ending: str, fields: Sequence[Field], rows: Sequence[Mapping[str, Any]], whole: Mapping[str, Any]
) -> None:
    if ending == ".json":
        file.write(json.dumps(whole, indent=1, ensure_ascii=False).encode() + b"\n")
    elif ending == ".csv":
        _csv(file, fields, rows)
    else:
        _parquet(file, fields, rows)


def _csv(file: IO[bytes], fields: Sequence[Field], rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields])
    writer.writerows([_cell(row.get(field.name)) for field in fields] for row in rows)
    text.detach()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value


def _parquet(file: IO[bytes], fields: Sequence[Field], rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise CliError(
            "Parquet needs the package pyarrow, which this installation lacks.", hint="export to .csv or .json instead"
        ) from None
    kinds = {
        "text": pa.string(), "whole": pa.int64(), "number": pa.float64(), "flag": pa.bool_(),
        "money": pa.decimal128(28, 9), "day": pa.date32(),
    }  # fmt: skip
    columns = [pa.array([_value(field, row.get(field.name)) for row in rows], kinds[field.kind]) for field in fields]
    parquet.write_table(pa.table(columns, names=[field.name for field in fields]), file, compression="zstd")


def _value(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.kind == "money":
        return Decimal(value)
    return date.fromisoformat(value) if field.kind == "day" else value


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
