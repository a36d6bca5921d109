"""The archiver's own connection: months out of the database, and the table `archives`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from scutum_server.archives.models import Archive, Partition
from scutum_server.errors import Unavailable
from scutum_server.infra.archives import KEYS, Chain, Part, Table
from scutum_server.settings import DatabaseSettings

_LOCK = 0x5C07_A2C4
# As in archive_fingerprint(): a row's text depends on these.
SESSION = """
SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET bytea_output = 'hex'; SET extra_float_digits = 1;
SET intervalstyle = 'postgres'; SET client_encoding = 'UTF8'; SET random_page_cost = 1.1; SET work_mem = '64MB'
"""
COLUMNS = """
SELECT attname AS name, typname AS kind FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
PARTITIONS = """
SELECT parent AS table, month, estimate AS rows, bytes FROM archive_partitions() WHERE parent = %(table)s ORDER BY month
"""
ARCHIVES = """
SELECT id, table_name AS table, month, part, state, store_url, object_key AS key, version, rows, bytes, sha256,
    first_at, last_at, locked_until, error, started_at, verified_at, dropped_at
FROM archives WHERE dropped_at IS NULL ORDER BY table_name, month, part
"""
PARTS = "SELECT part FROM archives WHERE table_name = %(table)s AND month = %(month)s"
BEGIN = """
INSERT INTO archives (id, table_name, month, part, state, store_url, object_key)
VALUES (%(id)s, %(table)s, %(month)s, %(part)s, 'writing', %(store_url)s, %(key)s)
"""
VERIFIED = """
UPDATE archives SET state = 'verified', version = %(version)s, rows = %(rows)s, bytes = %(bytes)s, sha256 = %(sha256)s,
    fingerprint = %(fingerprint)s, first_at = %(first_at)s, last_at = %(last_at)s, chains = %(chains)s,
    locked_until = %(locked_until)s, error = NULL, verified_at = %(verified_at)s
WHERE id = %(id)s
"""
FAILED = "UPDATE archives SET state = 'failed', error = %(error)s WHERE id = %(id)s AND dropped_at IS NULL"
FORGET = "DELETE FROM archives WHERE id = %(id)s AND dropped_at IS NULL"
PART = """
SELECT table_name AS table, month, part, store_url, object_key AS key, version, rows, bytes, sha256, first_at, last_at,
    chains
FROM archives WHERE id = %(id)s
"""
CHAIN_BEFORE = """
SELECT DISTINCT ON (org) org, chain FROM archives, jsonb_each(chains) AS piece (org, chain)
WHERE table_name = 'audit_logs' AND dropped_at IS NOT NULL AND month < %(month)s ORDER BY org, month DESC, part DESC
"""
DROP = "SELECT archive_drop(%(id)s)"
DROP_EMPTY = "SELECT archive_drop_empty(%(table)s, %(month)s)"
INSTALL = "SELECT value #>> '{}' AS value FROM settings WHERE key = 'install_id'"
CHANGED = "SC001"
"""The SQLSTATE of archive_drop() when a partition has other rows than its archive."""


class Busy(Unavailable):
    """Somebody else holds a lock that is needed; later it may be free."""

    code = "archiving_busy"


class RowsChanged(Exception):
    """The partition has other rows than when it was read."""


