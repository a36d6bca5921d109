"""Who a request comes from, and how often an address has shown keys that are none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from math import ceil
from typing import Any, Final

from scutum_server.errors import ScutumError
from scutum_server.proxy.config.snapshot import Network

Address = IPv4Address | IPv6Address

WINDOW_S: Final = 60.0
MAX_ADDRESSES: Final = 10_000
MAX_HOPS: Final = 32


class TooManyFailuresError(ScutumError):
    """An address that shows one invalid key after the other."""

    code = "too_many_failed_attempts"
    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many requests with an invalid API key came from this address: wait {retry_after} s.")
        self.retry_after = retry_after


class TrustedProxies:
    """Reads `X-Forwarded-For` as far as it was written by proxies that the operator named."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: tuple[Network, ...] = tuple(ip_network(network, strict=False) for network in networks)

    def client(self, scope: Any) -> Address | None:
        """The nearest address that is no trusted proxy, from the socket outwards; None when the socket has none."""
        peer = scope["client"]
        address = _parsed(peer[0]) if peer else None
        if address is None or not self._trusts(address):
            return address
        lists = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        hops = b",".join(lists).decode("latin-1").split(",")
        for hop in reversed(hops[-MAX_HOPS:]):
            claimed = _parsed(_without_port(hop.strip()))
            if claimed is None:
                break
            address = claimed
            if not self._trusts(address):
                break
        return address

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _without_port(text: str) -> str:
    """Some proxies write 192.0.2.1:4711 or [2001:db8::1]:4711."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


class Throttle:
    """Counts failed authentications per address and minute; of IPv6 per /64, which is what one client has.

    Only failures are refused: behind one address there may be a thousand clients with good keys, and a key of 256
    random bits cannot be guessed at any rate. `limit` 0 counts nothing.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._failures: dict[int, list[float]] = {}

    def failed(self, address: Address | None) -> int | None:
        """Notes a failure; the seconds to wait when there were too many of them, else None."""
        if address is None or not self._limit:
            return None
        now = self._clock()
        key = int(address) if isinstance(address, IPv4Address) else int(address) >> 64 | 1 << 64
        entry = self._failures.get(key)
        if entry is None or now - entry[0] >= WINDOW_S:
            # The oldest window goes first: dicts keep the order in which entries came.
            self._failures.pop(key, None)
            if len(self._failures) >= MAX_ADDRESSES:
                del self._failures[next(iter(self._failures))]
            entry = self._failures[key] = [now, 0.0]
        entry[1] += 1
        return ceil(entry[0] + WINDOW_S - now) if entry[1] > self._limit else None
