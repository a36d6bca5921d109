"""Lists: sorted, filtered and paged the same way everywhere, and as fast at their end as at their beginning."""

from __future__ import annotations

import json
import re

import psycopg
import pytest

from scutum_server.gateway.store import ALIASES, MODELS, PROVIDERS
from scutum_server.identity.org_store import ORGS, TEAMS, UNITS
from scutum_server.identity.store import KEYS
from scutum_server.infra.listing import Ask, Listing
from scutum_server.limits.store import BUDGETS, LIMITS
from tests.fixtures.servers import Postgres
from tests.integration.admin.conftest import API, Admin

LISTS = {
    "/orgs": ORGS, "/units": UNITS, "/teams": TEAMS, "/keys": KEYS, "/providers": PROVIDERS, "/models": MODELS,
    "/aliases": ALIASES, "/limits": LIMITS, "/budgets": BUDGETS,
}  # fmt: skip


async def walk(admin: Admin, path: str, **params) -> list[dict]:
    """Every page, three items at a time."""
    seen, cursor = [], {}
    while True:
        page = await admin.get(path, limit=3, **params, **cursor)
        seen += page["items"]
        assert len(page["items"]) <= 3
        if page["next"] is None:
            return seen
        cursor = {"cursor": page["next"]}


async def test_pages_follow_the_order_and_lose_nothing(admin: Admin) -> None:
    names = ["beta", "Alpha", "alpha2", "über", "zeta", "10", "9", "a b", "équipe"]
    for name in names:
        await admin.make("/teams", name=name)
    found = [team["name"] for team in await walk(admin, "/teams", sort="name")]
    assert found == sorted([*names, "default"])
    assert [team["name"] for team in await walk(admin, "/teams", sort="-name")] == found[::-1]
    oldest = [team["name"] for team in await walk(admin, "/teams")]
    assert oldest == ["default", *names]
    assert [team["name"] for team in await walk(admin, "/teams", sort="-created_at")] == oldest[::-1]


async def test_what_comes_while_one_pages_is_neither_lost_nor_seen_twice(admin: Admin) -> None:
    for name in "bdfh":
        await admin.make("/teams", name=name)
    first = await admin.get("/teams", sort="name", limit=2)
    assert [team["name"] for team in first["items"]] == ["b", "d"]
    await admin.make("/teams", name="a")
    await admin.make("/teams", name="e")
    assert (await admin.call("DELETE", "/teams/d")).status_code == 204
    rest = await admin.get("/teams", sort="name", cursor=first["next"])
    assert [team["name"] for team in rest["items"]] == ["default", "e", "f", "h"]


async def test_keys_sort_by_when_they_end_with_those_that_never_do_last(admin: Admin) -> None:
    for name, days in (("long", 300), ("ever", None), ("short", 3), ("ever2", None), ("middle", 30)):
        await admin.make("/keys", name=name, **({"expires_in": days * 86400} if days else {}))
    assert [key["name"] for key in await walk(admin, "/keys", sort="expires_at")] == [
        "short", "middle", "long", "ever", "ever2",
    ]  # fmt: skip
    down = [key["name"] for key in await walk(admin, "/keys", sort="-expires_at")]
    assert down == ["ever2", "ever", "long", "middle", "short"]


async def test_filters(admin: Admin) -> None:
    await admin.make("/orgs", name="acme")
    await admin.make("/units", name="research", org="acme")
    await admin.make("/teams", name="search", org="acme", unit="research")
    await admin.make("/teams", name="seam", org="acme")
    for name, team in (("ci", "search"), ("ci-2", "search"), ("cd", "search"), ("ci", "seam")):
        await admin.make("/keys", name=name, team=team, owner="ada" if name == "cd" else None)
    await admin.call("POST", "/keys/ci-2/revoke")
    admin.sql("UPDATE api_keys SET expires_at = now() - interval '1 day' WHERE name = 'cd'")

    async def names(path: str, **filters) -> list[str]:
        return [item.get("name") or item["id"] for item in await walk(admin, path, **filters)]

    assert await names("/keys", name="ci") == ["ci", "ci"]
    assert await names("/keys", name="ci*", sort="name") == ["ci", "ci", "ci-2"]
    assert await names("/keys", name="*", team="search", sort="-name") == ["ci-2", "ci", "cd"]
    assert await names("/keys", state="active", team="search") == ["ci"]
    assert await names("/keys", state="revoked") == ["ci-2"]
    assert await names("/keys", state="expired", owner="ada") == ["cd"]
    assert await names("/keys", owner="nobody") == []
    assert await names("/teams", org="acme") == ["search", "seam"]
    assert await names("/teams", unit="research") == ["search"]
    assert await names("/teams", org="acme", name="sea*") == ["search", "seam"]
    assert await names("/units", org="acme") == ["research"]
    assert await names("/orgs", name="a*") == ["acme"]
    assert await names("/models", provider="sim", kind="embedding") == ["sim-embedding"]
    assert await names("/providers", kind="openai") == []
    assert await names("/aliases", name="co*") == ["coding", "cost-effective"]
    await admin.make("/limits", scope="team", team="search", rpm=1)
    await admin.make("/limits", scope="model", model="sim", rpm=1)
    assert [item["scope"] for item in await walk(admin, "/limits", team="search")] == ["team"]
    assert [item["scope"] for item in await walk(admin, "/limits", sort="-scope")] == ["team", "model"]
    for usd in ("7", "30", "0.5"):
        period = {"7": "day", "30": "week", "0.5": "month"}[usd]
        await admin.make("/budgets", scope="team", team="search", period=period, amount_usd=usd)
    assert [item["amount_usd"] for item in await walk(admin, "/budgets", sort="-amount_usd")] == ["30", "7", "0.5"]
    assert [item["amount_usd"] for item in await walk(admin, "/budgets", period="day", org="default")] == []
    keys = (await admin.get("/settings", key="keys.*", sort="-key"))["items"]
    assert [setting["key"] for setting in keys] == ["keys.rotation_overlap_seconds", "keys.default_ttl_days"]


