"""Single sign-on: the provider, and logins on their way.

Revision: 0016, after 0015. It only adds: the previous release does not look at any of it.
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"

SSO = """
CREATE TABLE sso (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    issuer text NOT NULL,
    client_id text NOT NULL,
    secret bytea,
    scopes text[] NOT NULL,
    redirect_uris text[] NOT NULL,
    groups_claim text NOT NULL,
    rules jsonb NOT NULL,
    default_role text,
    ca_bundle text,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE sso_flows (
    id bytea PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('code', 'device')),
    browser bytea,
    nonce text,
    secret bytea NOT NULL,
    redirect_uri text,
    interval_s int NOT NULL,
    due_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX sso_flows_expiry ON sso_flows (expires_at);
ALTER TABLE users ADD COLUMN sso_managed boolean NOT NULL DEFAULT false;
GRANT SELECT, INSERT, UPDATE, DELETE ON sso, sso_flows TO scutum_app;
"""


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(SSO)
