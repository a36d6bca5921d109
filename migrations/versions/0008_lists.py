"""Lists that stay flat however long they are, and names that look alike.

Revision: 0008, after 0007. The previous release reads and writes every table as before: a trigger fills what it does
not know. Indexes are made while writers go on; a run that was killed half-way is simply repeated.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

# Unicode's compatibility form, then Cyrillic and Greek letters as the Latin ones whose shapes they share (UTS 39).
SKELETON = """
CREATE OR REPLACE FUNCTION name_skeleton(name text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT translate(normalize(name, NFKC),
        'АВЕЅІЈКМНОРСТУХаеорсухѕіјһԁԛԝѵкΑΒΕΖΗΙΚΜΝΟΡΤΥΧαινορυγκ',
        'ABESIJKMHOPCTYXaeopcyxsijhdqwvkABEZHIKMNOPTYXaivopuyk')
$$;
"""

# A key never changes its team, and a team never its org.
KEY_ORGS = """
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS org_id text;
CREATE OR REPLACE FUNCTION api_keys_org() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    NEW.org_id := (SELECT org_id FROM teams WHERE id = NEW.team_id);
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER api_keys_org BEFORE INSERT ON api_keys FOR EACH ROW EXECUTE FUNCTION api_keys_org();
"""
FILL = """
WITH part AS (SELECT id FROM api_keys WHERE id > %(after)s ORDER BY id LIMIT 5000),
filled AS (
    UPDATE api_keys k SET org_id = t.org_id FROM teams t
    WHERE t.id = k.team_id AND k.org_id IS NULL AND k.id IN (SELECT id FROM part)
)
SELECT max(id) FROM part
"""

INDEXES = {
    "orgs_name_order": 'orgs (name COLLATE "C", id)',
    "orgs_skeleton": "orgs (name_skeleton(name))",
    "units_name_order": 'units (name COLLATE "C", id)',
    "units_org": "units (org_id, id)",
    "units_skeleton": "units (org_id, name_skeleton(name))",
    "teams_name_order": 'teams (name COLLATE "C", id)',
    "teams_org": "teams (org_id, id)",
    "teams_org_name_order": 'teams (org_id, name COLLATE "C", id)',
    "teams_unit": "teams (unit_id, id)",
    "teams_skeleton": "teams (org_id, name_skeleton(name))",
    "teams_id_start": 'teams (id COLLATE "C")',
    "teams_id_end": 'teams (reverse(id) COLLATE "C")',
    "api_keys_name_order": 'api_keys (name COLLATE "C", id)',
    "api_keys_team": "api_keys (team_id, id)",
    "api_keys_org": "api_keys (org_id, id)",
    "api_keys_org_name_order": 'api_keys (org_id, name COLLATE "C", id)',
    "api_keys_expiry": "api_keys ((coalesce(expires_at, 'infinity')), id)",
    "api_keys_owner": "api_keys (owner, id) WHERE owner IS NOT NULL",
    "api_keys_revoked": "api_keys (id) WHERE revoked_at IS NOT NULL",
    "api_keys_expiring": "api_keys (expires_at) WHERE revoked_at IS NULL AND expires_at IS NOT NULL",
    "api_keys_skeleton": "api_keys (team_id, name_skeleton(name)) WHERE revoked_at IS NULL",
    "api_keys_id_start": 'api_keys (id COLLATE "C")',
    "api_keys_id_end": 'api_keys (reverse(id) COLLATE "C")',
    "providers_name_order": 'providers (name COLLATE "C", id)',
    "deployments_name_order": 'deployments (name COLLATE "C", id)',
    "aliases_name_order": 'aliases (name COLLATE "C")',
    "limits_scope_order": 'limits (scope COLLATE "C", id)',
    "limits_org": "limits (org_id, id)",
    "limits_id_start": 'limits (id COLLATE "C")',
    "limits_id_end": 'limits (reverse(id) COLLATE "C")',
    "budgets_scope_order": 'budgets (scope COLLATE "C", id)',
    "budgets_amount_order": "budgets (amount_nano_usd, id)",
    "budgets_org": "budgets (org_id, id)",
    "budgets_id_start": 'budgets (id COLLATE "C")',
    "budgets_id_end": 'budgets (reverse(id) COLLATE "C")',
}
"""By name. Those over `COLLATE "C"` order by code point, and find what begins like a text."""
INVALID = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%(name)s) AND NOT indisvalid"


def upgrade() -> None:
    # The driver's own cursor: without parameters it reads neither `%` nor `:name` inside the statements.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(SKELETON)
        cursor.execute(KEY_ORGS)
    with op.get_context().autocommit_block(), op.get_bind().connection.cursor() as cursor:
        after = ""
        while after is not None:
            after = cursor.execute(FILL, {"after": after}).fetchone()[0]
        for name, what in INDEXES.items():
            # What a killed run has left behind is of no use.
            if cursor.execute(INVALID, {"name": name}).fetchone():
                cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
            cursor.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {what}")
