"""People, service accounts and their sessions.

Revision: 0010, after 0009. Adds tables only: the previous release does not look at them.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

# A null org is the whole install. `email` is kept as people wrote it, `email_key` as it is compared.
ACCOUNTS = """
CREATE TABLE users (
    id text PRIMARY KEY,
    org_id text REFERENCES orgs,
    email text NOT NULL,
    email_key text NOT NULL UNIQUE,
    name text,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'approver', 'viewer')),
    password_hash text,
    oidc_issuer text,
    oidc_subject text,
    disabled_at timestamptz,
    last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (oidc_issuer, oidc_subject),
    CHECK ((oidc_issuer IS NULL) = (oidc_subject IS NULL))
);
CREATE INDEX users_org ON users (org_id);
CREATE TABLE service_accounts (
    id text PRIMARY KEY,
    org_id text REFERENCES orgs,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'approver', 'viewer')),
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    hint text NOT NULL,
    previous_hash bytea UNIQUE CHECK (length(previous_hash) = 32),
    previous_valid_until timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX service_accounts_name ON service_accounts (org_id, name) NULLS NOT DISTINCT
    WHERE revoked_at IS NULL;
"""

# `credential` is what the session was opened with: another master key, or another service token, ends it.
SESSIONS = """
CREATE TABLE sessions (
    id text PRIMARY KEY,
    actor_id text NOT NULL,
    actor_kind text NOT NULL,
    user_id text REFERENCES users ON DELETE CASCADE,
    service_account_id text REFERENCES service_accounts ON DELETE CASCADE,
    credential bytea,
    method text NOT NULL,
    ip inet,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by text
);
CREATE INDEX sessions_user ON sessions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX sessions_service_account ON sessions (service_account_id) WHERE service_account_id IS NOT NULL;
CREATE INDEX sessions_expiry ON sessions (expires_at);
CREATE TABLE refresh_tokens (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32),
    session_id text NOT NULL REFERENCES sessions ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE TABLE login_places (
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    ip inet NOT NULL,
    last_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, ip)
);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON users, service_accounts, sessions, refresh_tokens, login_places TO scutum_app;
"""


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        for part in (ACCOUNTS, SESSIONS, GRANTS):
            cursor.execute(part)