class MovingStore:
    """Every call is a transaction of its own, and blocks. Raises Unavailable when the database is away."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        with _told():
            self._conn = self._connect()

    def _connect(self) -> psycopg.Connection[dict[str, Any]]:
        conn: psycopg.Connection[dict[str, Any]] = psycopg.connect(
            **self._settings.conninfo(application_name="scutum-archiver"),  # type: ignore[arg-type]
            row_factory=dict_row,
            autocommit=True,
        )
        conn.execute(SESSION)
        return conn

    def close(self) -> None:
        self._conn.close()

    def _rows(self, query: LiteralString, **params: Any) -> list[dict[str, Any]]:
        with _told():
            return self._conn.execute(query, params).fetchall()

    def _do(self, query: LiteralString, **params: Any) -> None:
        with _told():
            self._conn.execute(query, params)

    def alone(self) -> bool:
        """Whether this is the only archiver from now on, until it closes."""
        return bool(self._rows("SELECT pg_try_advisory_lock(%(lock)s) AS got", lock=_LOCK)[0]["got"])

    def install_id(self) -> str:
        return str(self._rows(INSTALL)[0]["value"])

    def columns(self, table: Table) -> list[tuple[str, str]]:
        """Names and types, as Postgres calls them."""
        return [(row["name"], row["kind"]) for row in self._rows(COLUMNS, table=table)]

    def partitions(self, table: Table) -> list[Partition]:
        return [msgspec.convert(row, Partition) for row in self._rows(PARTITIONS, table=table)]

    def unfinished(self) -> list[Archive]:
        """Those whose rows are still in the database."""
        return [msgspec.convert(row, Archive) for row in self._rows(ARCHIVES)]

    def part(self, archive_id: str) -> Part:
        return msgspec.convert(self._rows(PART, id=archive_id)[0], Part)

    def parts(self, table: Table, month: dt.date) -> set[int]:
        return {row["part"] for row in self._rows(PARTS, table=table, month=month)}

    def chains_before(self, month: dt.date) -> dict[str, Chain]:
        """Where the chain of each org stood at the end of the archived months before."""
        return {row["org"]: msgspec.convert(row["chain"], Chain) for row in self._rows(CHAIN_BEFORE, month=month)}

    def begin(self, archive_id: str, table: Table, month: dt.date, part: int, store_url: str, key: str) -> None:
        self._do(BEGIN, id=archive_id, table=table, month=month, part=part, store_url=store_url, key=key)

    def verified(
        self, archive_id: str, part: Part, fingerprint: int, at: dt.datetime, locked_until: dt.datetime | None
    ) -> None:
        fields = msgspec.structs.asdict(part) | {"chains": Jsonb(msgspec.to_builtins(part.chains))}
        fields |= {"id": archive_id, "fingerprint": fingerprint, "verified_at": at, "locked_until": locked_until}
        self._do(VERIFIED, **fields)

    def failed(self, archive_id: str, error: str) -> None:
        self._do(FAILED, id=archive_id, error=error[:1000])

    def forget(self, archive_id: str) -> None:
        self._do(FORGET, id=archive_id)

    def is_empty(self, table: Table, month: dt.date) -> bool:
        first, until = _bounds(month)
        query = sql.SQL("SELECT 1 FROM {} WHERE {key} >= {first} AND {key} < {until} LIMIT 1").format(
            sql.Identifier(table), key=sql.Identifier(KEYS[table][0]), first=sql.Literal(first),
            until=sql.Literal(until),
        )  # fmt: skip
        with _told():
            return self._conn.execute(query).fetchone() is None

    @contextmanager
    def rows(
        self, table: Table, month: dt.date, columns: list[tuple[str, str]]
    ) -> Iterator[Iterator[bytes | bytearray | memoryview]]:
        """The month as CSV, in the order of its key, with a hash of each row's text as a last column.

        On a connection for this once, so that whoever stops reading leaves no other in the middle of an answer.
        """
        (time, identity), (first, until) = KEYS[table], _bounds(month)
        query = sql.SQL(
            "COPY (SELECT {columns}, hashtextextended(part::text, 0) FROM {table} AS part "
            "WHERE {time} >= {first} AND {time} < {until} ORDER BY {time}, {identity}) TO STDOUT (FORMAT csv)"
        ).format(
            columns=sql.SQL(", ").join(_selected(name, kind) for name, kind in columns),
            table=sql.Identifier(table), time=sql.Identifier(time), identity=sql.Identifier(identity),
            first=sql.Literal(first), until=sql.Literal(until),
        )  # fmt: skip
        with _told(), closing(self._connect()) as conn, conn.cursor() as cursor, cursor.copy(query) as copy:
            yield iter(copy)

    def drop(self, archive_id: str) -> None:
        """Takes the archived month out of the database. Raises RowsChanged, and Busy when somebody uses it."""
        self._do(DROP, id=archive_id)

    def drop_empty(self, table: Table, month: dt.date) -> None:
        self._do(DROP_EMPTY, table=table, month=month)


def _bounds(month: dt.date) -> tuple[dt.datetime, dt.datetime]:
    first = dt.datetime(month.year, month.month, 1, tzinfo=dt.UTC)
    return first, (first + dt.timedelta(days=32)).replace(day=1)


def _selected(name: str, kind: str) -> sql.Composable:
    column = sql.Identifier("part", name)
    return sql.SQL("encode({}, 'hex')").format(column) if kind == "bytea" else column


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise Busy("Somebody reads or writes the month that is to go.") from error
    except psycopg.errors.DeadlockDetected as error:
        raise Busy("Somebody writes into the month that is to go.") from error
    except psycopg.OperationalError as error:
        raise Unavailable(f"The database does not answer: {error}", code="database_unavailable") from error
    except psycopg.Error as error:
        if error.sqlstate == CHANGED:
            raise RowsChanged(str(error).splitlines()[0]) from error
        raise
