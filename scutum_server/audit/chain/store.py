"""The chain's tables as the keeper reads them: on a connection of its own, row by row, never whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from scutum_server.audit.chain.models import ChainRow, Checkpoint, Head
from scutum_server.audit.chain.signing import PublicKey
from scutum_server.errors import Unavailable
from scutum_server.infra.archives import DROPPED, Part
from scutum_server.settings import DatabaseSettings

_BATCH: Final = 5000
_LOCK: Final = 0x5C07_A0D1
MONTHS = r"""
SELECT to_date(substring(inhrelid::regclass::text FROM '(\d{6})$'), 'YYYYMM')
FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass ORDER BY 1
"""
HEADS = """
SELECT org_id, seq, hash FROM audit_heads WHERE %(org)s::text IS NULL OR org_id = %(org)s ORDER BY org_id
"""
ROWS = """
SELECT seq, to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), id, org_id, actor_id, actor_kind,
    actor_email, host(ip), action, resource_type, resource_id, request_id, outcome, source, diff::text, canonical,
    prev_hash, hash
FROM audit_logs
WHERE timestamp >= %(since)s AND timestamp < %(until)s AND (%(org)s::text IS NULL OR org_id = %(org)s)
ORDER BY timestamp, id
"""
SEGMENT = """
SELECT seq, to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), id, org_id, actor_id, actor_kind,
    actor_email, host(ip), action, resource_type, resource_id, request_id, outcome, source, diff::text, canonical,
    prev_hash, hash
