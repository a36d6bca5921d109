"""Chains in a real Postgres, a keeper with a key of its own, and a superuser who tampers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scutum_server.audit.chain.sealing import Sealed, Sealer
from scutum_server.audit.chain.signing import Keyring
from scutum_server.audit.chain.store import ChainStore
from scutum_server.audit.chain.verify import Verification, Wanted
from scutum_server.settings import DatabaseSettings
from tests.fixtures.servers import Postgres

APPEND = """
SELECT audit_append(%(id)s, %(org)s, %(actor)s, 'user', 'ann@example.com', '10.0.0.7', 'team.update', 'team', %(team)s,
    %(diff)s::jsonb, %(request)s, 'success', 'api')
"""


class Memory:
    """A shelf that is not on this host."""

    name = "memory"

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self.held[key] = data

    def read(self, prefix: str) -> Iterator[bytes]:
        yield from (data for key, data in sorted(self.held.items()) if key.startswith(prefix))


@dataclass
class Trail:
    """One database's audit trail, and everybody who has to do with it."""

    database: DatabaseSettings
    superuser: DatabaseSettings
    keys: Path
    shelf: Memory = field(default_factory=Memory)
    written: int = 0

    def write(self, count: int = 1, org: str = "org_a", **fields: Any) -> list[str]:
        """Rows by the service's own role; returns their ids."""
        ids = []
        with psycopg.connect(**self.database.conninfo()) as conn:
            for _ in range(count):
                self.written += 1
                diff = '{"before": {"n": 1.50, "name": "a\\u00e9\\n"}, "after": {"n": [1, {"x": null}], "name": "b\\"c"}}'
                row = {"id": f"aud_{self.written:04}", "org": org, "actor": f"user_{self.written % 3}",
                       "team": f"team_{self.written}", "diff": diff, "request": f"req-{self.written}"}  # fmt: skip
                conn.execute(APPEND, row | fields)
                conn.commit()
                ids.append(row["id"])
        return ids

    def tamper(self, statement: str, *params: Any) -> int:
        """Past every right, as only a superuser can."""
        with psycopg.connect(**self.superuser.conninfo()) as conn:
            return conn.execute(statement, params or None).rowcount

    @contextmanager
    def tampered(self, statement: str) -> Iterator[None]:
        """As `tamper`, and afterwards everything is as it was."""
        tables = ("audit_logs", "audit_heads", "audit_checkpoints")
        with psycopg.connect(**self.superuser.conninfo()) as conn:
            for table in tables:
                conn.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
            assert conn.execute(statement).rowcount > 0
        yield
        with psycopg.connect(**self.superuser.conninfo()) as conn:
            for table in tables:
                conn.execute(f"DELETE FROM {table}")
                conn.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept_{table}")
                conn.execute(f"DROP TABLE kept_{table}")

    def keyring(self) -> Keyring:
        return Keyring(self.keys)

    def connect(self) -> ChainStore:
        return ChainStore(self.database, "test")

    def seal(self, *, rotate: bool = False) -> Sealed:
        sealer = Sealer(self.connect, self.keyring(), [self.shelf], lambda: dt.datetime.now(dt.UTC))
        return sealer.turn(rotate=rotate)

    def verify(self, *, org: str | None = None, shelves: bool = True, trust: Any = None, **wanted: Any) -> dict[str, Any]:
        store = self.connect()
        try:
            verification = Verification(
                store, trust or self.keyring().trust(), shelves=[self.shelf] if shelves else [], org=org
            )
            return verification.run(Wanted(**wanted))
        finally:
            store.close()


@pytest.fixture
def trail(postgres: Postgres, database: DatabaseSettings, tmp_path: Path) -> Trail:
    return Trail(database, postgres.superuser(database.dbname), tmp_path / "keys")
