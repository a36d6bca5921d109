"""Licences, the latest time that was ever seen, and what was told of both.

Revision: 0006, after 0005. It only adds: the previous release does not know the tables.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

# The service may neither delete a licence nor change what one said: the rows are the history.
LICENCES = """
CREATE TABLE licenses (
    id text PRIMARY KEY,
    license_id text NOT NULL,
    issuer text NOT NULL,
    tier text NOT NULL,
    customer_email text NOT NULL,
    company text NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    features jsonb NOT NULL,
    token text NOT NULL,
    source text NOT NULL CHECK (source IN ('seed', 'activate')),
    activated_by text NOT NULL,
    activated_at timestamptz NOT NULL DEFAULT now(),
    superseded_at timestamptz
);
CREATE UNIQUE INDEX licenses_active ON licenses ((true)) WHERE superseded_at IS NULL;
CREATE TABLE license_clock (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    seen_at timestamptz NOT NULL,
    ahead_at timestamptz,
    ahead_since timestamptz
);
INSERT INTO license_clock (seen_at) VALUES ('epoch');
CREATE TABLE license_told (
    fingerprint text NOT NULL,
    what text NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (fingerprint, what)
);
GRANT SELECT, INSERT ON licenses TO scutum_app;
GRANT UPDATE (superseded_at) ON licenses TO scutum_app;
GRANT SELECT, UPDATE ON license_clock TO scutum_app;
GRANT SELECT, INSERT, DELETE ON license_told TO scutum_app;
"""


def upgrade() -> None:
    # The driver's own cursor: without parameters it reads neither `%` nor `:name` inside the statements.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(LICENCES)
