"""What the worker tells of the licence as time goes by."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.fixtures.licences import DAY, Authority

from scutum_server.infra.db import connect
from scutum_server.licensing.models import Licence, LicenceRefused, UpgradeRequired
from scutum_server.licensing.service import LicenceService, current
from scutum_server.licensing.store import LicenceStore
from scutum_server.licensing.trust import Trust
from scutum_server.settings import DatabaseSettings
from scutum_server.worker.licences import LicenceWatch

START = dt.datetime(2027, 1, 1, 12, tzinfo=dt.UTC)


class Quiet:
    def note(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs


class Install:
    """An install whose clock the test sets."""

    def __init__(self, database: DatabaseSettings, trust: Trust, authority: Authority) -> None:
        self.database, self.trust, self.authority = database, trust, authority
        self.now = START

    def issue(self, days: float, **claims: Any) -> str:
        return self.authority.issue(issued=self.now.timestamp(), days=days, **claims)

    async def service(self, action: str, *args: Any) -> Any:
        async with await connect(self.database, name="test") as conn, conn.transaction():
            service = LicenceService(LicenceStore(conn), Quiet(), self.trust, lambda: self.now, "test")
            return await getattr(service, action)(*args)

    async def activate(self, token: str) -> Licence:
        return await self.service("activate", token)

    async def current(self) -> Licence:
        async with await connect(self.database, name="test") as conn:
            return await current(conn, self.trust, self.now)

    async def at(self, **later: float) -> list[tuple[str, str]]:
        """Lets time go by, has the worker look, and returns the events that this has brought."""
        self.now += dt.timedelta(**later)
        before = len(self.events())
        await LicenceWatch(self.database, self.trust).once(self.now)
        return [(row["type"].removeprefix("license."), row["state"]) for row in self.events()[before:]]

    def events(self) -> list[dict]:
        with psycopg.connect(**self.database.conninfo(), row_factory=dict_row) as conn:
            return conn.execute("SELECT * FROM events_outbox ORDER BY at, id").fetchall()


@pytest.fixture
async def install(database: DatabaseSettings, tmp_path: Path) -> Install:
    authority = Authority()
    return Install(database, Trust(authority.trusted(tmp_path)), authority)


async def test_reminders_come_once_each_through_restarts_and_missed_days(install: Install) -> None:
    assert await install.at() == [("missing", "firing")]
    assert await install.at(minutes=5) == []
    await install.activate(install.issue(days=30))
    assert await install.at(minutes=5) == [("missing", "resolved")]
    assert await install.at(days=15) == []
    assert await install.at(days=1) == [("expiring", "firing")]
    assert install.events()[-1]["payload"]["days_remaining"] == 14
    for _ in range(3):
        assert await install.at(minutes=5) == []
    assert await install.at(days=7) == [("expiring", "firing")]
    assert install.events()[-1]["payload"]["days_remaining"] == 7
    assert await install.at(days=6) == [("expiring", "firing")]
    assert "1 day" in install.events()[-1]["payload"]["message"]
    assert await install.at(days=1) == [("expired", "firing")]
    last = install.events()[-1]
    assert (last["severity"], last["payload"]["days_remaining"], last["dedup_key"]) == ("high", 0, "license:expired")
    assert await install.at(days=3) == []
    await install.activate(install.issue(days=30))
    assert await install.at(minutes=5) == [("expired", "resolved")]
    assert await install.at(days=25) == [("expiring", "firing")], "of two that were missed only the nearer one"
    assert install.events()[-1]["payload"]["days_remaining"] == 5
    assert await install.at(days=1) == []


async def test_several_workers_tell_it_once(install: Install) -> None:
    await install.activate(install.issue(days=10))
    watches = [LicenceWatch(install.database, install.trust) for _ in range(6)]
    await asyncio.gather(*(watch.once(install.now) for watch in watches))
    assert [row["type"] for row in install.events()] == ["license.expiring"]


async def test_an_expired_licence_keeps_what_may_be_read_and_no_more(install: Install) -> None:
    await install.activate(install.issue(days=10, tier="business"))
    await install.service("require", "sso", "Single sign-on")
    install.now += dt.timedelta(days=11)
    licence = await install.current()
    assert (licence.valid, licence.expired, licence.tier, licence.days_remaining) == (False, True, "business", 0)
    assert licence.shows("sso") and not licence.allows("sso")
    assert (licence.bound("max_admins"), licence.bound("audit_retention_days")) == (50, 365)
    assert "expired on 2027-01-11" in (licence.error or "") and "scutum license activate" in (licence.error or "")
    with pytest.raises(UpgradeRequired, match="expired"):
        await install.service("require", "sso", "Single sign-on")


async def test_a_tiers_features_are_asked_for_with_an_upgrade_prompt(install: Install) -> None:
    with pytest.raises(UpgradeRequired, match="needs a Business or Enterprise licence, and this install has no licence"):
        await install.service("require", "sre_agent", "The SRE agent")
    await install.activate(install.issue(days=10, tier="team"))
    with pytest.raises(UpgradeRequired, match="has a Team licence") as caught:
        await install.service("require", "sre_agent", "The SRE agent")
    assert caught.value.status == 402
    assert await install.service("max_admins") == 10


async def test_a_clock_that_is_set_back_brings_no_time(install: Install) -> None:
    await install.activate(install.issue(days=10))
    await install.at(days=0)
    for _ in range(12):
        await install.at(days=0.99)
    assert (await install.current()).expired
    assert await install.at(days=-6) == [("clock_set_back", "firing")]
    licence = await install.current()
    assert licence.expired and not licence.valid
    assert await install.at(minutes=5) == []
    old = install.authority.issue(issued=(START - dt.timedelta(days=300)).timestamp(), days=305)
    with pytest.raises(LicenceRefused) as caught:
        await install.activate(old)
    assert caught.value.code == "license_expired", "not an old one either"
    assert ("clock_set_back", "resolved") in await install.at(days=7)


async def test_a_licence_in_force_says_so_when_the_clock_was_set_back(install: Install) -> None:
    await install.activate(install.issue(days=100))
    await install.at(days=0)
    await install.at(hours=20)
    await install.at(hours=-12)
    licence = await install.current()
    assert licence.valid and "clock was set back" in (licence.error or "")


async def test_small_steps_of_the_clock_are_nothing(install: Install) -> None:
    await install.activate(install.issue(days=100))
    await install.at(minutes=5)
    for step in (-30, 5, -600, 400):
        assert await install.at(seconds=step) == []
        assert (await install.current()).error is None


async def test_a_clock_that_was_wrong_for_a_while_does_not_eat_the_licence(install: Install) -> None:
    await install.activate(install.issue(days=100))
    await install.at(minutes=5)
    assert ("expired", "firing") in await install.at(days=30_000)
    assert await install.at(minutes=5) == []
    assert await install.at(days=-30_000) == [("expired", "resolved")]
    assert (await install.current()).valid
    assert (await install.current()).error is None


async def test_a_newer_licence_mends_a_clock_that_was_believed(install: Install) -> None:
    await install.activate(install.issue(days=100))
    await install.at(minutes=5)
    await install.at(days=3000)
    await install.at(hours=2)
    await install.at(days=-3000)
    assert (await install.current()).expired
    licence = await install.activate(install.issue(days=100))
    assert licence.valid and licence.error is None and licence.days_remaining == 100


async def test_a_vanished_authority_is_told_and_resolved(install: Install) -> None:
    await install.activate(install.issue(days=100, tier="enterprise"))
    await install.at()
    file = install.trust.file
    assert file is not None
    away = file.rename(file.with_suffix(".away"))
    assert await install.at(minutes=5) == [("invalid", "firing")]
    licence = await install.current()
    assert licence.present and not licence.valid and licence.tier is None
    away.rename(file)
    assert await install.at(minutes=5) == [("invalid", "resolved")]
    assert (await install.current()).tier == "enterprise"


async def test_days_left_are_days_begun(install: Install) -> None:
    await install.activate(install.issue(days=2))
    for hours, left in ((0, 2), (23, 2), (25, 1), (47.9, 1), (48, 0)):
        install.now = START + dt.timedelta(hours=hours)
        assert (await install.current()).days_remaining == left
    assert DAY == 86_400
