"""Postgres: one pool per process, and a transaction as a context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from scutum_server.errors import Unavailable
from scutum_server.settings import DatabaseSettings

_AWAY = {"08", "53", "57"}
"""Classes of SQLSTATE in which the server is not to be had: connection, resources, operator intervention."""

Connection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]


def make_pool(settings: DatabaseSettings, *, name: str, min_size: int = 1, max_size: int = 10) -> Pool:
    """A closed pool of connections that return rows as dicts; the caller opens and closes it."""
    kwargs: dict[str, Any] = settings.conninfo(application_name=f"scutum-{name}") | {"row_factory": dict_row}
    if settings.pooled:
        # What one server connection has prepared, the next one does not know.
        kwargs["prepare_threshold"] = None
    return AsyncConnectionPool(
        kwargs=kwargs, min_size=min_size, max_size=max_size, timeout=5, open=False, name=name, reconnect_timeout=10,
        check=AsyncConnectionPool.check_connection,
    )  # fmt: skip


async def connect(settings: DatabaseSettings, *, name: str) -> Connection:
    """A single autocommit connection, for LISTEN and for loops that own their connection."""
    return await psycopg.AsyncConnection.connect(
        **settings.conninfo(application_name=f"scutum-{name}"),  # type: ignore[arg-type]
        row_factory=dict_row,
        autocommit=True,
        prepare_threshold=None if settings.pooled else 5,
    )


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside one transaction: committed at the end, rolled back on an error.

    Raises Unavailable when Postgres cannot be reached or drops the connection.
    """
    try:
        async with pool.connection() as conn:
            yield conn
    except psycopg.OperationalError as error:
        # A server that answers with a reason of its own (a lock, a deadlock, a cancelled query) is there.
        state = error.sqlstate
        if state is not None and (state[:2] not in _AWAY or isinstance(error, psycopg.errors.QueryCanceled)):
            raise
        raise Unavailable(
            "The database does not answer.", code="database_unavailable", hint="Look at: scutum ps"
        ) from error
