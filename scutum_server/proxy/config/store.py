"""The data plane's only SQL: configuration, whole and by what changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import blake2b
from typing import Final

import psycopg

from scutum_server.errors import Unavailable
from scutum_server.infra.db import Connection, connect
from scutum_server.proxy.config.snapshot import Row
from scutum_server.settings import DatabaseSettings

_KEYS: Final = """
SELECT id, team_id, hash, previous_hash, previous_valid_until, owner, allowed_models, allowed_routes, allowed_ips,
    expires_at, revoked_at
FROM api_keys
"""
_TEAMS: Final = (
    "SELECT t.id, t.name, t.org_id, t.unit_id, o.name AS org_name FROM teams t JOIN orgs o ON o.id = t.org_id"
)
_PROVIDERS: Final = """
SELECT id, name, kind, base_url, api_key_wrapped, settings,
    ARRAY(SELECT k.id FROM provider_keys k WHERE k.provider_id = providers.id ORDER BY k.id) AS key_ids,
    ARRAY(SELECT k.wrapped FROM provider_keys k WHERE k.provider_id = providers.id ORDER BY k.id) AS keys_wrapped
FROM providers
"""
_DEPLOYMENTS: Final = "SELECT id, name, provider_id, upstream_model, settings, created_at FROM deployments"
_ALIASES: Final = "SELECT name AS id, targets, settings FROM aliases"
_SETTINGS: Final = "SELECT key AS id, value FROM settings"
_RULES: Final = """
SELECT r.*, coalesce(o.time_zone, (SELECT time_zone FROM orgs WHERE name = 'default'), 'UTC') AS zone
FROM {} r LEFT JOIN orgs o ON o.id = r.org_id
"""
_LIMITS: Final = _RULES.format("limits")
_BUDGETS: Final = _RULES.format("budgets")

_ALL: Final = {
    "team": _TEAMS,
    "key": f"{_KEYS} WHERE revoked_at IS NULL",
    "provider": _PROVIDERS,
    "deployment": _DEPLOYMENTS,
    "alias": _ALIASES,
    "setting": _SETTINGS,
    "limit": _LIMITS,
    "budget": _BUDGETS,
}
_SOME: Final = {
    "team": f"{_TEAMS} WHERE t.id = ANY(%s)",
    "key": f"{_KEYS} WHERE id = ANY(%s)",
    "provider": f"{_PROVIDERS} WHERE id = ANY(%s)",
    "deployment": f"{_DEPLOYMENTS} WHERE id = ANY(%s)",
    "alias": f"{_ALIASES} WHERE name = ANY(%s)",
    "setting": f"{_SETTINGS} WHERE key = ANY(%s)",
    "limit": f"{_LIMITS} WHERE r.id = ANY(%s)",
    "budget": f"{_BUDGETS} WHERE r.id = ANY(%s)",
}
SHAPE: Final = blake2b(repr(_ALL).encode(), digest_size=8).hexdigest()
"""Names the columns that rows have here; rows saved by a release with others cannot be used."""
_VERSION: Final = "SELECT version FROM config_version"
_CHANGES: Final = "SELECT version, kind, object_id FROM config_changes WHERE version > %s ORDER BY version"
_ROWS_PER_FETCH: Final = 1000

Batch = list[tuple[str, str, Row | None]]
"""(kind, id, row or None when it is gone)."""


class ConfigStore:
    """One connection that reads configuration and hears of changes; every method raises Unavailable."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Connects anew and listens."""
        await self.close()
        try:
            self._connection = await connect(self._settings, name="proxy")
            await self._connection.execute("LISTEN scutum_config")
        except psycopg.Error as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def wait(self, seconds: float) -> None:
        """Returns when a change was announced, or after `seconds`."""
        try:
            async for _ in self._live().notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.Error as error:
            raise _unavailable(error) from error

    async def version(self) -> int:
        try:
            row = await (await self._live().execute(_VERSION)).fetchone()
        except psycopg.Error as error:
            raise _unavailable(error) from error
        return int(row["version"]) if row else 0

    async def everything(self) -> AsyncIterator[tuple[int, Batch]]:
        """(version, rows) in pieces; all pieces see the same state of the database."""
        connection = self._live()
        try:
            async with connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                version = await self.version()
                for kind, query in _ALL.items():
                    async with connection.cursor(name=f"config_{kind}") as cursor:
                        await cursor.execute(query)
                        while rows := await cursor.fetchmany(_ROWS_PER_FETCH):
                            yield version, [(kind, row["id"], row) for row in rows]
                yield version, []
        except psycopg.Error as error:
            raise _unavailable(error) from error

    async def since(self, version: int) -> tuple[int, Batch] | None:
        """The present version and every row changed after `version`; None when that history is gone."""
        connection = self._live()
        try:
            async with connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                now = await self.version()
                changes = await (await connection.execute(_CHANGES, (version,))).fetchall()
                if len(changes) != now - version:
                    return None
                wanted: dict[str, set[str]] = {}
                for change in changes:
                    wanted.setdefault(change["kind"], set()).add(change["object_id"])
                batch: Batch = []
                for kind, ids in wanted.items():
                    if kind in _SOME:
                        rows = await (await connection.execute(_SOME[kind], (list(ids),))).fetchall()
                        found = {row["id"]: row for row in rows}
                        batch += [(kind, object_id, found.get(object_id)) for object_id in ids]
                return now, batch
        except psycopg.Error as error:
            raise _unavailable(error) from error

    def _live(self) -> Connection:
        if self._connection is None:
            raise Unavailable("The database is not connected.", code="database_unavailable")
        return self._connection


def _unavailable(error: psycopg.Error) -> Unavailable:
    return Unavailable(f"The database does not answer: {type(error).__name__}.", code="database_unavailable")
