"""Two hosts with real proxy workers on one Valkey, and clients that want too much. The long form: tests/long/limits.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scutum_server.settings import RedisSettings
from tests.fixtures.fleet import Fleet, running_fleet
from tests.fixtures.limit_loads import LOADS, run
from tests.fixtures.servers import Postgres, Valkey

BY_NAME = {load.name: load for load in LOADS}


@pytest.fixture
def fleet(postgres: Postgres, valkey: Valkey, redis_settings: RedisSettings, tmp_path: Path) -> Iterator[Fleet]:
    with running_fleet(postgres, valkey, tmp_path, workers=2) as running:
        yield running


async def test_limits_hold_are_reached_and_refuse_nobody_too_early(fleet: Fleet) -> None:
    found = await run(fleet, [BY_NAME[name] for name in ("rpm-1000", "tpm", "budget")], 4, clients=20)
    for verdict in found:
        assert verdict.taken <= verdict.capacity, verdict
        assert verdict.wrong == 0, verdict
        assert verdict.calls <= 0.1, verdict
        assert not verdict.refused or verdict.reached >= 0.95, verdict
    assert found[0].refused, "more was offered than allowed"
    (slots,) = await run(fleet, [BY_NAME["concurrency"]], 2, clients=32)
    assert (slots.taken, slots.wrong) == (slots.capacity, 0)
