"""Rate limits and budgets.

Revision: 0002, after 0001. Safe on live tables: it only adds. Downgrade is not offered: a rollback switches code only.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

LIMITS = """
CREATE TABLE limits (
    id text PRIMARY KEY,
    scope text NOT NULL CHECK (scope IN ('global', 'team', 'key', 'user', 'model', 'team+model')),
    org_id text REFERENCES orgs,
    team_id text REFERENCES teams ON DELETE CASCADE,
    key_id text REFERENCES api_keys ON DELETE CASCADE,
    user_name text,
    model text,
    rpm bigint CHECK (rpm > 0),
    tpm bigint CHECK (tpm > 0),
    rpd bigint CHECK (rpd > 0),
    tpd bigint CHECK (tpd > 0),
    concurrency bigint CHECK (concurrency > 0),
    burst bigint CHECK (burst > 0),
    on_failure text NOT NULL CHECK (on_failure IN ('open', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(rpm, tpm, rpd, tpd, concurrency, burst) > 0),
    CHECK ((scope IN ('team', 'team+model')) = (team_id IS NOT NULL)),
    CHECK ((scope = 'key') = (key_id IS NOT NULL)),
    CHECK ((scope = 'user') = (user_name IS NOT NULL)),
    CHECK ((scope IN ('model', 'team+model')) = (model IS NOT NULL))
);
CREATE UNIQUE INDEX limits_target ON limits (scope, coalesce(team_id, key_id, user_name, ''), coalesce(model, ''));
CREATE INDEX limits_team ON limits (team_id);
CREATE INDEX limits_key ON limits (key_id);
"""

# A double holds whole nano-USD up to 2^53: nine million dollars.
BUDGETS = """
CREATE TABLE budgets (
    id text PRIMARY KEY,
    scope text NOT NULL CHECK (scope IN ('global', 'org', 'unit', 'team', 'key', 'user')),
    org_id text REFERENCES orgs,
    unit_id text REFERENCES units ON DELETE CASCADE,
    team_id text REFERENCES teams ON DELETE CASCADE,
    key_id text REFERENCES api_keys ON DELETE CASCADE,
    user_name text,
    period text NOT NULL CHECK (period IN ('day', 'week', 'month')),
    amount_nano_usd bigint NOT NULL CHECK (amount_nano_usd BETWEEN 0 AND 9000000000000000),
    soft_percent smallint NOT NULL CHECK (soft_percent BETWEEN 1 AND 100),
    output_tokens bigint NOT NULL CHECK (output_tokens >= 16),
    on_failure text NOT NULL CHECK (on_failure IN ('open', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (scope <> 'org' OR org_id IS NOT NULL),
    CHECK ((scope = 'unit') = (unit_id IS NOT NULL)),
    CHECK ((scope = 'team') = (team_id IS NOT NULL)),
    CHECK ((scope = 'key') = (key_id IS NOT NULL)),
    CHECK ((scope = 'user') = (user_name IS NOT NULL))
);
CREATE UNIQUE INDEX budgets_target ON budgets
    (scope, coalesce(unit_id, team_id, key_id, user_name, org_id, ''), period);
CREATE INDEX budgets_team ON budgets (team_id);
CREATE INDEX budgets_key ON budgets (key_id);
"""

GRANTS = "GRANT SELECT, INSERT, UPDATE, DELETE ON limits, budgets TO scutum_app"


def upgrade() -> None:
    # The driver's own cursor: without parameters it reads neither `%` nor `:name` inside the statements.
    with op.get_bind().connection.cursor() as cursor:
        for part in (LIMITS, BUDGETS, GRANTS):
            cursor.execute(part)
