"""Sessions: 15 minutes without a request end one, eight hours in any case, and whoever may end it does so at once."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Callable

from scutum_server.access.models import Actor, Grant, InvalidToken, Method, Principal, Session
from scutum_server.access.sessions.store import SessionStore
from scutum_server.access.tokens import TTL, Access, Signer
from scutum_server.infra.crypto import key_hash
from scutum_server.infra.ids import new_id

IDLE = 900
LIFETIME = 8 * 3600
"""Both in seconds."""
_PRECISION = 15
_TOKEN = "scr-"  # noqa: S105

Clock = Callable[[], dt.datetime]


class ReusedError(InvalidToken):
    """A refresh token came back that was used before: somebody has a copy, so the session is over for all of them."""

    def __init__(self, session_id: str) -> None:
        super().__init__("This session is not valid, or it has ended.", hint="Log in again: scutum login")
        self.session_id = session_id


def master_credential(master_key: str) -> bytes:
    """What sessions of this master key are marked with: they end when it is exchanged."""
    return hashlib.sha256(b"scutum master session\0" + master_key.encode()).digest()


class SessionService:
    """`master` is `master_credential()` of the present key."""

    def __init__(self, store: SessionStore, signer: Signer, master: bytes, clock: Clock) -> None:
        self._store = store
        self._signer = signer
        self._master = master
        self._clock = clock

    async def open(
        self, holder: Principal, method: Method, credential: bytes | None, ip: str | None, *, device: bool = False
    ) -> tuple[str, Grant]:
        """The id of a new session and what its owner is handed; `device` adds the mark of a device."""
        session_id = new_id("ses")
        await self._store.insert(
            session_id, holder.actor, method=method, credential=credential, ip=ip, lifetime=LIFETIME
        )
        mark = self._signer.device(holder.actor.id) if device else None
        return session_id, await self._grant(session_id, holder.actor, LIFETIME, mark)

    async def look(self, access: Access) -> Session:
        """The session of an access token; raises InvalidToken when it is over."""
        return await self._alive(access.sid)

    async def refresh(self, token: str) -> Grant:
        """New tokens for a refresh token, which works once.

        Raises InvalidToken, or ReusedError for one that was used before: the caller commits, since the session has
        ended by that.
        """
        digest = key_hash(token)
        session_id = await self._store.use_token(digest)
        if session_id is None:
            known = await self._store.session_of_token(digest)
            if known is None:
                raise InvalidToken("This session is not valid, or it has ended.", hint="Log in again: scutum login")
            await self._store.end(known, "reuse")
            raise ReusedError(known)
        session = await self._alive(session_id)
        await self._store.touch(session_id)
        left = int((session.expires_at - self._clock()).total_seconds())
        return await self._grant(session_id, session.principal.actor, left, None)

    async def end(self, session_id: str, by: str) -> bool:
        return await self._store.end(session_id, by)

    async def end_of_user(self, user_id: str, by: str, *, but: str | None = None) -> int:
        """Ends every session of somebody (but one) and tells how many."""
        return len(await self._store.end_of_user(user_id, by, but))

    async def _alive(self, session_id: str) -> Session:
        found = await self._store.look(session_id, master=self._master, idle=IDLE, precision=_PRECISION)
        if found is None:
            raise InvalidToken("This session is not valid, or it has ended.", hint="Log in again: scutum login")
        return found

    async def _grant(self, session_id: str, actor: Actor, left: int, device: str | None) -> Grant:
        token, seconds = _TOKEN + secrets.token_urlsafe(32), max(1, min(TTL, left))
        await self._store.insert_token(key_hash(token), session_id)
        return Grant(
            access_token=self._signer.access(session_id, actor.id, actor.kind, seconds),
            expires_in=seconds,
            refresh_token=token,
            session_expires_in=left,
            device_token=device,
        )
