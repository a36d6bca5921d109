"""The tables limits and budgets, and what was spent of a budget."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString

import psycopg

from scutum_server.errors import Unavailable
from scutum_server.infra import listing, refs
from scutum_server.infra.listing import Ask, Listing, Sort
from scutum_server.infra.paging import Page
from scutum_server.infra.refs import Candidate
from scutum_server.infra.store import Store
from scutum_server.limits.models import RATES, Budget, Cap, Limit
from scutum_server.limits.spent_store import daily

_LIMIT: Final = """
l.id, l.scope, l.org_id, t.name AS team, l.team_id, k.name AS key, l.key_id, l.user_name AS user, l.model, l.rpm,
    l.tpm, l.rpd, l.tpd, l.concurrency, l.burst, l.on_failure, l.created_at, l.updated_at
"""
_LIMIT_FROM: Final = "limits l LEFT JOIN teams t ON t.id = l.team_id LEFT JOIN api_keys k ON k.id = l.key_id"
LIMITS: Final = Listing(
    "limits",
    columns=_LIMIT,
    source=_LIMIT_FROM,
    id="l.id",
    scope="l.org_id = %(scope)s",
    sorts={"created_at": Sort("l.id"), "scope": listing.by_text("l.scope")},
    filters={
        "scope": listing.exact("l.scope"), "team": listing.exact("l.team_id"), "key": listing.exact("l.key_id"),
        "user": listing.exact("l.user_name"), "model": listing.exact("l.model"),
    },
)  # fmt: skip
LIMIT_GET: Final = f"""
SELECT {_LIMIT} FROM {_LIMIT_FROM} WHERE l.id = %(id)s AND (%(scope)s::text IS NULL OR l.org_id = %(scope)s)
"""
LIMIT_LOCK: Final = f"{LIMIT_GET} FOR UPDATE OF l"
LIMIT_INSERT = """
INSERT INTO limits (id, scope, org_id, team_id, key_id, user_name, model, rpm, tpm, rpd, tpd, concurrency, burst,
    on_failure)
VALUES (%(id)s, %(scope)s, %(org_id)s, %(team_id)s, %(key_id)s, %(user)s, %(model)s, %(rpm)s, %(tpm)s, %(rpd)s,
    %(tpd)s, %(concurrency)s, %(burst)s, %(on_failure)s)
ON CONFLICT DO NOTHING RETURNING id
"""
LIMIT_UPDATE = """
UPDATE limits SET rpm = %(rpm)s, tpm = %(tpm)s, rpd = %(rpd)s, tpd = %(tpd)s, concurrency = %(concurrency)s,
    burst = %(burst)s, on_failure = %(on_failure)s, updated_at = clock_timestamp()
WHERE id = %(id)s
"""
_BUDGET: Final = """
b.id, b.scope, o.name AS org, b.org_id, u.name AS unit, b.unit_id, t.name AS team, b.team_id, k.name AS key,
    b.key_id, b.user_name AS user, b.period, b.amount_nano_usd, b.soft_percent, b.output_tokens, b.on_failure,
    coalesce(o.time_zone, (SELECT time_zone FROM orgs WHERE name = 'default'), 'UTC') AS zone, b.created_at,
    b.updated_at, b.soft_told, b.hard_told
"""
_BUDGET_FROM: Final = """
budgets b LEFT JOIN orgs o ON o.id = b.org_id LEFT JOIN units u ON u.id = b.unit_id
    LEFT JOIN teams t ON t.id = b.team_id LEFT JOIN api_keys k ON k.id = b.key_id
"""
BUDGETS: Final = Listing(
    "budgets",
    columns=_BUDGET,
    source=_BUDGET_FROM,
    id="b.id",
    scope="b.org_id = %(scope)s",
    sorts={
        "created_at": Sort("b.id"), "scope": listing.by_text("b.scope"),
        "amount_usd": Sort("b.amount_nano_usd", "bigint"),
    },
    filters={
        "scope": listing.exact("b.scope"), "period": listing.exact("b.period"), "org": listing.exact("b.org_id"),
        "unit": listing.exact("b.unit_id"), "team": listing.exact("b.team_id"), "key": listing.exact("b.key_id"),
        "user": listing.exact("b.user_name"),
    },
)  # fmt: skip
BUDGET_GET: Final = f"""
SELECT {_BUDGET} FROM {_BUDGET_FROM} WHERE b.id = %(id)s AND (%(scope)s::text IS NULL OR b.org_id = %(scope)s)
"""
BUDGET_LOCK: Final = f"{BUDGET_GET} FOR UPDATE OF b"
BUDGET_INSERT = """
INSERT INTO budgets (id, scope, org_id, unit_id, team_id, key_id, user_name, period, amount_nano_usd, soft_percent,
    output_tokens, on_failure)
VALUES (%(id)s, %(scope)s, %(org_id)s, %(unit_id)s, %(team_id)s, %(key_id)s, %(user)s, %(period)s,
    %(amount_nano_usd)s, %(soft_percent)s, %(output_tokens)s, %(on_failure)s)
ON CONFLICT DO NOTHING RETURNING id
"""
BUDGET_UPDATE = """
UPDATE budgets SET amount_nano_usd = %(amount_nano_usd)s, soft_percent = %(soft_percent)s,
    output_tokens = %(output_tokens)s, on_failure = %(on_failure)s, updated_at = clock_timestamp(),
    soft_told = CASE WHEN (amount_nano_usd, soft_percent) = (%(amount_nano_usd)s, %(soft_percent)s) THEN soft_told END,
    hard_told = CASE WHEN amount_nano_usd = %(amount_nano_usd)s THEN hard_told END
