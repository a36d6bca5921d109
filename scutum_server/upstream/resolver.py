"""Names of providers, looked up at most twice a minute, and kept for a while when nobody answers for them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

TTL_S: Final = 30.0
KEPT_S: Final = 600.0
"""How long the last known addresses serve while the name server does not."""


async def look_up(host: str) -> list[str]:
    """All addresses of a name, in the system's order; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver:
    """Belongs to one event loop. Callers that ask for one name at once share one look-up."""

    def __init__(
        self, look_up: Callable[[str], Awaitable[list[str]]] = look_up, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._asking: dict[str, asyncio.Task[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """At least one address; raises OSError when the name has none."""
        at, known = self._known.get(host, (0.0, []))
        if known and self._clock() - at < TTL_S:
            return known
        if _is_literal(host):
            return [host]
        task = self._asking.get(host)
        if task is None:
            task = self._asking[host] = asyncio.create_task(self._ask(host))
            task.add_done_callback(lambda done: self._asked(host, done))
        try:
            # Shielded: the first caller may give up while others wait.
            return await asyncio.shield(task)
        except OSError:
            if known and self._clock() - at < KEPT_S:
                return known
            raise

    async def _ask(self, host: str) -> list[str]:
        found = await self._look_up(host)
        if not found:
            raise OSError(socket.EAI_NONAME, "Name or service not known")
        self._known[host] = (self._clock(), found)
        return found

    def _asked(self, host: str, task: asyncio.Task[list[str]]) -> None:
        self._asking.pop(host, None)
        if not task.cancelled():
            task.exception()  # seen, though everybody who waited may have gone

    def forget(self, host: str) -> None:
        """Asks anew the next time: nobody could be reached at the known addresses."""
        self._known.pop(host, None)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
