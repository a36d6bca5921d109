"""Several real processes on one real Valkey: exact, full, cheap, and nothing lost when one of them is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import redis

from scutum_server.leases.models import Meter
from scutum_server.leases.store import PREFIX
from scutum_server.settings import RedisSettings
from tests.fixtures.servers import wait_until

WORKERS = 4
MONTH = Meter(id="budget_1.month", unit="requests", period="month", capacity=2000)


def start(settings: RedisSettings, directory: Path, meter: Meter, *, clients: int = 16, seconds: float = 4, need: int = 1,
          hold_ms: int = 0) -> subprocess.Popen[str]:  # fmt: skip
    words = [settings.port, settings.password, directory, msgspec.json.encode(meter).decode(), clients, seconds, need, hold_ms]
    command = [sys.executable, "-m", "tests.fixtures.lease_worker", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def figures(process: subprocess.Popen[str]) -> dict:
    out, _ = process.communicate(timeout=60)
    return json.loads(out)


def skip_the_grace(settings: RedisSettings) -> None:
    """An epoch that began long ago: nobody waits for holders that may come back."""
    with redis.Redis(port=settings.port, password=settings.password) as client:
        client.set(f"{PREFIX}epoch", "test@1000")


def test_several_workers_admit_the_limit_and_not_one_more(redis_settings: RedisSettings, tmp_path: Path) -> None:
    skip_the_grace(redis_settings)
    workers = [start(redis_settings, tmp_path, MONTH, seconds=3) for _ in range(WORKERS)]
    found = [figures(worker) for worker in workers]
    assert sum(sum(each["admitted"].values()) for each in found) == MONTH.capacity
    assert all(each["refused"] for each in found), "more was offered than allowed"
    trips, offered = sum(each["round_trips"] for each in found), sum(each["offered"] for each in found)
    assert trips <= 0.1 * offered


def test_large_needs_are_not_stranded_in_several_hands(redis_settings: RedisSettings, tmp_path: Path) -> None:
    skip_the_grace(redis_settings)
    meter = msgspec.structs.replace(MONTH, unit="tokens", capacity=10_000)
    workers = [start(redis_settings, tmp_path, meter, seconds=3, need=700) for _ in range(WORKERS)]
    admitted = sum(sum(figures(worker)["admitted"].values()) for worker in workers)
    assert admitted == 700 * (10_000 // 700)


def test_slots_are_never_exceeded_and_all_used(redis_settings: RedisSettings, tmp_path: Path) -> None:
    skip_the_grace(redis_settings)
    meter = Meter(id="limit_1.concurrency", unit="slots", period=None, capacity=10)
    workers = [start(redis_settings, tmp_path, meter, seconds=3, hold_ms=100) for _ in range(WORKERS)]
    found = [figures(worker) for worker in workers]
    assert max(each["peak"] for each in found) == 10
    with redis.Redis(port=redis_settings.port, password=redis_settings.password) as client:
        left = client.hgetall(f"{PREFIX}{meter.id}:0")
        assert [value for field, value in left.items() if field[:1] not in b"!~"] == [], "all slots are back"


def test_a_killed_worker_s_units_come_back(redis_settings: RedisSettings, tmp_path: Path) -> None:
    skip_the_grace(redis_settings)
    victim = start(redis_settings, tmp_path, MONTH, clients=4, seconds=60, hold_ms=2)
    key = f"{PREFIX}{MONTH.id}:"
    with redis.Redis(port=redis_settings.port, password=redis_settings.password) as client:
        found = lambda: next(client.scan_iter(f"{key}*"), None)  # noqa: E731
        wait_until(lambda: found() and sum(map(int, client.hvals(found()))) > 1000, what="a second lease")
        victim.kill()
        victim.communicate(timeout=10)
        (ledger,) = tmp_path.iterdir()
        successor = start(redis_settings, tmp_path, MONTH, clients=8, seconds=3)
        wait_until(lambda: not ledger.exists(), what="the successor to take over")
        (name,) = client.scan_iter(f"{key}*")
        spent = int(client.hget(name, ledger.stem))
    admitted = sum(figures(successor)["admitted"].values())
    assert 500 < spent < MONTH.capacity
    assert admitted == MONTH.capacity - spent, "what the victim had not spent is spent now"


def test_a_dead_worker_s_slots_are_free_at_once(redis_settings: RedisSettings, tmp_path: Path) -> None:
    skip_the_grace(redis_settings)
    meter = Meter(id="limit_1.concurrency", unit="slots", period=None, capacity=4)
    victim = start(redis_settings, tmp_path, meter, clients=4, seconds=60, hold_ms=60_000)
    with redis.Redis(port=redis_settings.port, password=redis_settings.password) as client:
        wait_until(lambda: int(client.get("live") or 0) == 4, what="all slots to be taken")
        victim.kill()
        victim.communicate(timeout=10)
        client.set("live", 0)
    began = time.monotonic()
    found = figures(start(redis_settings, tmp_path, meter, clients=8, seconds=3, hold_ms=50))
    assert found["peak"] == 4
    assert time.monotonic() - began < 30
