"""What was spent of a budget: the spend log, and the stream's records that are not there yet."""

from __future__ import annotations

import datetime as dt

import msgspec
import psycopg

from scutum_server.infra.ids import uuid7
from scutum_server.infra.redis import make_redis
from scutum_server.leases.models import Meter
from scutum_server.proxy.limits.spending import Spending
from scutum_server.settings import DatabaseSettings, RedisSettings
from scutum_server.usage.models import STREAM, UsageRecord
from scutum_server.usage.store import PAGE, UsageStream


def line(request_id: str, cost: int, key: str = "key_1") -> bytes:
    return msgspec.json.encode(UsageRecord(request_id=request_id, status=200, key_id=key, cost_nano_usd=cost)) + b"\n"


async def test_log_and_stream_together_count_each_request_once(
    database: DatabaseSettings, redis_settings: RedisSettings
) -> None:
    redis = make_redis(redis_settings, name="test")
    ids = [str(uuid7()) for _ in range(3 * PAGE)]
    for number, request_id in enumerate(ids):
        lines = line(request_id, 100) + line(str(uuid7()), 0) + line(str(uuid7()), 7, "key_2")
        # A journal sends again what a crash of Redis may have taken.
        await redis.xadd(STREAM, {"b": lines + (line(ids[number - 1], 100) if number else b"") + b"no record\n"})
    with psycopg.connect(**database.conninfo()) as conn:
        conn.execute("INSERT INTO orgs (id, name) VALUES ('org_1', 'o')")
        conn.execute("INSERT INTO teams (id, org_id, name) VALUES ('team_1', 'org_1', 't')")
        conn.execute("INSERT INTO api_keys (id, team_id, name, hash, hint) VALUES ('key_1', 'team_1', 'k', sha256('k'), 'hint')")
        conn.execute(
            "INSERT INTO budgets (id, scope, key_id, period, amount_nano_usd, soft_percent, output_tokens, on_failure) "
            "VALUES ('budget_1', 'key', 'key_1', 'month', 1, 80, 16, 'closed')"
        )
        stored = dt.datetime.fromtimestamp(int(ids[0].replace("-", "")[:12], 16) / 1000, dt.UTC)
        conn.execute(
            "INSERT INTO spend_logs (ts, request_id, key_id, status, cost_nano_usd) VALUES (%s, %s, 'key_1', 200, 100)",
            (stored, ids[0]),
        )
        since = (stored - dt.timedelta(milliseconds=1)).timestamp() * 1000
    meter = Meter(id="budget_1.month", unit="money", period="month", capacity=1)
    spent = await Spending(database, UsageStream(redis)).since(meter, int(since))
    await redis.delete(STREAM)  # what comes after reads the stream as records
    await redis.aclose()
    assert spent == 100 * len(ids)
