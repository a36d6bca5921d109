"""The tables licenses, license_clock and license_told."""

from __future__ import annotations

import datetime as dt
from typing import Any

from msgspec import Struct
from psycopg.types.json import Jsonb

from scutum_server.infra.store import Store
from scutum_server.licensing.models import Activation

STATE = """
SELECT c.seen_at, c.ahead_at, c.ahead_since, l.token, l.source
FROM license_clock c LEFT JOIN licenses l ON l.superseded_at IS NULL
"""
LOCK = "SELECT singleton FROM license_clock FOR UPDATE"
SEE = "UPDATE license_clock SET seen_at = %(seen_at)s, ahead_at = %(ahead_at)s, ahead_since = %(ahead_since)s"
ANY = "SELECT EXISTS (SELECT FROM licenses) AS found"
NEWEST_ISSUE = "SELECT max(issued_at) AS issued_at FROM licenses"
SUPERSEDE = "UPDATE licenses SET superseded_at = now() WHERE superseded_at IS NULL"
INSERT = """
INSERT INTO licenses (id, license_id, issuer, tier, customer_email, company, issued_at, expires_at, features, token,
    source, activated_by)
VALUES (%(id)s, %(license_id)s, %(issuer)s, %(tier)s, %(customer_email)s, %(company)s, %(issued_at)s, %(expires_at)s,
    %(features)s, %(token)s, %(source)s, %(activated_by)s)
"""
HISTORY = """
SELECT id, license_id, issuer, tier, customer_email, company, issued_at, expires_at, features, source, activated_by,
    activated_at, superseded_at
FROM licenses
WHERE (%(id)s::text IS NULL OR id = %(id)s) AND (%(before)s::text IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""
TOLD = """
INSERT INTO license_told (fingerprint, what) VALUES (%(fingerprint)s, %(what)s) ON CONFLICT DO NOTHING
RETURNING what
"""
FORGET = "DELETE FROM license_told WHERE fingerprint = %(fingerprint)s AND what = %(what)s RETURNING what"


class State(Struct, frozen=True, kw_only=True):
    """The licence in force, if there is one, and the latest time that was ever seen.

    `ahead_at` is a time far ahead of that, which the clock has shown since `ahead_since`.
    """

    seen_at: dt.datetime
    ahead_at: dt.datetime | None
    ahead_since: dt.datetime | None
    token: str | None
    source: str | None


class LicenceStore(Store):
    """Reads and writes inside the connection's transaction; never commits."""

    async def state(self) -> State:
        return State(**(await self._rows(STATE, {}))[0])

    async def lock(self) -> None:
        """One at a time changes what is in force or tells of it, until the transaction ends."""
        await self._conn.execute(LOCK)

    async def see(self, seen_at: dt.datetime, ahead_at: dt.datetime | None, ahead_since: dt.datetime | None) -> None:
        await self._conn.execute(SEE, {"seen_at": seen_at, "ahead_at": ahead_at, "ahead_since": ahead_since})

    async def any(self) -> bool:
        """Whether a licence was ever activated here."""
        return bool((await self._rows(ANY, {}))[0]["found"])

    async def newest_issue(self) -> dt.datetime | None:
        """When the youngest licence that was ever activated here was issued."""
        found: dt.datetime | None = (await self._rows(NEWEST_ISSUE, {}))[0]["issued_at"]
        return found

    async def activate(self, *, features: dict[str, Any], **fields: Any) -> None:
        """Puts this one in force; the one before stays in the table."""
        await self._conn.execute(SUPERSEDE)
        await self._conn.execute(INSERT, fields | {"features": Jsonb(features)})

    async def activation(self, row_id: str) -> Activation:
        return Activation(**(await self._rows(HISTORY, {"id": row_id, "before": None, "limit": 1}))[0])

    async def history(self, limit: int, before: str | None) -> list[Activation]:
        """The youngest activation first."""
        rows = await self._rows(HISTORY, {"id": None, "before": before, "limit": limit})
        return [Activation(**row) for row in rows]

    async def tell(self, fingerprint: str, what: str) -> bool:
        """False when it was told already."""
        return bool(await self._rows(TOLD, {"fingerprint": fingerprint, "what": what}))

    async def forget(self, fingerprint: str, what: str) -> bool:
        """So that it can be told again; False when it never was."""
        return bool(await self._rows(FORGET, {"fingerprint": fingerprint, "what": what}))