FROM audit_logs WHERE org_id = %(org)s AND timestamp > %(after)s ORDER BY timestamp, id LIMIT %(limit)s
"""
BEFORE = """
SELECT h.org_id, r.seq, r.hash FROM audit_heads h
CROSS JOIN LATERAL (
    SELECT seq, hash FROM audit_logs WHERE org_id = h.org_id AND timestamp < %(since)s ORDER BY timestamp DESC LIMIT 1
) r
WHERE %(org)s::text IS NULL OR h.org_id = %(org)s
"""
BEHIND = """
SELECT r.* FROM audit_heads h
CROSS JOIN LATERAL (
    SELECT seq, to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), id, org_id, actor_id,
        actor_kind, actor_email, host(ip), action, resource_type, resource_id, request_id, outcome, source, diff::text,
        canonical, prev_hash, hash
    FROM audit_logs WHERE org_id = h.org_id AND timestamp >= %(until)s ORDER BY timestamp LIMIT 1
) r
WHERE %(org)s::text IS NULL OR h.org_id = %(org)s
ORDER BY 2
"""
CHECKPOINTS = """
SELECT org_id, seq, to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS timestamp,
    encode(hash, 'hex') AS hash, count,
    to_char(signed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS signed_at, key_id,
    encode(signature, 'hex') AS signature
FROM audit_checkpoints
WHERE timestamp >= %(since)s AND timestamp < %(until)s AND (%(org)s::text IS NULL OR org_id = %(org)s)
ORDER BY audit_checkpoints.timestamp, id
"""
LATEST = """
SELECT org_id, seq, to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS timestamp,
    encode(hash, 'hex') AS hash, count,
    to_char(signed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS signed_at, key_id,
    encode(signature, 'hex') AS signature
FROM audit_checkpoints WHERE org_id = %(org)s ORDER BY seq DESC, id DESC LIMIT 20
"""
UNSEALED = """
SELECT h.org_id, h.seq, h.hash FROM audit_heads h
LEFT JOIN LATERAL (
    SELECT c.seq, c.hash FROM audit_checkpoints c WHERE c.org_id = h.org_id ORDER BY c.seq DESC, c.id DESC LIMIT 1
) c ON true
WHERE c.seq IS DISTINCT FROM h.seq OR c.hash IS DISTINCT FROM h.hash
ORDER BY h.org_id
"""
SEAL = """
INSERT INTO audit_checkpoints (org_id, seq, timestamp, hash, count, signed_at, key_id, signature)
VALUES (%(org_id)s, %(seq)s, %(timestamp)s, decode(%(hash)s, 'hex'), %(count)s, %(signed_at)s, %(key_id)s,
    decode(%(signature)s, 'hex'))
"""
PUBLISH = """
INSERT INTO audit_keys (id, pem, retired_at) VALUES (%(id)s, %(pem)s, %(retired_at)s)
ON CONFLICT (id) DO UPDATE SET retired_at = excluded.retired_at
WHERE audit_keys.retired_at IS DISTINCT FROM excluded.retired_at
"""
UNSHIPPED = """
SELECT id AS number, org_id, seq, to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS timestamp,
    encode(hash, 'hex') AS hash, count,
    to_char(signed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS signed_at, key_id,
    encode(signature, 'hex') AS signature
FROM audit_checkpoints
WHERE id > (SELECT coalesce(max(through), 0) FROM audit_shipments WHERE target = %(target)s)
ORDER BY id LIMIT %(limit)s
"""
SHIPPED = """
INSERT INTO audit_shipments (target, through, shipped_at) VALUES (%(target)s, %(through)s, now())
ON CONFLICT (target) DO UPDATE SET through = excluded.through, shipped_at = now(), error = NULL, failing_since = NULL
"""
NOT_SHIPPED = """
INSERT INTO audit_shipments (target, through, error, failing_since) VALUES (%(target)s, 0, %(error)s, now())
ON CONFLICT (target) DO UPDATE SET error = excluded.error,
    failing_since = coalesce(audit_shipments.failing_since, now())
"""
KNOWN_KEYS = "SELECT object_key FROM archives WHERE table_name = 'audit_logs'"
SETTING = "SELECT value #>> '{}' FROM settings WHERE key = %(key)s"
TAKE = """
UPDATE audit_tasks SET state = 'running', started_at = now(), beat_at = now()
WHERE id = (
    SELECT id FROM audit_tasks
    WHERE kind = ANY (%(kinds)s)
        AND (state = 'waiting' OR (state = 'running' AND beat_at < now() - interval '60 seconds'))
    ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, kind, org_id, request
"""
TASK = "SELECT id, kind, org_id, request FROM audit_tasks WHERE id = %(id)s"
RESULT = "SELECT result FROM audit_tasks WHERE id = %(id)s AND state = 'done'"
BEAT = "UPDATE audit_tasks SET progress = %(progress)s, beat_at = now() WHERE id = %(id)s AND state = 'running'"
FINISH = """
UPDATE audit_tasks SET state = %(state)s, result = %(result)s, finished_at = now(), beat_at = now()
WHERE id = %(id)s AND state = 'running'
"""
FORGET = "DELETE FROM audit_tasks WHERE finished_at < now() - interval '90 days'"


class Task(msgspec.Struct, frozen=True):
    """Something that was asked of the keeper; `org_id` bounds it to one org."""

    id: str
    kind: str
    org_id: str | None
    request: dict[str, Any]


class ChainStore:
    """One autocommit connection to the server itself: a pooler would take cursor and lock away."""

    def __init__(self, settings: DatabaseSettings, name: str) -> None:
        extra = settings.conninfo(application_name=f"scutum-{name}")
        try:
            self._conn = psycopg.connect(**extra, autocommit=True)  # type: ignore[arg-type]
        except psycopg.OperationalError as error:
            raise _away(error) from error

    def close(self) -> None:
        self._conn.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything inside is read as of one moment; no partition goes meanwhile."""
        with unavailable_on_error(), self._conn.transaction():
            self._conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # The lock comes before the snapshot: a month that is dropped in between would be in neither place.
            self._conn.execute("LOCK TABLE audit_logs IN ACCESS SHARE MODE")
            yield

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether this is the only keeper that seals now."""
        with unavailable_on_error():
            found = self._conn.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
            held = bool(found and found[0])
            try:
                yield held
            finally:
                if held:
                    self._conn.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))

    def months(self) -> list[dt.date]:
        """The first days of the months that have a partition."""
        return [row[0] for row in self._conn.execute(MONTHS).fetchall() if row[0] is not None]

    def heads(self, org: str | None = None) -> list[Head]:
        return [Head(*row) for row in self._conn.execute(HEADS, {"org": org}).fetchall()]

    def rows(self, since: str, until: str, org: str | None = None) -> Iterator[ChainRow]:
        """By (timestamp, id), in batches; inside a snapshot."""
        with self._conn.cursor(name="audit_rows") as cursor:
            cursor.itersize = _BATCH
            cursor.execute(ROWS, {"since": since, "until": until, "org": org})
            for row in cursor:
                yield _chain_row(row)

    def segment(self, org: str, after: str, limit: int) -> list[ChainRow]:
        """An org's next rows behind this time."""
        params = {"org": org, "after": after, "limit": limit}
        return [_chain_row(row) for row in self._conn.execute(SEGMENT, params).fetchall()]

    def before(self, since: str, org: str | None) -> list[Head]:
        """The last row of each org before this time."""
        return [Head(*row) for row in self._conn.execute(BEFORE, {"since": since, "org": org}).fetchall()]

    def behind(self, until: str, org: str | None) -> list[ChainRow]:
        """The first row of each org from this time on."""
        return [_chain_row(row) for row in self._conn.execute(BEHIND, {"until": until, "org": org}).fetchall()]

    def checkpoints(self, since: str, until: str, org: str | None = None) -> list[Checkpoint]:
        """Those of rows in this time."""
        rows = self._conn.execute(CHECKPOINTS, {"since": since, "until": until, "org": org}).fetchall()
        return [_checkpoint(row) for row in rows]

    def latest(self, org: str) -> list[Checkpoint]:
        """An org's last few, the newest first."""
        return [_checkpoint(row) for row in self._conn.execute(LATEST, {"org": org}).fetchall()]

    def unsealed(self) -> list[Head]:
        """Heads that their newest checkpoint does not tell of."""
        return [Head(*row) for row in self._conn.execute(UNSEALED).fetchall()]

    def seal(self, checkpoint: Checkpoint) -> None:
        self._conn.execute(SEAL, msgspec.structs.asdict(checkpoint))

    def publish(self, keys: list[PublicKey]) -> None:
        """Shows the public keys to the admin API; nobody's trust comes from there."""
        for key in keys:
            self._conn.execute(PUBLISH, msgspec.structs.asdict(key))

    def unshipped(self, target: str, limit: int) -> list[tuple[int, Checkpoint]]:
        rows = self._conn.execute(UNSHIPPED, {"target": target, "limit": limit}).fetchall()
        return [(row[0], _checkpoint(row[1:])) for row in rows]

    def shipped(self, target: str, through: int) -> None:
        self._conn.execute(SHIPPED, {"target": target, "through": through})

    def not_shipped(self, target: str, error: str) -> None:
        self._conn.execute(NOT_SHIPPED, {"target": target, "error": error[:500]})

    def dropped(self) -> list[Part]:
        """The archived parts whose rows are no longer in the table, oldest first."""
        with self._conn.cursor(row_factory=dict_row) as cursor:
            cursor.execute(DROPPED, {"table": "audit_logs", "since": None, "until": None})
            return [msgspec.convert(row, Part) for row in cursor.fetchall()]

    def archived_keys(self) -> set[str]:
        """The objects that the database knows to be archives, whatever state they are in."""
        return {row[0] for row in self._conn.execute(KNOWN_KEYS).fetchall()}

    def setting(self, key: str) -> str | None:
        """A setting that is a text."""
        with unavailable_on_error():
            row = self._conn.execute(SETTING, {"key": key}).fetchone()
        return None if row is None else row[0]

    def take(self, kinds: list[str]) -> Task | None:
        """The oldest task that waits, or that its process has left behind; it is ours now."""
        with unavailable_on_error():
            row = self._conn.execute(TAKE, {"kinds": kinds}).fetchone()
        return None if row is None else Task(*row)

    def task(self, task_id: str) -> Task | None:
        with unavailable_on_error():
            row = self._conn.execute(TASK, {"id": task_id}).fetchone()
        return None if row is None else Task(*row)

    def result(self, task_id: str) -> dict[str, Any] | None:
        """Of a task that is done."""
        with unavailable_on_error():
            row = self._conn.execute(RESULT, {"id": task_id}).fetchone()
        return None if row is None else row[0]

    def beat(self, task_id: str, progress: dict[str, Any]) -> bool:
        """False when nobody waits for the task any more."""
        with unavailable_on_error():
            return self._conn.execute(BEAT, {"id": task_id, "progress": Jsonb(progress)}).rowcount == 1

    def end(self, task_id: str, state: str, result: dict[str, Any]) -> None:
        with unavailable_on_error():
            self._conn.execute(FINISH, {"id": task_id, "state": state, "result": Jsonb(result)})

    def forget(self) -> None:
        """Tasks that ended three months ago."""
        self._conn.execute(FORGET)


@contextmanager
def unavailable_on_error() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise _away(error) from error


def _away(error: psycopg.Error) -> Unavailable:
    return Unavailable(f"The database does not answer: {error}", code="database_unavailable")


def _chain_row(row: tuple[Any, ...]) -> ChainRow:
    return ChainRow(row[:14], *row[14:])


def _checkpoint(row: tuple[Any, ...]) -> Checkpoint:
    org_id, seq, timestamp, digest, count, signed_at, key_id, signature = row
    return Checkpoint(
        org_id=org_id,
        seq=seq,
        timestamp=timestamp,
        hash=digest,
        count=count,
        signed_at=signed_at,
        key_id=key_id,
        signature=signature,
    )