WHERE id = %(id)s
"""
TOLD: Final[dict[Cap, LiteralString]] = {
    "soft": """
UPDATE budgets SET soft_told = %(since)s WHERE id = %(id)s AND soft_told IS DISTINCT FROM %(since)s RETURNING id
""",
    "hard": """
UPDATE budgets SET hard_told = %(since)s WHERE id = %(id)s AND hard_told IS DISTINCT FROM %(since)s RETURNING id
""",
}
DELETE: dict[str, LiteralString] = {
    "limit": "DELETE FROM limits WHERE id = %(id)s RETURNING id",
    "budget": "DELETE FROM budgets WHERE id = %(id)s RETURNING id",
}
CANDIDATES: dict[str, LiteralString] = {
    "limit": refs.query("limits", label="c.scope", name=None, org="org_id"),
    "budget": refs.query("budgets", label="c.scope || ', by the ' || c.period", name=None, org="org_id"),
    "org": refs.query("orgs", label="'org ' || c.name", org="id"),
    "unit": refs.query("units", label="'unit ' || c.name", org="org_id"),
    "team": refs.query("teams", label="'team ' || c.name", org="org_id"),
    "key": refs.query("api_keys", label="'key ' || c.name", org="org_id", live="revoked_at IS NULL"),
}
ORG_OF: dict[str, LiteralString] = {
    "org": "SELECT id AS org_id FROM orgs WHERE id = %(id)s FOR SHARE",
    "unit": "SELECT org_id FROM units WHERE id = %(id)s FOR SHARE",
    "team": "SELECT org_id FROM teams WHERE id = %(id)s FOR SHARE",
    "key": """
SELECT t.org_id FROM api_keys k JOIN teams t ON t.id = k.team_id
WHERE k.id = %(id)s AND k.revoked_at IS NULL FOR SHARE OF k
""",
}
MODEL = "SELECT 1 AS one FROM deployments WHERE name = %(name)s LIMIT 1"


@contextmanager
def unavailable_on_error() -> Iterator[None]:
    """Raises Unavailable where the database does not do as told."""
    try:
        yield
    except psycopg.Error as error:
        reason = f"The database does not answer: {type(error).__name__}."
        raise Unavailable(reason, code="database_unavailable") from error


class LimitStore(Store):
    """Reads and writes inside the connection's transaction; never commits."""

    async def candidates(self, kind: str, ref: str) -> list[Candidate]:
        """What `ref` may mean; `kind` is limit, budget, org, unit, team or key."""
        return await self._candidates(CANDIDATES[kind], ref, kind)

    async def org_of(self, kind: str, object_id: str) -> str | None:
        """The org of an org, unit, team or live key, which is kept from being deleted meanwhile; None if it is gone."""
        rows = await self._rows(ORG_OF[kind], {"id": object_id})
        return rows[0]["org_id"] if rows else None

    async def has_model(self, name: str) -> bool:
        return bool(await self._rows(MODEL, {"name": name}))

    async def lock_limit(self, limit_id: str) -> Limit | None:
        """The limit, which nobody else can change until the transaction ends; None when it is gone."""
        row = await self._row(LIMIT_LOCK, {"id": limit_id})
        return Limit(**row) if row else None

    async def lock_budget(self, budget_id: str) -> Budget | None:
        """The budget, which nobody else can change until the transaction ends; None when it is gone."""
        row = await self._row(BUDGET_LOCK, {"id": budget_id})
        return Budget(**row) if row else None

    async def delete(self, kind: str, object_id: str) -> None:
        await self._conn.execute(DELETE[kind], {"id": object_id})

    async def limits(self, ask: Ask) -> Page[Limit]:
        return await self._page(LIMITS, ask, lambda row: Limit(**row))

    async def limit(self, limit_id: str) -> Limit | None:
        row = await self._row(LIMIT_GET, {"id": limit_id})
        return Limit(**row) if row else None

    async def insert_limit(self, **fields: Any) -> bool:
        """False when the target has a limit already."""
        return bool(await self._rows(LIMIT_INSERT, fields))

    async def update_limit(self, limit: Limit) -> None:
        fields = {name: getattr(limit, name) for name in (*RATES, "id", "on_failure")}
        await self._conn.execute(LIMIT_UPDATE, fields)

    async def budgets(self, ask: Ask) -> Page[Budget]:
        return await self._page(BUDGETS, ask, lambda row: Budget(**row))

    async def budget(self, budget_id: str) -> Budget | None:
        row = await self._row(BUDGET_GET, {"id": budget_id})
        return Budget(**row) if row else None

    async def insert_budget(self, **fields: Any) -> bool:
        """False when the target has a budget for this period already."""
        return bool(await self._rows(BUDGET_INSERT, fields))

    async def update_budget(self, budget: Budget) -> None:
        names = ("id", "amount_nano_usd", "soft_percent", "output_tokens", "on_failure")
        await self._conn.execute(BUDGET_UPDATE, {name: getattr(budget, name) for name in names})

    async def tell(self, cap: Cap, budget_id: str, since: dt.datetime) -> bool:
        """False when it was told for this period already."""
        return bool(await self._rows(TOLD[cap], {"id": budget_id, "since": since}))

    async def daily(self, budget_id: str, since: dt.datetime, before: int) -> tuple[int, dict[dt.date, int]]:
        """What is spent since then, and by the day from so many days before, in nano-USD."""
        return await daily(self._conn, budget_id, since, before)
