"""How aliases go about their targets, and further keys of a provider.

Revision: 0003, after 0002. The previous release reads and writes both tables as before.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

ROUTING = """
ALTER TABLE aliases ADD COLUMN settings jsonb NOT NULL DEFAULT '{}';
CREATE TABLE provider_keys (
    id text PRIMARY KEY,
    provider_id text NOT NULL REFERENCES providers ON DELETE CASCADE,
    wrapped bytea NOT NULL,
    hint text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX provider_keys_provider ON provider_keys (provider_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON provider_keys TO scutum_app;
"""


def upgrade() -> None:
    # The driver's own cursor: without parameters it reads neither `%` nor `:name` inside the statements.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(ROUTING)
