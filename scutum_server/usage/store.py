"""The usage stream in Redis, and the tables spend_logs, spend_rollups and spend_rejects."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, cast

import psycopg
from msgspec.structs import astuple
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from scutum_server.errors import ScutumError, Unavailable
from scutum_server.infra.db import Connection, connect
from scutum_server.settings import DatabaseSettings
from scutum_server.usage.models import GROUP, STREAM, TELEMETRY, UsageRecord

log = logging.getLogger(__name__)

FENCE = "scutum:usage:fence"
"""Written before each wait, since WAITAOF waits for the last write of its own connection."""
BATCHES = "scutum:batches"
"""A sorted set: batches at providers that are not over, by the second of the epoch when to look next."""
AOF_WAIT_MS = 2_000
PAGE = 10
"""Entries that are read at once of a stream that may be long, each of at most 500 records."""
WRITE_SECONDS = 60.0
POISON = ("22", "23", "54")
"""Classes of SQLSTATE that blame the data: bad value, constraint, limit. All others pass with time."""

Entry = tuple[str, bytes | None]
"""An entry's id and its newline-separated records; None when it was deleted meanwhile."""
Reject = tuple[str, bytes]
"""Why a record cannot be stored, and the record as it came."""

STAGING = """
CREATE TEMP TABLE IF NOT EXISTS usage_staging (LIKE spend_logs INCLUDING DEFAULTS) ON COMMIT DELETE ROWS
"""
COPY = """
COPY usage_staging (ts, request_id, status, client_request_id, org_id, team_id, key_id, user_id, route, requested_model,
    deployment_id, model, upstream_model, provider, simulated, stream, error_kind, tokens_in, tokens_out, tokens_cached,
    tokens_reasoning, usage_source, cost_nano_usd, price_source, latency_us, ttft_us, overhead_us, cache, session_id,
    attempts, worker) FROM STDIN
"""
# The database's own trigger keeps spend_days and spend_user_days with what is inserted here.
# Both inserts go in key order, so that two workers with the same records wait for each other and do not deadlock.
MERGE = """
WITH inserted AS (
    INSERT INTO spend_logs SELECT * FROM usage_staging ORDER BY ts, request_id
    ON CONFLICT DO NOTHING
    RETURNING ts, org_id, team_id, key_id, model, provider, status, tokens_in, tokens_out, tokens_cached, cost_nano_usd,
        simulated, price_source
), summed AS (
    INSERT INTO spend_rollups AS old (hour, org_id, team_id, key_id, model, provider, requests, errors, tokens_in,
        tokens_out, tokens_cached, cost_nano_usd, simulated, unpriced)
    SELECT date_trunc('hour', ts, 'UTC'), coalesce(org_id, ''), coalesce(team_id, ''), coalesce(key_id, ''),
        coalesce(model, ''), coalesce(provider, ''), count(*), count(*) FILTER (WHERE status >= 400), sum(tokens_in),
        sum(tokens_out), sum(tokens_cached), sum(cost_nano_usd), bool_or(simulated),
        count(*) FILTER (WHERE price_source = 'unknown' AND tokens_in + tokens_out > 0)
    FROM inserted GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (hour, org_id, team_id, key_id, model, provider) DO UPDATE SET
        requests = old.requests + excluded.requests, errors = old.errors + excluded.errors,
        tokens_in = old.tokens_in + excluded.tokens_in, tokens_out = old.tokens_out + excluded.tokens_out,
        tokens_cached = old.tokens_cached + excluded.tokens_cached,
        cost_nano_usd = old.cost_nano_usd + excluded.cost_nano_usd, simulated = old.simulated OR excluded.simulated,
        unpriced = old.unpriced + excluded.unpriced
)
SELECT count(*) AS stored FROM inserted
"""
# A batch that was committed but not acknowledged comes again with its rejects.
REJECT = """
INSERT INTO spend_rejects (reason, record) SELECT %(reason)s, %(record)s
WHERE NOT EXISTS (SELECT 1 FROM spend_rejects WHERE record = %(record)s)
"""
PARTITION = "SELECT ensure_month_partition('spend_logs', %s)"
PARTITIONS = "SELECT ensure_partitions(3)"


