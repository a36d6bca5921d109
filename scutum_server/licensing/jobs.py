"""What is looked at every five minutes: the licence in force, the clock, and what has to be told of them."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, Literal, Protocol

from scutum_server.infra.db import Connection
from scutum_server.licensing.models import Licence
from scutum_server.licensing.service import SET_BACK, judge
from scutum_server.licensing.store import LicenceStore, State
from scutum_server.licensing.trust import Trust

EVERY_SECONDS: Final = 300.0
REMINDERS: Final = (14, 7, 1)
"""Days before the end at which it is told of; that it has expired is told as well."""
_LEAP: Final = dt.timedelta(days=1)
"""A clock that leaps ahead by more than this is believed once it has shown that time for _BELIEVED."""
_BELIEVED: Final = dt.timedelta(hours=1)
_NONE: Final = "none"
_CLOCK: Final = "clock"

Matter = Literal["expiring", "expired", "missing", "invalid", "clock"]


class Tell(Protocol):
    """Writes an event in the connection's transaction."""

    async def __call__(
        self, conn: Connection, matter: Matter, licence: Licence, *, resolved: bool, **more: Any
    ) -> None: ...


async def look(conn: Connection, trust: Trust, now: dt.datetime, tell: Tell) -> Licence:
    """Verifies the licence in force and tells what is new, once each however many processes look."""
    store = LicenceStore(conn)
    await store.lock()
    state = await store.state()
    licence = judge(state, trust, now)
    await _clock(conn, store, state, now, licence, tell)
    await _one_matter(conn, store, "missing", licence, tell, there=not licence.present)
    await _one_matter(conn, store, "invalid", licence, tell, there=licence.present and licence.tier is None)
    await _one_matter(conn, store, "expired", licence, tell, there=licence.expired)
    if licence.fingerprint is not None and licence.days_remaining:
        await _remind(conn, store, licence, licence.fingerprint, licence.days_remaining, tell)
    return licence


async def _one_matter(
    conn: Connection, store: LicenceStore, matter: Matter, licence: Licence, tell: Tell, *, there: bool
) -> None:
    """Told when it begins and when it is over."""
    if there and await store.tell(_NONE, matter):
        await tell(conn, matter, licence, resolved=False)
    elif not there and await store.forget(_NONE, matter):
        await tell(conn, matter, licence, resolved=True)


async def _remind(conn: Connection, store: LicenceStore, licence: Licence, mark: str, left: int, tell: Tell) -> None:
    """The nearest reminder that is due; those that were missed meanwhile are not told after the fact."""
    due = [days for days in REMINDERS if left <= days]
    fresh = [days for days in due if await store.tell(mark, str(days))]
    if due and min(due) in fresh:
        await tell(conn, "expiring", licence, resolved=False)


async def _clock(
    conn: Connection, store: LicenceStore, state: State, now: dt.datetime, licence: Licence, tell: Tell
) -> None:
    back = state.seen_at - now
    if back > SET_BACK:
        if await store.tell(_NONE, _CLOCK):
            await tell(conn, "clock", licence, resolved=False, seen_at=state.seen_at, now=now)
    elif await store.forget(_NONE, _CLOCK):
        await tell(conn, "clock", licence, resolved=True, seen_at=state.seen_at, now=now)
    if now <= state.seen_at:
        if state.ahead_at is not None:
            await store.see(state.seen_at, None, None)
        return
    if now - state.seen_at <= _LEAP:
        await store.see(now, None, None)
    elif state.ahead_at is None or state.ahead_since is None or now < state.ahead_at:
        await store.see(state.seen_at, now, now)
    elif now - state.ahead_since >= _BELIEVED:
        await store.see(now, None, None)
    else:
        await store.see(state.seen_at, now, state.ahead_since)
