"""A budget's new period begins at midnight in the org's time zone: here a zone whose midnight is a few seconds away."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from pathlib import Path

import redis

from scutum_server.leases.store import PREFIX
from scutum_server.settings import RedisSettings
from tests.fixtures.gateway import running_proxy
from tests.fixtures.servers import Postgres, wait_until
from tests.fixtures.upstream import Upstream
from tests.integration.proxy.test_budgets import COST, PRICE

AWAY = 5


def zone_with_midnight_in(seconds: int, directory: Path) -> float:
    """Writes the zone Test/Soon, west of Greenwich by some odd number of seconds; returns when its midnight is."""
    midnight = int(time.time()) + seconds
    offset = -(midnight % 86_400)
    (directory / "Test").mkdir(parents=True)
    head = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    (directory / "Test" / "Soon").write_bytes(head + struct.pack(">lbb", offset, 0, 0) + b"TST\0")
    return midnight


async def test_at_midnight_there_is_money_again(
    postgres: Postgres, redis_settings: RedisSettings, tmp_path: Path, upstream: Upstream
) -> None:
    with redis.Redis(port=redis_settings.port, password=redis_settings.password) as client:
        client.set(f"{PREFIX}epoch", "test@1000")
    name = postgres.clone()

    def day() -> None:
        environment = {"PYTHONTZPATH": str(tmp_path / "zones")}
        with running_proxy(postgres.app(name), redis_settings, tmp_path, environment=environment) as proxy:
            key = proxy.rows.key()
            with proxy.rows.transaction() as conn:
                conn.execute("UPDATE orgs SET time_zone = 'Test/Soon'")
            provider = proxy.rows.provider("local", "openai", upstream.base_url, api_key="sk-up")
            proxy.rows.deployment("priced", provider, settings={"price": PRICE})
            midnight = zone_with_midnight_in(AWAY, tmp_path / "zones")
            proxy.rows.budget("org", org_id="org_default", period="day", amount_nano_usd=600_000)
            proxy.rows.alias("last", "priced")
            proxy.wait_for("last")
            statuses = [proxy.chat("priced", key=key, max_tokens=16) for _ in range(8)]
            served = [status for status, _, _ in statuses].count(200)
            _, headers, body = statuses[-1]
            assert time.time() < midnight, "the machine was too slow for the zone"
            assert (0 < served < 8, json.loads(body)["error"]["code"]) == (True, "budget_exceeded")
            assert int(headers["retry-after"]) <= midnight - time.time() + 2
            wait_until(lambda: proxy.chat("priced", key=key, max_tokens=16)[0] == 200, what="the next day")
            assert time.time() >= midnight
            assert served * COST <= 600_000

    await asyncio.to_thread(day)
    postgres.drop(name)