class UnstorableError(ScutumError):
    """Some record of the batch does not fit the table."""

    code = "usage_unstorable"


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(
        f"Redis does not take usage records: {error}", code="redis_unavailable", hint="Look at: scutum ps"
    )


class OpenBatches:
    """Batches at providers whose end is still to come, by the time when to look next."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, batch: bytes, due: int) -> None:
        """Raises Unavailable, as all of these."""
        try:
            await self._redis.zadd(BATCHES, {batch: due})
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def take_due(self, now: int, again: int, count: int) -> list[bytes]:
        """Those that are due, put off until `again`. That two processes get the same one does no harm."""
        try:
            found: Any = await self._redis.zrangebyscore(BATCHES, 0, now, start=0, num=count)
            if found:
                await self._redis.zadd(BATCHES, dict.fromkeys(found, again), xx=True)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return list(found)

    async def remove(self, batch: bytes) -> None:
        try:
            await self._redis.zrem(BATCHES, batch)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error


class UsageStream:
    """The producer's side, for the proxy's journal."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._can_wait = True

    async def add(self, lines: bytes) -> None:
        """Newline-ended records as one entry of the stream; raises Unavailable."""
        try:
            await self._redis.xadd(STREAM, {"b": lines})
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def first(self, record_id: str, seconds: int) -> bool:
        """Whether nobody has asked for this record's id within so many seconds; raises Unavailable."""
        try:
            return bool(await self._redis.set(f"{STREAM}:seen:{record_id}", 1, nx=True, ex=seconds))
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def waiting(self) -> AsyncIterator[list[bytes]]:
        """The records that are in the stream now, in pages: those that may not be in Postgres yet.

        Some may come twice, as the journals send them. Raises Unavailable.
        """
        try:
            newest: Any = await self._redis.xrevrange(STREAM, count=1)
            last, after = (newest[0][0] if newest else b""), b"-"
            while last:
                entries: Any = await self._redis.xrange(STREAM, after, last, count=PAGE)
                yield [line for _, lines in _entries(entries) if lines for line in lines.splitlines()]
                if len(entries) < PAGE:
                    return
                after = b"(" + entries[-1][0]
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def oldest(self) -> int | None:
        """When the first entry that is in the stream came, in milliseconds of Redis' clock; raises Unavailable."""
        try:
            entries: Any = await self._redis.xrange(STREAM, count=1)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return int(entries[0][0].partition(b"-")[0]) if entries else None

    async def server(self) -> str:
        """The run id of the server; raises Unavailable."""
        try:
            return _run_id(await self._redis.info("server"))
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def settle(self) -> str:
        """As `server()`, once the append-only file has on disk what was added before.

        With `appendfsync everysec` a reply may come before the write to the file while a sync is running, so that even
        `kill -9` can take acknowledged entries with it. Raises Unavailable also when the wait was too short.
        """
        try:
            # One connection, so that the run id and the wait are of the same server.
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.info("server")
                if self._can_wait:
                    pipe.set(FENCE, 1)
                    pipe.execute_command("WAITAOF", 1, 0, AOF_WAIT_MS)
                answers = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        failed = next((answer for answer in answers[:2] if isinstance(answer, Exception)), None)
        if failed is not None:
            raise _unavailable(failed)
        if self._can_wait:
            self._check_wait(answers[2])
        return _run_id(answers[0])

    def _check_wait(self, answer: Any) -> None:
        if isinstance(answer, ResponseError):
            self._can_wait = False
            log.warning(
                "Redis cannot say when its append-only file is written (%s); a crash of it may lose usage", answer
            )
        elif isinstance(answer, Exception):
            raise _unavailable(answer)
        elif not answer[0]:
            raise Unavailable("Redis did not write its append-only file in time.", code="redis_unavailable")


def _run_id(info: Any) -> str:
    return str(cast("dict[str, Any]", info)["run_id"])