@pytest.mark.parametrize("path", LISTS)
async def test_what_a_list_does_not_know_is_refused_by_name(admin: Admin, path: str) -> None:
    problem = await admin.fails("GET", f"{path}?nosuch=1", 400, "invalid_request")
    assert "sort" in problem["hint"] and problem["errors"][0]["field"] == "nosuch"
    problem = await admin.fails("GET", f"{path}?sort=nosuch", 422, "invalid_request")
    assert problem["errors"][0]["field"] == "sort"
    await admin.fails("GET", f"{path}?limit=0", 422, "invalid_request")
    for cursor in ("x", "WyJrZXlzIl0", "W10", "%C3%A9"):
        await admin.fails("GET", f"{path}?cursor={cursor}", 400, "invalid_cursor")


@pytest.mark.parametrize(("path", "listing"), LISTS.items())
def test_the_document_offers_what_the_list_can(path: str, listing: Listing) -> None:
    from scutum_server.admin import openapi
    from scutum_server.admin.app import routes

    operation = openapi.document(routes())["paths"][API + path]["get"]
    parameters = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}
    assert set(parameters) == {"limit", "cursor", "sort", *listing.filters}
    assert set(parameters["sort"]["enum"]) == {way + name for name in listing.sorts for way in ("", "-")}
    assert parameters["sort"]["default"] == listing.default_sort


async def test_a_cursor_belongs_to_one_order_and_holds_nothing_made_up(admin: Admin) -> None:
    for name in "abcd":
        await admin.make("/keys", name=name)
    cursor = (await admin.get("/keys", sort="expires_at", limit=2))["next"]
    for sort in ("name", "-expires_at", "created_at"):
        await admin.fails("GET", f"/keys?sort={sort}&cursor={cursor}", 400, "invalid_cursor")
    await admin.fails("GET", f"/teams?cursor={cursor}", 400, "invalid_cursor")
    from scutum_server.infra.listing import _encode

    for key in ("yesterday-ish", "", "\x00", "2026-99-99"):
        made_up = _encode(["keys", "expires_at", key, "x"])
        await admin.fails("GET", f"/keys?sort=expires_at&cursor={made_up}", 400, "invalid_cursor")
    assert (await admin.get("/keys"))["next"] is None


async def test_sql_in_a_filter_is_text(admin: Admin) -> None:
    for text in ("'", "' OR 1=1 --", "%", "_", "%(scope)s", "{}", "\\", "*", "**", "ci'; DROP TABLE teams; --*"):
        found = await admin.get("/teams", name=text)
        assert [team["name"] for team in found["items"]] == (["default"] if text == "*" else [])


