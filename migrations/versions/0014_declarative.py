"""The configuration as a file: what was applied last, where secrets come from, and many changes in one transaction.

Revision: 0014, after 0013. It only adds. The two functions do for many what audit_append() and config_changed() do
for one: those change one row as often as they are called, which takes time with the square of that in one transaction.
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"

TABLES = """
CREATE TABLE secret_references (
    provider_id text PRIMARY KEY REFERENCES providers ON DELETE CASCADE,
    reference text NOT NULL
);
CREATE TABLE config_applied (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    content text NOT NULL,
    sha256 text NOT NULL,
    pruned boolean NOT NULL,
    objects integer NOT NULL,
    applied_by text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    drifted_since timestamptz,
    checked_at timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON secret_references, config_applied TO scutum_app;
"""

AUDIT_ALL = """
CREATE FUNCTION audit_append_all(entry_org text, entries jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head audit_heads;
    entry jsonb;
    stamp timestamptz;
    body text;
    digest bytea;
BEGIN
    INSERT INTO audit_heads VALUES (entry_org, 0, '-infinity', '\\x') ON CONFLICT (org_id) DO NOTHING;
    SELECT * INTO head FROM audit_heads WHERE org_id = entry_org FOR UPDATE;
    FOR entry IN SELECT value FROM jsonb_array_elements(entries) WITH ORDINALITY AS e (value, place) ORDER BY place LOOP
        stamp := greatest(clock_timestamp(), head.timestamp + interval '1 microsecond');
        body := json_build_object(
            'seq', head.seq + 1,
            'timestamp', to_char(stamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'id', entry ->> 'id', 'org_id', entry_org, 'actor_id', entry ->> 'actor_id',
            'actor_kind', entry ->> 'actor_kind', 'actor_email', entry ->> 'actor_email',
            'ip', host((entry ->> 'ip')::inet), 'action', entry ->> 'action',
            'resource_type', entry ->> 'resource_type', 'resource_id', entry ->> 'resource_id', 'diff', entry -> 'diff',
            'request_id', entry ->> 'request_id', 'outcome', entry ->> 'outcome', 'source', entry ->> 'source'
        )::text;
        digest := sha256(head.hash || convert_to(body, 'UTF8'));
        INSERT INTO audit_logs VALUES (
            stamp, entry ->> 'id', entry_org, head.seq + 1, entry ->> 'actor_id', entry ->> 'actor_kind',
            entry ->> 'actor_email', (entry ->> 'ip')::inet, entry ->> 'action', entry ->> 'resource_type',
            entry ->> 'resource_id', entry -> 'diff', entry ->> 'request_id', entry ->> 'outcome', entry ->> 'source',
            body, head.hash, digest
        );
        head.seq := head.seq + 1;
        head.timestamp := stamp;
        head.hash := digest;
    END LOOP;
    UPDATE audit_heads SET seq = head.seq, timestamp = head.timestamp, hash = head.hash WHERE org_id = entry_org;
    RETURN head.seq;
END $$;
REVOKE ALL ON FUNCTION audit_append_all FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_append_all TO scutum_app;
"""

CONFIG_ALL = """
CREATE FUNCTION config_changed_all(change_kinds text[], changed_ids text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    new_version bigint;
BEGIN
    UPDATE config_version SET version = version + cardinality(changed_ids) RETURNING version INTO new_version;
    INSERT INTO config_changes (version, kind, object_id)
        SELECT new_version - cardinality(changed_ids) + c.place, c.kind, c.id
        FROM unnest(change_kinds, changed_ids) WITH ORDINALITY AS c (kind, id, place);
    PERFORM pg_notify('scutum_config', new_version::text);
    RETURN new_version;
END $$;
"""


def upgrade() -> None:
    # The driver's own cursor: without parameters it reads neither `%` nor `:name` inside the statements.
    with op.get_bind().connection.cursor() as cursor:
        for part in (TABLES, AUDIT_ALL, CONFIG_ALL):
            cursor.execute(part)
