"""The rules of licences: which one is in force, what it allows, and how another one takes its place."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Callable
from typing import Final

import msgspec

from scutum_server.infra import paging
from scutum_server.infra.changes import Changes, plain
from scutum_server.infra.db import Connection
from scutum_server.infra.ids import new_id
from scutum_server.infra.paging import Page
from scutum_server.licensing import tokens
from scutum_server.licensing.models import UNLICENSED, Activation, Claims, Licence, LicenceRefused, UpgradeRequired
from scutum_server.licensing.store import LicenceStore, State
from scutum_server.licensing.trust import Trust

Clock = Callable[[], dt.datetime]
SKEW: Final = dt.timedelta(minutes=5)
"""By which the issuer's clock may be ahead of ours."""
SET_BACK: Final = dt.timedelta(minutes=15)
"""A step back by more than this is no correction by NTP."""
ACTIVATE: Final = "scutum license activate FILE"
_TIER_OF: Final = {"sso": "Business or Enterprise", "sre_agent": "Business or Enterprise"}


async def current(conn: Connection, trust: Trust, now: dt.datetime) -> Licence:
    """What this install is licensed for; never raises for a licence that is missing, expired or damaged."""
    return judge(await LicenceStore(conn).state(), trust, now)


def fingerprint(token: str) -> str:
    """Tells licences apart without giving them away."""
    return hashlib.sha256("".join(token.split()).encode()).hexdigest()[:32]


def judge(state: State, trust: Trust, now: dt.datetime) -> Licence:
    """The licence in force as it stands at the later of `now` and the latest time that was ever seen."""
    if state.token is None:
        return unlicensed(f"No licence is activated. Activate one: {ACTIVATE}")
    mark = fingerprint(state.token)
    try:
        claims = tokens.read(state.token, trust.keys())
    except LicenceRefused as error:
        return unlicensed(f"The licence in force cannot be verified: {error.detail}", mark)
    back = state.seen_at - now
    moment = max(now, state.seen_at)
    left = claims.expires_at - moment
    expired = left <= dt.timedelta(0)
    wrong = None
    if expired:
        wrong = f"The licence expired on {claims.expires_at:%Y-%m-%d}. Activate the renewed one: {ACTIVATE}"
    elif claims.valid_from - SKEW > moment:
        wrong = f"The licence holds from {claims.valid_from:%Y-%m-%d %H:%M} UTC on. Check this host's clock."
    valid = wrong is None
    if valid and back > SET_BACK:
        wrong = (
            f"This host's clock was set back: {state.seen_at:%Y-%m-%d %H:%M} UTC was seen before. The licence's time "
            "goes on from there. Check this host's clock."
        )
    return Licence(
        present=True,
        valid=valid,
        expired=expired,
        tier=claims.tier,
        customer_email=claims.email,
        company=claims.company,
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
        days_remaining=max(0, math.ceil(left / dt.timedelta(days=1))),
        features=claims.all_features(),
        error=wrong,
        fingerprint=mark,
    )


def unlicensed(error: str, mark: str | None = None) -> Licence:
    """No licence, or (`mark`) one of which nothing can be believed."""
    return Licence(
        present=mark is not None,
        valid=False,
        expired=False,
        tier=None,
        customer_email=None,
        company=None,
        issued_at=None,
        expires_at=None,
        days_remaining=None,
        features=dict(UNLICENSED),
        error=error,
        fingerprint=mark,
    )


class LicenceService:
    """What the control plane asks of the licence; `actor` is who activates one."""

    def __init__(self, store: LicenceStore, changes: Changes, trust: Trust, clock: Clock, actor: str) -> None:
        self._store = store
        self._changes = changes
        self._trust = trust
        self._clock = clock
        self._actor = actor

    async def current(self) -> Licence:
        return judge(await self._store.state(), self._trust, self._clock())

    async def max_admins(self) -> int | None:
        """How many accounts may administer this install; None without bound."""
        return (await self.current()).bound("max_admins")

    async def audit_retention_days(self) -> int:
        """For how long audit rows stay in the database at least."""
        return (await self.current()).bound("audit_retention_days") or 30

    async def allows(self, feature: str) -> bool:
        return (await self.current()).allows(feature)

    async def require(self, feature: str, words: str) -> None:
        """Raises UpgradeRequired unless the feature may be used; `words` is what people call it, such as "The SSO"."""
        licence = await self.current()
        if licence.allows(feature):
            return
        if licence.shows(feature):
            raise UpgradeRequired(f"{words} needs a licence in force. {licence.error or ''}".rstrip(), hint=ACTIVATE)
        has = f"a {licence.tier.capitalize()} licence" if licence.tier else "no licence"
        needed = _TIER_OF.get(feature, "licence that includes it")
        needs = f"needs a {needed} licence" if feature in _TIER_OF else f"needs a {needed}"
        raise UpgradeRequired(f"{words} {needs}, and this install has {has}.", hint=ACTIVATE)

    async def activate(self, token: str, source: str = "activate") -> Licence:
        """Puts a licence in force at once, everywhere; raises LicenceRefused. The one in force stays as it is then."""
        claims = tokens.read(token, self._trust.keys())
        await self._store.lock()
        state = await self._store.state()
        self._check_dates(claims, await self._moment(claims, state))
        if state.token is not None and fingerprint(state.token) == fingerprint(token):
            return await self.current()
        before = await self.current()
        row_id = new_id("lic")
        await self._store.activate(
            id=row_id,
            license_id=claims.jti,
            issuer=claims.iss,
            tier=claims.tier,
            customer_email=claims.email,
            company=claims.company,
            issued_at=claims.issued_at,
            expires_at=claims.expires_at,
            features=claims.all_features(),
            token="".join(token.split()),
            source=source,
            activated_by=self._actor,
        )
        after = await self._store.activation(row_id)
        shown = (
            {"tier": before.tier, "company": before.company, "expires_at": before.expires_at}
            if before.present
            else None
        )
        self._changes.note(
            "license.activate",
            "license",
            row_id,
            before=None if shown is None else msgspec.to_builtins(shown),
            after=plain(after),
        )
        return await self.current()

    async def ever(self) -> bool:
        """Whether a licence was ever activated here."""
        return await self._store.any()

    async def history(self, limit: int, cursor: str | None) -> Page[Activation]:
        before = paging.decode("licenses", cursor)
        rows = await self._store.history(limit + 1, before[0] if before else None)
        return paging.cut("licenses", rows, limit, lambda row: (row.id,))

    async def _moment(self, claims: Claims, state: State) -> dt.datetime:
        """The time that counts for this licence.

        What its authority has issued after all others proves that no later time than now can have been: the latest
        time seen is mended by it, if a wrong clock has put that into the future.
        """
        now, newest = self._clock(), await self._store.newest_issue()
        if (newest is None or claims.issued_at > newest) and claims.issued_at <= now + SKEW:
            await self._store.see(now, None, None)
            return now
        return max(now, state.seen_at)

    @staticmethod
    def _check_dates(claims: Claims, moment: dt.datetime) -> None:
        if claims.expires_at <= moment:
            raise LicenceRefused(
                f"It expired on {claims.expires_at:%Y-%m-%d}.",
                code="license_expired",
                hint="Ask your vendor for a renewed one, or check this host's clock: date -u",
            )
        if claims.valid_from - SKEW > moment:
            raise LicenceRefused(
                f"It holds from {claims.valid_from:%Y-%m-%d %H:%M} UTC on, and here it is {moment:%Y-%m-%d %H:%M} UTC.",
                code="license_not_yet_valid",
                hint="Wait until then, or check this host's clock: date -u",
            )