FILL = """
INSERT INTO orgs (id, name) SELECT 'org_' || lpad(n::text, 16, '0'), 'org ' || n FROM generate_series(1, 20) n;
INSERT INTO units (id, org_id, name)
    SELECT 'unit_' || lpad(n::text, 16, '0'), 'org_' || lpad((n % 20 + 1)::text, 16, '0'), 'unit ' || n
    FROM generate_series(1, 2000) n;
INSERT INTO teams (id, org_id, unit_id, name)
    SELECT 'team_' || lpad(n::text, 16, '0'), u.org_id, u.id, md5(n::text) FROM generate_series(1, 8000) n
    JOIN units u ON u.id = 'unit_' || lpad((n % 2000 + 1)::text, 16, '0');
INSERT INTO api_keys (id, team_id, name, hash, hint, expires_at, revoked_at)
    SELECT 'key_' || lpad(n::text, 16, '0'), 'team_' || lpad((n % 8000 + 1)::text, 16, '0'), md5((n * 7)::text),
        sha256(n::text::bytea), 'sk-…', CASE WHEN n % 3 = 0 THEN now() + n * interval '1 minute' END,
        CASE WHEN n % 50 = 0 THEN now() END
    FROM generate_series(1, 30000) n;
INSERT INTO deployments (id, name, provider_id, upstream_model)
    SELECT 'model_' || lpad(n::text, 16, '0'), md5(n::text), (SELECT id FROM providers LIMIT 1), 'x'
    FROM generate_series(1, 8000) n;
INSERT INTO aliases (name, targets) SELECT 'alias-' || n, ARRAY['sim'] FROM generate_series(1, 8000) n;
INSERT INTO limits (id, scope, org_id, team_id, rpm, on_failure)
    SELECT 'limit_' || lpad(n::text, 16, '0'), 'team', t.org_id, t.id, n, 'open' FROM generate_series(1, 8000) n
    JOIN teams t ON t.id = 'team_' || lpad(n::text, 16, '0');
INSERT INTO budgets (id, scope, org_id, team_id, period, amount_nano_usd, soft_percent, output_tokens, on_failure)
    SELECT 'budget_' || lpad(n::text, 16, '0'), 'team', t.org_id, t.id, 'day', n, 80, 4096, 'open'
    FROM generate_series(1, 8000) n JOIN teams t ON t.id = 'team_' || lpad(n::text, 16, '0');
ANALYZE;
"""
SMALL = {"orgs", "providers"}
MIDDLE = {"created_at": "{}_0000000000005000", "name": "8", "scope": "team", "amount_usd": "4000", "expires_at": "2026-12-24"}


def heavy_steps(plan: dict, table: str) -> list[str]:
    """Steps that grow with the table: whole scans of it, and sorts of what may be all of it."""
    found = [f"{plan['Node Type']} {plan.get('Relation Name', '')}"] if (
        plan["Node Type"] == "Seq Scan" and plan["Relation Name"] == table
    ) or plan["Node Type"] == "Sort" else []
    return found + [step for below in plan.get("Plans", []) for step in heavy_steps(below, table)]


async def test_every_order_is_read_from_an_index(admin: Admin, postgres: Postgres) -> None:
    owner = postgres.owner(admin.database.dbname)
    with psycopg.connect(**owner.conninfo(), autocommit=True) as conn:
        conn.execute(FILL)
        # Of a few thousand rows a part is sorted faster than read in order: what counts is that an index has the order.
        conn.execute("SET enable_sort = off; SET enable_incremental_sort = off; SET enable_seqscan = off")

        def explain(query: str, params: dict) -> dict:
            rows = conn.execute("EXPLAIN (FORMAT JSON) " + query, params).fetchone()
            return rows[0][0]["Plan"]

        slow = []
        for listing in LISTS.values():
            table = {"models": "deployments", "keys": "api_keys"}.get(listing.kind, listing.kind)
            if table in SMALL:
                continue
            for name, sort in listing.sorts.items():
                for down in (False, True):
                    for scope in (None, "org_0000000000000003"):
                        query = listing._query(sort, down, [listing._scope] if scope and listing._scope else [], True)
                        key = MIDDLE[name].format(listing.kind.removesuffix("s"))
                        given = {"after_key": key, "after_id": f"{listing.kind.removesuffix('s')}_0000000000005000", "limit": 101, "scope": scope}
                        if listing.kind == "aliases":
                            given["after_id"] = "alias-5"
                        steps = heavy_steps(explain(query, given), table)
                        slow += [f"{listing.kind} by {name}{' down' if down else ''}{' of an org' if scope else ''}: {step}" for step in steps]
        assert slow == [], "\n".join(slow)


async def test_naming_one_reads_no_whole_table(admin: Admin, postgres: Postgres) -> None:
    from scutum_server.identity.org_store import TEAM_CANDIDATES
    from scutum_server.identity.store import KEY_CANDIDATES
    from scutum_server.limits.store import CANDIDATES

    owner = postgres.owner(admin.database.dbname)
    with psycopg.connect(**owner.conninfo(), autocommit=True) as conn:
        conn.execute(FILL)
        for table, query in (
            ("teams", TEAM_CANDIDATES), ("api_keys", KEY_CANDIDATES), ("limits", CANDIDATES["limit"]), ("budgets", CANDIDATES["budget"]),
        ):  # fmt: skip
            plan = conn.execute("EXPLAIN (FORMAT JSON) " + query, {"ref": "0042", "part": "0042", "scope": None}).fetchone()[0]
            assert f'"Seq Scan", "Relation Name": "{table}"' not in re.sub(r'"Parallel Aware".*?, |"Async Capable".*?, ', "", json.dumps(plan)), query
    assert (await admin.get("/keys/key_0000000000000042"))["name"]
    assert (await admin.get("/teams/0000000000007999"))["id"] == "team_0000000000007999"


async def test_a_list_s_page_can_be_asked_for_by_other_code(admin: Admin) -> None:
    async with admin.runtime.pool.connection() as conn:
        page = await TEAMS.page(conn, Ask(filters={"name": "def*"}), lambda row: row["name"])
    assert (page.items, page.next) == (["default"], None)
