"""The trail by what it tells: every filter, by page, to the end, and no org sees another one's rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator

import pytest

from scutum_server.audit import service as auditing
from scutum_server.audit.models import AuditRow, Filter
from scutum_server.audit.service import AuditService
from scutum_server.audit.store import AuditStore
from scutum_server.errors import InvalidInput
from scutum_server.infra.db import Connection, connect
from tests.integration.audit.conftest import Trail


@pytest.fixture
async def conn(trail: Trail) -> AsyncIterator[Connection]:
    connection = await connect(trail.database, name="test")
    yield connection
    await connection.close()


def reader(conn: Connection, scope: str | None = None) -> AuditService:
    return AuditService(AuditStore(conn, scope), lambda: dt.datetime.now(dt.UTC), scope=scope)


async def everything(conn: Connection, wanted: Filter, limit: int = 3, scope: str | None = None, **window) -> list[AuditRow]:
    """All pages; none is longer than its limit."""
    rows: list[AuditRow] = []
    cursor = None
    while True:
        page = await reader(conn, scope).page(wanted, window.get("since"), window.get("until"), limit, cursor)
        assert len(page.items) <= limit
        rows += page.items
        if page.next is None:
            return rows
        assert page.next != cursor
        cursor = page.next


def filled(trail: Trail) -> None:
    trail.write(7)
    trail.write(5, org="org_b", actor="user_x")
    with_others = {
        "action": "'key.revoke'", "resource_type": "'key'", "resource_id": "'key_9'", "source": "'cli'", "outcome": "'denied'",
        "actor_email": "'Zoë@example.com'", "diff": """'{"after": {"note": "Straße 5% \\\\ \\"x\\""}}'""",
    }  # fmt: skip
    for column, value in with_others.items():
        trail.tamper(f"UPDATE audit_logs SET {column} = {value} WHERE seq IN (2, 4)")


CASES = [
        ({}, 12), ({"actor": "user_x"}, 5), ({"actor": "nobody"}, 0), ({"actor": "Zoë@example.com"}, 4),
        ({"action": "key.revoke"}, 4), ({"resource_type": "key"}, 4), ({"resource_id": "key_9"}, 4), ({"org": "org_b"}, 5),
        ({"source": "cli"}, 4), ({"outcome": "denied"}, 4), ({"text": "zoë@"}, 4), ({"text": "STRASSE"}, 0),
        ({"text": "straße 5% \\"}, 4), ({"text": "_"}, 12), ({"text": "%"}, 4), ({"text": "aud"}, 0),
        ({"actor": "user_x", "action": "key.revoke"}, 2), ({"actor": "user_x", "org": "org_a"}, 0),
        ({"action": "key.revoke", "outcome": "denied", "source": "cli", "org": "org_a", "text": "5%"}, 2),
]  # fmt: skip


async def test_every_filter_and_every_page(trail: Trail, conn: Connection) -> None:
    filled(trail)
    for wanted, count in CASES:
        rows = await everything(conn, Filter(**wanted))
        assert len(rows) == len({row.id for row in rows}) == count, wanted
        places = [(row.timestamp, row.id) for row in rows]
        assert places == sorted(places, reverse=True), wanted


async def test_several_conditions_are_looked_for_in_stretches(
    trail: Trail, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(trail)
    monkeypatch.setattr(auditing, "FIRST_STRETCH", 1)
    monkeypatch.setattr(auditing, "LAST_STRETCH", 2)
    assert len(await everything(conn, Filter(org="org_a", text="straße"))) == 2
    monkeypatch.setattr(auditing, "SECONDS", -1.0)
    assert len(await everything(conn, Filter(org="org_a", text="straße"))) == 2, "out of time, a page is short, and goes on"
    first = await reader(conn).page(Filter(text="nowhere"), None, None, 3, None)
    assert (first.items, first.next is None) == ([], False)


async def test_a_time_window(trail: Trail, conn: Connection) -> None:
    filled(trail)
    rows = await everything(conn, Filter())
    since, until = rows[8].timestamp.isoformat(), rows[2].timestamp.isoformat()
    found = await everything(conn, Filter(), since=since, until=until)
    assert [row.id for row in found] == [row.id for row in rows[3:9]], "from the first, up to but without the last"
    assert await everything(conn, Filter(), since="1h") == rows
    assert await everything(conn, Filter(), until="1h") == []
    with pytest.raises(InvalidInput):
        await everything(conn, Filter(), since="1h", until="2h")
    with pytest.raises(InvalidInput):
        await everything(conn, Filter(), since="yesterday")


async def test_a_session_of_one_org_sees_that_one(trail: Trail, conn: Connection) -> None:
    filled(trail)
    assert {row.org_id for row in await everything(conn, Filter(), scope="org_b")} == {"org_b"}
    assert len(await everything(conn, Filter(outcome="denied"), scope="org_b")) == 2
    assert await everything(conn, Filter(org="org_a"), scope="org_b") == []
    assert len(await everything(conn, Filter(org="org_b"), scope="org_b")) == 5
