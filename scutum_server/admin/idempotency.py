"""Requests that must happen once: the answer to a POST with an Idempotency-Key is kept and given again for 24 hours.

Answers are kept wrapped: one of them is the only place where a new key's secret stands. The row is written in the
transaction of what it answers for, so that neither is ever there without the other.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from fastapi import Request, Response

from scutum_server.admin import store
from scutum_server.errors import Conflict
from scutum_server.infra.crypto import SecretBox
from scutum_server.infra.db import Connection

REPLAYED = "idempotency-replayed"
_KEPT_HEADERS = ("content-type", "etag", "location")


class InProgress(Conflict):
    code = "idempotency_in_progress"
    retry_after = 1


class KeyReused(Conflict):
    code = "idempotency_key_reused"


class Replay(Exception):
    """The answer that was given before; raised where the route would run a second time."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class _Kept(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: str


class Once:
    """One actor's claim to a key, for the length of a transaction."""

    def __init__(self, conn: Connection, box: SecretBox, actor: str, key: str, fingerprint: bytes) -> None:
        self._conn = conn
        self._box = box
        self._actor = actor
        self._digest = hashlib.sha256(key.encode()).digest()
        self._fingerprint = fingerprint

    async def claim(self) -> None:
        """Raises Replay when it was answered before, KeyReused for another request, InProgress while one runs."""
        if not await store.idempotency_lock(self._conn, self._actor, self._digest):
            raise InProgress("A request with this Idempotency-Key is running.", hint="Try again in a second.")
        row = await store.idempotency_answer(self._conn, self._actor, self._digest)
        if row is None:
            return
        if row["fingerprint"] != self._fingerprint:
            raise KeyReused(
                "This Idempotency-Key was used for another request.",
                hint="Take a new key for every request that is not a repetition.",
            )
        kept = msgspec.json.decode(self._box.unwrap(row["answer"], self._context), type=_Kept)
        raise Replay(Response(kept.body, kept.status, {**kept.headers, REPLAYED: "true"}))

    async def keep(self, response: Response) -> None:
        """Keeps the answer, and forgets a few of those that are too old."""
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        kept = _Kept(response.status_code, headers, bytes(response.body).decode())
        wrapped = self._box.wrap(msgspec.json.encode(kept).decode(), self._context)
        await store.keep_answer(self._conn, self._actor, self._digest, self._fingerprint, wrapped)

    @property
    def _context(self) -> str:
        return f"idempotency:{self._actor}:{self._digest.hex()}"


async def fingerprint(request: Request) -> bytes:
    """What makes two requests the same: method, address and body."""
    address = f"{request.method} {request.url.path}?{request.url.query}\n"
    return hashlib.sha256(address.encode() + await request.body()).digest()


async def begin(request: Request, conn: Connection, box: SecretBox, actor: str, key: str | None) -> Once | None:
    """The claim to the request's key, None without one; raises as `Once.claim`."""
    if key is None:
        return None
    once = Once(conn, box, actor, key, await fingerprint(request))
    await once.claim()
    return once


async def on_replay(request: Request, error: Any) -> Response:
    """Renders Replay."""
    del request
    response: Response = error.response
    return response
