"""Rate limits as a client meets them, on real proxies."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from scutum_server.leases.store import PREFIX
from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.servers import Postgres, Valkey, wait_until


@pytest.fixture
def limited(postgres: Postgres, valkey: Valkey, tmp_path: Path, redis_settings: Any) -> Iterator[Proxy]:
    """A proxy of its own on a Valkey in which nobody has to come back."""
    with redis.Redis(port=valkey.port, password=valkey.password) as client:
        client.set(f"{PREFIX}epoch", "test@1000")
    name = postgres.clone()
    with running_proxy(postgres.app(name), valkey.settings(), tmp_path) as running:
        sim = running.rows.provider("sim", "sim", settings={"completion_tokens": 20})
        running.rows.deployment("sim", sim)
        running.rows.deployment("slow", running.rows.provider("slow", "sim", settings={"latency_ms": 800}))
        running.wait_for("sim", "slow")
        yield running
    postgres.drop(name)


def ruled(proxy: Proxy, key: str, *, model: str = "sim") -> None:
    """Waits until the proxy knows the latest rules: each row is followed by a model that comes after it."""
    name = f"after-{time.monotonic_ns()}"
    proxy.rows.alias(name, model)
    proxy.wait_for(name)


def seconds_left() -> float:
    return 60 - time.time() % 60


def wait_for_room(seconds: float) -> None:
    """A test that counts within one minute must not begin at its end."""
    if seconds_left() < seconds:
        time.sleep(seconds_left() + 0.05)


def ask_many(proxy: Proxy, count: int, key: str, model: str = "sim", **fields: Any) -> list[tuple[int, dict, bytes]]:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda _: proxy.chat(model, key=key, **fields), range(count)))


def leave(proxy: Proxy, key: str, *, stream: bool, times: int) -> None:
    """Sends requests and hangs up once all of them are running."""
    body = json.dumps({"model": "slow", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
    connections = [http.client.HTTPConnection("127.0.0.1", proxy.port) for _ in range(times)]
    for connection in connections:
        connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {key}"})
    wait_until(lambda: in_flight(proxy) >= times, what="the requests to run")
    for connection in connections:
        connection.close()


def in_flight(proxy: Proxy) -> int:
    """Apart from the request that asks."""
    _, _, text = proxy.request("GET", "/metrics", key=proxy.master_key)
    return next(int(line.split()[1]) - 1 for line in text.decode().splitlines() if line.startswith("scutum_requests_in_flight"))


def test_requests_a_minute(limited: Proxy) -> None:
    key = limited.rows.key()
    limited.rows.limit(rpm=30)
    ruled(limited, key)
    wait_for_room(10)
    answers = ask_many(limited, 50, key)
    assert sorted(status for status, _, _ in answers) == [200] * 30 + [429] * 20
    _, headers, body = next(answer for answer in answers if answer[0] == 429)
    error = json.loads(body)["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert "30 requests a minute" in error["message"]
    assert 1 <= int(headers["retry-after"]) <= 60
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("30", "0")
    passed = [headers for status, headers, _ in answers if status == 200]
    assert all(0 <= int(each["x-ratelimit-remaining-requests"]) < 30 for each in passed)


def test_the_narrowest_of_several_limits_holds_and_the_others_are_untouched(limited: Proxy) -> None:
    rows = limited.rows
    one, other = rows.key("one"), rows.key("other")
    with rows.transaction() as conn:
        (key_id,) = conn.execute("SELECT id FROM api_keys WHERE name = 'one'").fetchone()
    rows.limit("key", key_id=key_id, rpm=3)
    rows.limit("team", team_id="team_default", rpm=100)
    rows.limit("team+model", team_id="team_default", model="slow", rpm=1)
    ruled(limited, one)
    wait_for_room(10)
    assert [limited.chat("sim", key=one)[0] for _ in range(4)] == [200, 200, 200, 429]
    assert [limited.chat("sim", key=other)[0] for _ in range(4)] == [200] * 4
    assert [limited.chat("slow", key=other)[0] for _ in range(2)] == [200, 429]


def test_concurrent_requests_end_and_make_room_also_when_the_client_hangs_up(limited: Proxy) -> None:
    key = limited.rows.key()
    limited.rows.limit("model", model="slow", concurrency=3)
    ruled(limited, key)
    answers = ask_many(limited, 6, key, "slow")
    assert sorted(status for status, _, _ in answers) == [200] * 3 + [429] * 3
    refused = next(headers for status, headers, _ in answers if status == 429)
    assert refused["retry-after"] == "1"
    for stream in (False, True):
        leave(limited, key, stream=stream, times=3)
        wait_until(lambda stream=stream: limited.chat("slow", key=key, stream=stream)[0] == 200, what="room")
    assert [status for status, _, _ in ask_many(limited, 3, key, "slow")] == [200] * 3


def test_tokens_a_minute_are_settled_with_what_was_reported(limited: Proxy) -> None:
    key = limited.rows.key()
    limited.rows.limit("model", model="sim", tpm=1000)
    ruled(limited, key)
    wait_for_room(15)
    used = 0
    for stream in (False, True) * 40:
        status, headers, _ = limited.chat("sim", key=key, stream=stream, max_tokens=100)
        if status != 200:
            break
        record = limited.record(headers["x-request-id"])
        used += record["tokens_in"] + record["tokens_out"]
    assert status == 429
    assert headers["x-ratelimit-limit-tokens"] == "1000"
    assert [path.stem for path in (limited.spill / "leases").iterdir()] == [record["worker"]], "who leases is who records"
    assert used <= 1000
    assert used + 100 + 200 > 1000, "what was reserved and not used was free again"


def test_a_limit_that_is_raised_holds_within_a_second(limited: Proxy) -> None:
    key = limited.rows.key()
    limit = limited.rows.limit(rpm=1)
    ruled(limited, key)
    wait_for_room(10)
    assert [limited.chat("sim", key=key)[0] for _ in range(2)] == [200, 429]
    with limited.rows.transaction() as conn:
        conn.execute("UPDATE limits SET rpm = 3 WHERE id = %s", (limit,))
        conn.execute("SELECT config_changed('limit', %s)", (limit,))
    ruled(limited, key)
    assert [limited.chat("sim", key=key)[0] for _ in range(3)] == [200, 200, 429]
    with limited.rows.transaction() as conn:
        conn.execute("DELETE FROM limits WHERE id = %s", (limit,))
        conn.execute("SELECT config_changed('limit', %s)", (limit,))
    ruled(limited, key)
    status, headers, _ = limited.chat("sim", key=key)
    assert status == 200 and "x-ratelimit-limit-requests" not in headers


def test_without_valkey_each_limit_does_as_it_is_told(limited: Proxy, valkey: Valkey) -> None:
    key = limited.rows.key()
    limited.rows.limit("model", model="sim", rpm=100_000, on_failure="open")
    limited.rows.limit("model", model="slow", rpm=100_000, on_failure="closed")
    ruled(limited, key)
    assert (limited.chat("sim", key=key)[0], limited.chat("slow", key=key)[0]) == (200, 200)
    valkey.kill()
    wait_until(lambda: limited.chat("slow", key=key)[0] == 503, what="the closed limit to hold")
    _, headers, body = limited.chat("slow", key=key)
    error = json.loads(body)["error"]
    assert error["code"] == "limits_unavailable" and headers["retry-after"] == "1"
    assert re.match(r"The (limit|budget) \S.* cannot be checked at the moment: try again\.$", error["message"]), error
    assert limited.chat("sim", key=key)[0] == 200
    valkey.start()
    wait_until(lambda: limited.chat("slow", key=key)[0] == 200, what="the closed limit to let pass again")


def test_two_proxies_together_admit_one_limit(limited: Proxy, valkey: Valkey, tmp_path: Path) -> None:
    key = limited.rows.key()
    limited.rows.limit(rpm=400)
    ruled(limited, key)
    database = limited.rows._database
    (tmp_path / "second").mkdir()
    with running_proxy(database, valkey.settings(), tmp_path / "second", seed=False) as second:
        second.wait_for("sim")
        wait_for_room(25)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda proxy: ask_many(proxy, 300, key), (limited, second)))
    statuses = [status for answers in found for status, _, _ in answers]
    assert (statuses.count(200), statuses.count(429)) == (400, 200)
