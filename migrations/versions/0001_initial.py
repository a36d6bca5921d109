"""Tenancy, configuration, spend, audit and the events outbox.

Revision: 0001, after nothing. Safe on an empty database and after a kill at any point: it is one transaction.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

CONFIGURATION = """
CREATE TABLE orgs (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    time_zone text NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE units (
    id text PRIMARY KEY,
    org_id text NOT NULL REFERENCES orgs,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, name)
);
CREATE TABLE teams (
    id text PRIMARY KEY,
    org_id text NOT NULL REFERENCES orgs,
    unit_id text REFERENCES units,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, name)
);
CREATE TABLE api_keys (
    id text PRIMARY KEY,
    team_id text NOT NULL REFERENCES teams,
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    hint text NOT NULL,
    previous_hash bytea UNIQUE CHECK (length(previous_hash) = 32),
    previous_valid_until timestamptz,
    owner text,
    allowed_models text[],
    allowed_routes text[],
    allowed_ips text[],
    metadata jsonb NOT NULL DEFAULT '{}',
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (team_id, name) WHERE revoked_at IS NULL;
CREATE TABLE providers (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    kind text NOT NULL,
    base_url text,
    api_key_wrapped bytea,
    api_key_hint text,
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE deployments (
    id text PRIMARY KEY,
    name text NOT NULL,
    provider_id text NOT NULL REFERENCES providers,
    upstream_model text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, provider_id)
);
CREATE INDEX deployments_provider ON deployments (provider_id);
CREATE TABLE aliases (
    name text PRIMARY KEY,
    targets text[] NOT NULL CHECK (cardinality(targets) > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE settings (
    key text PRIMARY KEY,
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
"""

# A sequence would number changes in the order they started, not committed: readers could miss one.
CONFIG_CHANGES = """
CREATE TABLE config_version (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version bigint NOT NULL
);
INSERT INTO config_version (version) VALUES (0);
CREATE TABLE config_changes (
    version bigint PRIMARY KEY,
    kind text NOT NULL,
    object_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION config_changed(change_kind text, changed_id text) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    new_version bigint;
BEGIN
    UPDATE config_version SET version = version + 1 RETURNING version INTO new_version;
    INSERT INTO config_changes (version, kind, object_id) VALUES (new_version, change_kind, changed_id);
    PERFORM pg_notify('scutum_config', new_version::text);
    RETURN new_version;
END $$;
"""

SPEND = """
CREATE TABLE spend_logs (
    ts timestamptz NOT NULL,
    request_id uuid NOT NULL,
    client_request_id text,
    org_id text,
    team_id text,
    key_id text,
    user_id text,
    route text,
    requested_model text,
    deployment_id text,
    model text,
    upstream_model text,
    provider text,
    simulated boolean NOT NULL DEFAULT false,
    stream boolean NOT NULL DEFAULT false,
    status smallint NOT NULL,
    error_kind text,
    tokens_in bigint NOT NULL DEFAULT 0,
    tokens_out bigint NOT NULL DEFAULT 0,
    tokens_cached bigint NOT NULL DEFAULT 0,
    tokens_reasoning bigint NOT NULL DEFAULT 0,
    usage_source text,
    cost_nano_usd bigint NOT NULL DEFAULT 0,
    price_source text,
    latency_us bigint NOT NULL DEFAULT 0,
    ttft_us bigint,
    overhead_us bigint,
    cache text NOT NULL DEFAULT 'bypass',
    guard jsonb,
    session_id text,
    attempts smallint NOT NULL DEFAULT 1,
    PRIMARY KEY (ts, request_id)
) PARTITION BY RANGE (ts);
CREATE TABLE spend_rollups (
    hour timestamptz NOT NULL,
    org_id text NOT NULL,
    team_id text NOT NULL,
    key_id text NOT NULL,
    model text NOT NULL,
    provider text NOT NULL,
    requests bigint NOT NULL,
    errors bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    tokens_cached bigint NOT NULL,
    cost_nano_usd bigint NOT NULL,
    simulated boolean NOT NULL DEFAULT false,
    PRIMARY KEY (hour, org_id, team_id, key_id, model, provider)
);
CREATE TABLE spend_rejects (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL,
    record bytea NOT NULL
);
"""

AUDIT = """
CREATE TABLE audit_logs (
    timestamp timestamptz NOT NULL,
    id text NOT NULL,
    org_id text NOT NULL,
    seq bigint NOT NULL,
    actor_id text NOT NULL,
    actor_kind text NOT NULL,
    actor_email text,
    ip inet,
    action text NOT NULL,
    resource_type text NOT NULL,
    resource_id text NOT NULL,
    diff jsonb NOT NULL,
    request_id text,
    outcome text NOT NULL,
    source text NOT NULL CHECK (source IN ('cli', 'tui', 'api', 'sre-agent', 'system')),
    canonical text NOT NULL,
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (timestamp, id)
) PARTITION BY RANGE (timestamp);
CREATE INDEX audit_logs_actor ON audit_logs (timestamp, actor_id);
CREATE INDEX audit_logs_action ON audit_logs (action, resource_type, timestamp);
CREATE INDEX audit_logs_org ON audit_logs (org_id, timestamp);
CREATE TABLE audit_heads (
    org_id text PRIMARY KEY,
    seq bigint NOT NULL,
    timestamp timestamptz NOT NULL,
    hash bytea NOT NULL
);
-- The chain covers `canonical`, kept as text: jsonb and Parquet do not give the same bytes back.
CREATE FUNCTION audit_append(
    entry_id text, entry_org text, entry_actor_id text, entry_actor_kind text, entry_actor_email text, entry_ip inet,
    entry_action text, entry_resource_type text, entry_resource_id text, entry_diff jsonb, entry_request_id text,
    entry_outcome text, entry_source text
) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head audit_heads;
    stamp timestamptz;
    body text;
    digest bytea;
BEGIN
    INSERT INTO audit_heads VALUES (entry_org, 0, '-infinity', '\\x') ON CONFLICT (org_id) DO NOTHING;
    SELECT * INTO head FROM audit_heads WHERE org_id = entry_org FOR UPDATE;
    stamp := greatest(clock_timestamp(), head.timestamp + interval '1 microsecond');
    body := json_build_object(
        'seq', head.seq + 1,
        'timestamp', to_char(stamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'id', entry_id, 'org_id', entry_org, 'actor_id', entry_actor_id, 'actor_kind', entry_actor_kind,
        'actor_email', entry_actor_email, 'ip', host(entry_ip), 'action', entry_action,
        'resource_type', entry_resource_type, 'resource_id', entry_resource_id, 'diff', entry_diff,
        'request_id', entry_request_id, 'outcome', entry_outcome, 'source', entry_source
    )::text;
    digest := sha256(head.hash || convert_to(body, 'UTF8'));
    INSERT INTO audit_logs VALUES (
        stamp, entry_id, entry_org, head.seq + 1, entry_actor_id, entry_actor_kind, entry_actor_email, entry_ip,
        entry_action, entry_resource_type, entry_resource_id, entry_diff, entry_request_id, entry_outcome,
        entry_source, body, head.hash, digest
    );
    UPDATE audit_heads SET seq = head.seq + 1, timestamp = stamp, hash = digest WHERE org_id = entry_org;
    RETURN stamp;
END $$;
"""

EVENTS = """
CREATE TABLE events_outbox (
    id text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    type text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'high', 'critical')),
    origin text NOT NULL,
    org_id text,
    dedup_key text NOT NULL,
    state text NOT NULL CHECK (state IN ('firing', 'repeated', 'resolved')),
    payload jsonb NOT NULL,
    published_at timestamptz
);
CREATE INDEX events_outbox_unpublished ON events_outbox (at) WHERE published_at IS NULL;
"""

# Partitions are made by a definer function so that the service's role needs no DDL.
PARTITIONS = """
CREATE FUNCTION ensure_month_partition(parent text, moment timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first timestamptz := date_trunc('month', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    after timestamptz := (date_trunc('month', moment AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    child text := parent || '_' || to_char(moment AT TIME ZONE 'UTC', 'YYYYMM');
BEGIN
    IF parent NOT IN ('spend_logs', 'audit_logs') THEN
        RAISE EXCEPTION 'no partitions are kept for %', parent;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext(child));
    IF to_regclass(child) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', child, parent, first, after);
        IF parent = 'spend_logs' THEN
            EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_insert_scale_factor = 0.02, '
                'autovacuum_analyze_scale_factor = 0.02)', child);
        END IF;
    END IF;
    RETURN child;
END $$;
CREATE FUNCTION ensure_partitions(months_ahead int) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT ensure_month_partition(parent, now() + make_interval(months => month))
    FROM unnest(ARRAY['spend_logs', 'audit_logs']) AS parent, generate_series(-1, months_ahead) AS month;
$$;
SELECT ensure_partitions(3);
"""

GRANTS = """
REVOKE ALL ON FUNCTION audit_append FROM PUBLIC;
REVOKE ALL ON FUNCTION ensure_month_partition FROM PUBLIC;
REVOKE ALL ON FUNCTION ensure_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_append, ensure_month_partition, ensure_partitions TO scutum_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    orgs, units, teams, api_keys, providers, deployments, aliases, settings, events_outbox, spend_rollups TO scutum_app;
GRANT SELECT, UPDATE ON config_version TO scutum_app;
GRANT SELECT, INSERT, DELETE ON config_changes TO scutum_app;
GRANT SELECT, INSERT ON spend_logs, spend_rejects TO scutum_app;
GRANT SELECT ON audit_logs, audit_heads, alembic_version TO scutum_app;
GRANT SELECT ON audit_logs, audit_heads, spend_logs TO scutum_archiver;
"""


def upgrade() -> None:
    # The driver's own cursor: without parameters it reads neither `%` nor `:name` inside the statements.
    with op.get_bind().connection.cursor() as cursor:
        for part in (CONFIGURATION, CONFIG_CHANGES, SPEND, AUDIT, EVENTS, PARTITIONS, GRANTS):
            cursor.execute(part)
