"""The spend log agrees with the provider's own books, row by row, whatever dies meanwhile."""

from __future__ import annotations

from pathlib import Path

from scutum_server.settings import DatabaseSettings, RedisSettings
from tests.fixtures import reconciliation
from tests.fixtures.servers import Postgres, Valkey


async def test_the_spend_log_equals_the_provider_s_books(
    postgres: Postgres, valkey: Valkey, database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    books = await reconciliation.run(postgres, valkey, database, tmp_path, count=600, rounds=1)
    kinds = reconciliation.check(books)
    assert kinds["finished"] > 400, kinds
    assert kinds["refused"] > 20, kinds
    assert kinds["left"] > 30, kinds
