"""Redis or Valkey: how every process connects."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from scutum_server.settings import RedisSettings


def make_redis(settings: RedisSettings, *, name: str, timeout: float = 5.0) -> Redis:
    """A client that fails within `timeout` seconds and leaves retrying to its caller."""
    tls: dict[str, Any] = {"ssl": True, **dict(settings.options)} if settings.tls else {}
    return Redis(
        host=settings.host,
        port=settings.port,
        db=settings.db,
        username=settings.user,
        password=settings.password or None,
        client_name=f"scutum-{name}",
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=15,
        **tls,
    )
