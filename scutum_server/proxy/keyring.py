"""Several keys of one provider as one lane: each call goes out with the key that has the most headroom.

Headroom is what the provider says is left (`x-ratelimit-remaining-*` in its answers, or Anthropic's own headers), less
what is on its way; a key that was told to wait (429) or refused (401, 403) rests, and the others go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Final, Protocol

from scutum_server.upstream.native import Traits

REST_S: Final = 5.0
"""After a 429 that does not say for how long."""
SHORTEST_REST_S: Final = 1.0
LONGEST_REST_S: Final = 300.0
REFUSED_REST_S: Final = 60.0
_LIMITS: Final = (
    (b"x-ratelimit-remaining-requests", b"x-ratelimit-limit-requests"),
    (b"x-ratelimit-remaining-tokens", b"x-ratelimit-limit-tokens"),
    (b"anthropic-ratelimit-requests-remaining", b"anthropic-ratelimit-requests-limit"),
    (b"anthropic-ratelimit-input-tokens-remaining", b"anthropic-ratelimit-input-tokens-limit"),
    (b"anthropic-ratelimit-output-tokens-remaining", b"anthropic-ratelimit-output-tokens-limit"),
)
_FORGET_S: Final = 60.0
"""Providers' windows are minutes: what was left a minute ago says nothing."""


class Reply(Protocol):
    """A provider's answer, whichever lane it came by; see `upstream.transport.Response`."""

    @property
    def status(self) -> int: ...
    def header(self, name: bytes) -> bytes | None: ...
    def body(self, limit: int) -> Awaitable[bytes]: ...
    def pump(self, feed: Callable[[bytes], bool]) -> Awaitable[None]: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


class Sending(Protocol):
    """A request on its way in pieces; see `upstream.upload.Upload`."""

    @property
    def answered(self) -> bool: ...
    async def send(self, data: bytes) -> None: ...
    async def finish(self) -> Reply: ...
    def abort(self) -> None: ...


class Lane(Protocol):
    """How one provider account is called, and what it takes; `fields` are further header lines.

    `ask` and `upload` are for what is no POST of a JSON document.
    """

    @property
    def traits(self) -> Traits: ...
    async def call(self, path: str, body: bytes, *, stream: bool, fields: bytes = b"") -> Reply: ...
    async def ask(
        self, method: str, path: str, *, query: str = "", body: bytes = b"", fields: bytes = b""
    ) -> Reply: ...
    async def upload(self, path: str, content_type: bytes, fields: bytes = b"") -> Sending: ...


class _Key:
    __slots__ = ("in_flight", "lane", "rest_until", "room", "room_at", "turn")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.in_flight = 0
        self.rest_until = 0.0
        self.room = 1.0
        self.room_at = 0.0
        self.turn = 0


class KeyRing:
    """One lane per key. With every key at rest, the one whose rest ends first is used."""

    def __init__(self, lanes: Sequence[Lane], clock: Callable[[], float] = monotonic) -> None:
        self.traits = lanes[0].traits
        self._keys = [_Key(lane) for lane in lanes]
        self._clock = clock
        self._turn = 0

    @property
    def spare(self) -> bool:
        """Whether a key is not at rest."""
        now = self._clock()
        return any(key.rest_until <= now for key in self._keys)

    async def call(self, path: str, body: bytes, *, stream: bool, fields: bytes = b"") -> Reply:
        """As the lanes' own `call`."""
        key = self._choose()
        return await self._counted(key, key.lane.call(path, body, stream=stream, fields=fields))

    async def ask(self, method: str, path: str, *, query: str = "", body: bytes = b"", fields: bytes = b"") -> Reply:
        """As the lanes' own `ask`."""
        key = self._choose()
        return await self._counted(key, key.lane.ask(method, path, query=query, body=body, fields=fields))

    async def upload(self, path: str, content_type: bytes, fields: bytes = b"") -> Sending:
        """As the lanes' own `upload`; what it takes is not weighed against calls."""
        return await self._choose().lane.upload(path, content_type, fields)

    async def _counted(self, key: _Key, call: Awaitable[Reply]) -> Reply:
        key.in_flight += 1
        try:
            reply = await call
        except BaseException:
            key.in_flight -= 1
            raise
        self._learn(key, reply)
        return _Counted(reply, key)

    def _choose(self) -> _Key:
        now = self._clock()
        self._turn += 1
        ready = [key for key in self._keys if key.rest_until <= now]
        if ready:
            key = min(ready, key=lambda key: (key.in_flight - 10 * _room(key, now), key.turn))
        else:
            key = min(self._keys, key=lambda key: key.rest_until)
        key.turn = self._turn
        return key

    def _learn(self, key: _Key, reply: Reply) -> None:
        now = self._clock()
        if reply.status == 429:
            asked = _number(reply.header(b"retry-after"))
            key.rest_until = now + (REST_S if asked is None else min(max(asked, SHORTEST_REST_S), LONGEST_REST_S))
        elif reply.status in {401, 403}:
            key.rest_until = now + REFUSED_REST_S
        else:
            shares = []
            for remaining, limit in _LIMITS:
                left, whole = _number(reply.header(remaining)), _number(reply.header(limit))
                if left is not None and whole:
                    shares.append(max(0.0, min(1.0, left / whole)))
            if shares:
                key.room, key.room_at = min(shares), now


class _Counted:
    """A reply that counts as on its way until it is closed."""

    def __init__(self, reply: Reply, key: _Key) -> None:
        self._reply = reply
        self._key: _Key | None = key
        self.status = reply.status
        self.header = reply.header
        self.body = reply.body
        self.pump = reply.pump
        self.resume = reply.resume
        self.stop = reply.stop

    def close(self) -> None:
        if self._key is not None:
            self._key.in_flight -= 1
            self._key = None
        self._reply.close()


def _room(key: _Key, now: float) -> float:
    return key.room if now - key.room_at < _FORGET_S else 1.0


def _number(value: bytes | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
