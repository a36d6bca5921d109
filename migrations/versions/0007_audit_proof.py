"""Signed checkpoints of the audit chains, where they were shipped to, what is asked of the audit's keeper, and indexes.

Revision: 0007, after 0006. The previous release reads and writes audit_logs as before.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

# Nothing is unique in it: who may insert could take the place of a true checkpoint with a false one.
CHECKPOINTS = """
CREATE TABLE audit_checkpoints (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id text NOT NULL,
    seq bigint NOT NULL,
    timestamp timestamptz NOT NULL,
    hash bytea NOT NULL,
    count bigint NOT NULL,
    signed_at timestamptz NOT NULL,
    key_id text NOT NULL,
    signature bytea NOT NULL
);
CREATE INDEX audit_checkpoints_org ON audit_checkpoints (org_id, seq);
CREATE INDEX audit_checkpoints_time ON audit_checkpoints (timestamp);
CREATE TABLE audit_keys (
    id text PRIMARY KEY,
    pem text NOT NULL,
    retired_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE audit_shipments (
    target text PRIMARY KEY,
    through bigint NOT NULL,
    shipped_at timestamptz,
    error text,
    failing_since timestamptz
);
"""

# What only the keeper can do, because it alone has the signing key: asked for here, answered here.
TASKS = """
CREATE TABLE audit_tasks (
    id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('verify', 'checkpoint', 'rotate')),
    org_id text,
    request jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    progress jsonb NOT NULL DEFAULT '{}',
    result jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    beat_at timestamptz,
    finished_at timestamptz
);
CREATE INDEX audit_tasks_open ON audit_tasks (created_at) WHERE state IN ('waiting', 'running');
"""

GRANTS = """
GRANT SELECT, INSERT ON audit_checkpoints TO scutum_app;
GRANT SELECT, INSERT, UPDATE ON audit_keys, audit_shipments TO scutum_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_tasks TO scutum_app;
"""


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        for part in (CHECKPOINTS, TASKS, GRANTS):
            cursor.execute(part)
