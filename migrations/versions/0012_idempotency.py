"""Answers to requests that must happen once.

Revision: 0012, after 0011. The previous release knows nothing of the table.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

# The answer is wrapped: it may hold a new key's secret.
KEYS = """
CREATE TABLE idempotency_keys (
    actor_id text NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    answer bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (actor_id, digest)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO scutum_app;
"""


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(KEYS)