class UsageQueue:
    """The consumer's side: one member of the group that copies the stream into Postgres."""

    def __init__(self, redis: Redis, consumer: str) -> None:
        self._redis = redis
        self._consumer = consumer

    async def create(self) -> None:
        """Makes the group, from the stream's beginning, if it is not there; raises Unavailable."""
        try:
            await self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise _unavailable(error) from error
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def own(self, count: int, after: str) -> list[Entry]:
        """What this consumer was given before and did not acknowledge; raises Unavailable."""
        return await self._read(after, count, None)

    async def new(self, count: int, wait_ms: int) -> list[Entry]:
        """Entries that nobody was given yet, waiting for the first one; raises Unavailable."""
        return await self._read(">", count, wait_ms)

    async def _read(self, after: str, count: int, wait_ms: int | None) -> list[Entry]:
        try:
            answer = await self._redis.xreadgroup(GROUP, self._consumer, {STREAM: after}, count=count, block=wait_ms)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return _entries(cast("list[Any]", answer)[0][1]) if answer else []

    async def claim(self, count: int, idle_ms: int) -> list[Entry]:
        """Takes over what another consumer was given that long ago and left; raises Unavailable."""
        try:
            answer = await self._redis.xautoclaim(STREAM, GROUP, self._consumer, idle_ms, count=count)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return _entries(answer[1])

    async def done(self, ids: Sequence[str]) -> None:
        """Acknowledges and deletes entries that Postgres holds; raises Unavailable."""
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.xack(STREAM, GROUP, *ids)
                pipe.xdel(STREAM, *ids)
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error


def _entries(raw: Iterable[tuple[bytes, dict[bytes, bytes] | None]]) -> list[Entry]:
    # What has no field `b` is not ours: as text it ends among the rejects.
    return [(key.decode(), fields.get(b"b", repr(fields).encode()) if fields else None) for key, fields in raw]


class SpendStore:
    """The worker's own connection to Postgres, opened again when it broke."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._conn: Connection | None = None

    async def _connection(self) -> Connection:
        if self._conn is None or self._conn.closed:
            self._conn = await connect(self._settings, name="worker")
            await self._conn.execute(STAGING)
        return self._conn

    async def close(self) -> None:
        if self._conn is not None:
            await self._conn.close()
            self._conn = None

    async def write(self, rows: Sequence[tuple[dt.datetime, UsageRecord]], rejects: Sequence[Reject]) -> int:
        """Stores new rows, adds them to the rollups and keeps the rejects, in one transaction; how many were new.

        Raises UnstorableError when some row does not fit, and Unavailable when it is worth another try.
        """
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                return await self._write(await self._connection(), rows, rejects)
        except (psycopg.Error, OSError, TimeoutError) as error:
            if isinstance(error, psycopg.Error) and _blames_data(error):
                raise UnstorableError(str(error).splitlines()[0]) from error
            await self.close()
            raise Unavailable(f"The database does not take usage records: {error}") from error

    async def _write(
        self, conn: Connection, rows: Sequence[tuple[dt.datetime, UsageRecord]], rejects: Sequence[Reject]
    ) -> int:
        stored = 0
        async with conn.transaction():
            if rows:
                async with conn.cursor() as cursor, cursor.copy(COPY) as copy:
                    for ts, record in rows:
                        await copy.write_row((ts, *astuple(record)[: -len(TELEMETRY)]))
                found = await (await conn.execute(MERGE)).fetchone()
                stored = found["stored"] if found else 0
            for reason, record_bytes in rejects:
                await conn.execute(REJECT, {"reason": reason, "record": record_bytes})
        return stored

    async def ensure_partition(self, moment: dt.datetime) -> None:
        """The month of that moment; raises Unavailable."""
        await self._run(PARTITION, (moment,))

    async def ensure_partitions(self) -> None:
        """Last month's to three months ahead; raises Unavailable."""
        await self._run(PARTITIONS, ())

    async def _run(self, statement: Any, params: tuple[object, ...]) -> None:
        try:
            await (await self._connection()).execute(statement, params)
        except (psycopg.Error, OSError) as error:
            await self.close()
            raise Unavailable(f"The database does not answer: {error}") from error


def _blames_data(error: psycopg.Error) -> bool:
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)
    return error.sqlstate.startswith(POISON)
