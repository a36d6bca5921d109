"""GET /health: public, minimal, and cheap to ask for often."""

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response

from scutum_server import __version__
from scutum_server.admin import store
from scutum_server.admin.runtime import Runtime
from scutum_server.admin.schemas import Health
from scutum_server.errors import Unavailable
from scutum_server.infra.db import transaction

router = APIRouter(tags=["health"])
FRESH_S = 0.5
"""Answers younger than this are given again: anybody may ask."""
_PATIENCE_S = 2.0


class Monitor:
    """Looks at the parts that the control plane needs, at most every FRESH_S seconds."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = asyncio.Lock()
        self._at = float("-inf")
        self._last: tuple[int, dict[str, Any]] = (503, {})

    async def look(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and body: 503 when the control plane cannot serve, 200 otherwise, degraded or not."""
        async with self._lock:
            if time.monotonic() - self._at >= FRESH_S:
                self._last = await self._fresh()
                self._at = time.monotonic()
            return self._last

    async def _fresh(self) -> tuple[int, dict[str, Any]]:
        (current, own), others = await asyncio.gather(self._database(), self._runtime.vitals.checks())
        checks = {"database": own.pop("database")} | others | own
        serving = checks["database"] == "ok" and self._runtime.unready is None
        well: Literal["ok", "degraded"] = "ok" if serving and set(checks.values()) == {"ok"} else "degraded"
        return 200 if serving else 503, {
            "status": well,
            "version": __version__,
            "schema": {"current": current, "expected": self._runtime.expected_schema},
            "checks": checks,
        }

    async def _database(self) -> tuple[str | None, dict[str, str]]:
        """The schema that it has, its own state, and that of what is kept in it."""
        unknown = dict.fromkeys(("spend_rejects", "jobs", "partitions", "archives", "audit"), "unknown")
        try:
            async with asyncio.timeout(_PATIENCE_S), transaction(self._runtime.pool) as conn:
                current = await store.schema(conn)
                if self._runtime.unready is not None:
                    return current, {"database": self._runtime.unready.code} | unknown
                count = await store.spend_rejects(conn)
                rejects = f"{count} in 24 h" if count else "ok"
                return current, {"database": "ok", "spend_rejects": rejects} | await store.upkeep(conn)
        except (Unavailable, TimeoutError):
            return None, {"database": "unavailable"} | unknown


async def _monitor(request: Request) -> Monitor:
    monitor: Monitor = request.app.state.monitor
    return monitor


@router.get("/health", response_model=Health, responses={503: {"model": Health, "description": "Not serving."}})
async def get_health(monitor: Annotated[Monitor, Depends(_monitor)], response: Response) -> dict[str, Any]:
    """Whether the control plane serves, and how the parts that it needs are. Needs no session."""
    response.status_code, body = await monitor.look()
    return body
