"""Circuit breakers of two proxy processes on one Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from scutum_server.routing.models import STATES
from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.servers import Postgres, Valkey, running_valkey, wait_until
from tests.fixtures.upstream import COMPLETION, STREAM_HEAD, Upstream, answer, chunk, event
from tests.integration.proxy.scripted import ask, error, provide, send_raw

DOWN = answer({"error": {"message": "down"}}, 500)
QUICK = {"failures": 3, "window_ms": 60_000, "cooldown_ms": 1000}
PATIENT = QUICK | {"cooldown_ms": 600_000}


@pytest.fixture(scope="module")
def two(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Proxy, Valkey]]:
    """Two workers with one configuration, and a Valkey of their own, which may be killed."""
    name = postgres.clone()
    first, second = (tmp_path_factory.mktemp(each) for each in ("one", "two"))
    with (
        running_valkey() as valkey,
        running_proxy(postgres.app(name), valkey.settings(), first) as one,
        running_proxy(postgres.app(name), valkey.settings(), second, seed=False, beside=one) as other,
    ):
        yield one, other, valkey
        for proxy in (one, other):
            assert proxy.process.poll() is None, proxy.log.read_text()
    postgres.drop(name)


async def shut(proxy: Proxy, other: Proxy, upstream: Upstream, breaker: dict[str, int]) -> str:
    """A model whose breaker `proxy` has just opened."""
    upstream.says(DOWN)
    model = await provide(proxy, upstream.base_url, breaker=breaker)
    await asyncio.to_thread(other.wait_for, model)
    for _ in range(2):
        await ask(proxy, model)
    return model


def says_open(proxy: Proxy, model: str) -> bool:
    status, headers, body = proxy.chat(model)
    return (status, headers["x-scutum-attempts"]) == (503, f"p-{model}/{model}:open")


async def test_an_opened_breaker_holds_in_both_processes(two: tuple[Proxy, Proxy, Valkey], upstream: Upstream) -> None:
    one, other, _ = two
    model = await shut(one, other, upstream, PATIENT)
    assert len(upstream.requests) == 3, "two requests of two attempts each; the third failure opens"
    status, headers, body = await ask(one, model)
    assert (status, error(body)["code"]) == (503, "circuit_open")
    assert 590 <= int(headers["retry-after"]) <= 600
    await asyncio.to_thread(wait_until, lambda: says_open(other, model), what="the other process to hear of it")
    seen = len(upstream.requests)
    for proxy in (one, other):
        assert (await ask(proxy, model))[0] == 503
    assert len(upstream.requests) == seen


async def test_the_fleet_sends_one_probe_and_closes_together(
    two: tuple[Proxy, Proxy, Valkey], upstream: Upstream
) -> None:
    one, other, _ = two
    model = await shut(one, other, upstream, QUICK)
    await asyncio.to_thread(wait_until, lambda: says_open(other, model), what="the other process to hear of it")
    before, release = len(upstream.requests), asyncio.Event()

    async def handler(_: object, __: object, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(answer(COMPLETION))

    upstream.handler = handler
    await asyncio.sleep(1.1)  # the cooldown itself
    asked = [asyncio.create_task(ask(proxy, model)) for proxy in (one, other) * 2]
    done, waiting = await asyncio.wait(asked, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 3:
        more, waiting = await asyncio.wait(waiting, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert more, "more than one request is at the upstream"
        done |= more
    assert [task.result()[0] for task in done] == [503] * 3
    await asyncio.to_thread(wait_until, lambda: len(upstream.requests) > before, what="the probe")
    release.set()
    (probe,) = waiting
    assert (await probe)[0] == 200
    assert len(upstream.requests) - before == 1
    for proxy in (one, other):
        await asyncio.to_thread(wait_until, lambda proxy=proxy: proxy.chat(model)[0] == 200, what="a closed breaker")


async def test_a_stream_that_begins_is_proof_enough(two: tuple[Proxy, Proxy, Valkey], upstream: Upstream) -> None:
    one, other, _ = two
    model = await shut(one, other, upstream, QUICK)
    await asyncio.sleep(1.1)
    upstream.hangs(STREAM_HEAD, chunk(event("Hello")))
    reader, writer = await send_raw(one, model, stream=True)
    await asyncio.wait_for(reader.readuntil(b"Hello"), 5)
    upstream.says(answer(COMPLETION))
    assert (await ask(one, model))[0] == 200
    writer.close()


async def test_a_failed_probe_opens_again_for_longer(two: tuple[Proxy, Proxy, Valkey], upstream: Upstream) -> None:
    one, other, _ = two
    model = await shut(one, other, upstream, QUICK)
    before = len(upstream.requests)
    await asyncio.sleep(1.1)
    status, headers, _ = await ask(one, model)
    assert status == 500
    assert len(upstream.requests) - before == 1
    _, headers, _ = await ask(one, model)
    assert headers["retry-after"] == "2"


async def test_a_changed_provider_gets_a_new_chance_at_once(
    two: tuple[Proxy, Proxy, Valkey], upstream: Upstream
) -> None:
    one, other, valkey = two
    model = await shut(one, other, upstream, PATIENT)
    upstream.says(answer(COMPLETION))
    with one.rows.transaction() as conn:
        row = conn.execute("UPDATE providers SET settings = '{}' WHERE name = %s RETURNING id", (f"p-{model}",))
        conn.execute("SELECT config_changed('provider', %s)", row.fetchone())
    for proxy in (one, other):
        await asyncio.to_thread(wait_until, lambda proxy=proxy: proxy.chat(model)[0] == 200, what="a closed breaker")
    with redis.Redis(port=valkey.port, password=valkey.password) as client:
        (deployment,) = [name for (name,) in _deployments(one, model)]
        await asyncio.to_thread(
            wait_until, lambda: not client.hexists(STATES, deployment), what="the shared state to go"
        )


def _deployments(proxy: Proxy, model: str) -> list[tuple[str]]:
    with proxy.rows.transaction() as conn:
        return conn.execute("SELECT id FROM deployments WHERE name = %s", (model,)).fetchall()


async def test_a_worker_that_starts_knows_what_is_open(
    two: tuple[Proxy, Proxy, Valkey], upstream: Upstream, postgres: Postgres, tmp_path: Path
) -> None:
    one, other, valkey = two
    model = await shut(one, other, upstream, PATIENT)
    await asyncio.to_thread(wait_until, lambda: says_open(other, model), what="the opening to be told")
    with one.rows.transaction() as conn:
        name = conn.info.dbname
    with running_proxy(postgres.app(name), valkey.settings(), tmp_path, seed=False, beside=one) as third:
        await asyncio.to_thread(third.wait_for, model)
        await asyncio.to_thread(wait_until, lambda: says_open(third, model), what="the new worker to know")
        assert "circuit breaker opened" not in third.log.read_text(), "it found out for itself"


async def test_without_redis_each_process_decides_for_itself(
    two: tuple[Proxy, Proxy, Valkey], upstream: Upstream
) -> None:
    one, other, valkey = two
    valkey.kill()
    model = await shut(one, other, upstream, QUICK)
    assert (await ask(one, model))[0] == 503
    assert (await ask(other, model))[0] == 500, "the other process has not heard"
    upstream.says(answer(COMPLETION))
    await asyncio.sleep(1.1)
    assert (await ask(one, model))[0] == 200
    valkey.start()
