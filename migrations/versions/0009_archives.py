"""Archives of closed months: what was moved where, and the one way in which a partition may go.

Revision: 0009, after 0008. The previous release goes on writing into the partitions; it knows nothing of archives.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"

TABLES = """
CREATE TABLE archives (
    id text PRIMARY KEY,
    table_name text NOT NULL CHECK (table_name IN ('audit_logs', 'spend_logs')),
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    part int NOT NULL CHECK (part >= 0),
    state text NOT NULL CHECK (state IN ('writing', 'verified', 'failed')),
    store_url text NOT NULL,
    object_key text NOT NULL,
    version text,
    rows bigint,
    bytes bigint,
    sha256 text,
    fingerprint numeric,
    first_at timestamptz,
    last_at timestamptz,
    chains jsonb,
    locked_until timestamptz,
    error text,
    started_at timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz,
    dropped_at timestamptz,
    UNIQUE (table_name, month, part),
    CHECK (state <> 'verified' OR (rows, bytes, sha256, fingerprint, verified_at) IS NOT NULL),
    CHECK (dropped_at IS NULL OR state = 'verified')
);
-- What is known of rows that are nowhere else any more is not changed.
CREATE FUNCTION archives_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.dropped_at IS NOT NULL THEN
        RAISE EXCEPTION 'the archive % holds the only copy of its rows', OLD.id;
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER archives_kept BEFORE UPDATE OR DELETE ON archives FOR EACH ROW EXECUTE FUNCTION archives_kept();
-- How many days stay in the database; a licence that asks for fewer waits until somebody confirms it.
CREATE TABLE archive_retention (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    days int NOT NULL CHECK (days > 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO settings (key, value)
VALUES ('install_id', to_jsonb('inst_' || left(replace(gen_random_uuid()::text, '-', ''), 16)))
ON CONFLICT DO NOTHING;
"""

# What a row looks like as text depends on these settings of a session, so they are the function's own.
FUNCTIONS = """
CREATE FUNCTION archive_month(parent text, month date) RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    child regclass := to_regclass(format('public.%I', parent || '_' || to_char(month, 'YYYYMM')));
BEGIN
    IF parent NOT IN ('spend_logs', 'audit_logs') THEN
        RAISE EXCEPTION 'nothing is archived of %', parent;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = child AND inhparent = parent::regclass) THEN
        RETURN NULL;
    END IF;
    RETURN child;
END $$;
CREATE FUNCTION archive_fingerprint(parent text, month date, OUT rows bigint, OUT fingerprint numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC'
SET datestyle = 'ISO, YMD' SET bytea_output = 'hex' SET extra_float_digits = 1 SET intervalstyle = 'postgres' AS $$
BEGIN
    EXECUTE format(
        'SELECT count(*), coalesce(sum(hashtextextended(part::text, 0)::numeric), 0) FROM %s AS part',
        archive_month(parent, month)
    ) INTO rows, fingerprint;
END $$;
CREATE FUNCTION archive_partitions(OUT parent text, OUT month date, OUT bytes bigint, OUT estimate bigint)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT inhparent::regclass::text, to_date(right(child.relname, 6), 'YYYYMM'),
        pg_total_relation_size(child.oid), greatest(child.reltuples, 0)::bigint
    FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
    WHERE inhparent IN ('audit_logs'::regclass, 'spend_logs'::regclass) AND child.relname ~ '_[0-9]{6}$'
    ORDER BY 1, 2
$$;
-- The only way in which a partition goes: its month is over, and an archive holds exactly its rows.
CREATE FUNCTION archive_drop(archive_id text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    archive archives;
    child regclass;
    found_rows bigint;
    found_fingerprint numeric;
BEGIN
    SELECT * INTO archive FROM archives WHERE id = archive_id FOR UPDATE;
    IF archive.id IS NULL OR archive.state <> 'verified' OR archive.dropped_at IS NOT NULL THEN
        RAISE EXCEPTION 'there is no verified archive % of a partition', archive_id;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'rows that came meanwhile are not seen in a transaction that is %',
            current_setting('transaction_isolation');
    END IF;
    IF archive.month + interval '1 month' > now() AT TIME ZONE 'UTC' THEN
        RAISE EXCEPTION 'the month % is not over', archive.month;
    END IF;
    child := archive_month(archive.table_name, archive.month);
    IF child IS NULL THEN
        RAISE EXCEPTION '% has no partition for %', archive.table_name, archive.month;
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE MODE', child);
    SELECT * INTO found_rows, found_fingerprint FROM archive_fingerprint(archive.table_name, archive.month);
    IF (found_rows, found_fingerprint) IS DISTINCT FROM (archive.rows, archive.fingerprint) THEN
        RAISE EXCEPTION 'the partition % has % rows, and they are not the % of the archive', child, found_rows,
            archive.rows USING ERRCODE = 'SC001';
    END IF;
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %s', archive.table_name, child);
    EXECUTE format('DROP TABLE %s', child);
    UPDATE archives SET dropped_at = clock_timestamp() WHERE id = archive_id;
    RETURN found_rows;
END $$;
CREATE FUNCTION archive_drop_empty(parent text, month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    child regclass := archive_month(parent, month);
    has_rows boolean;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'rows that came meanwhile are not seen in a transaction that is %',
            current_setting('transaction_isolation');
    END IF;
    IF child IS NULL OR month + interval '2 months' > now() AT TIME ZONE 'UTC' THEN
        RAISE EXCEPTION '% has no partition for % that could go', parent, month;
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE MODE', child);
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s)', child) INTO has_rows;
    IF has_rows THEN
        RAISE EXCEPTION 'the partition % is not empty', child;
    END IF;
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %s', parent, child);
    EXECUTE format('DROP TABLE %s', child);
END $$;
"""

GRANTS = """
REVOKE ALL ON FUNCTION archive_month, archive_fingerprint, archive_partitions, archive_drop, archive_drop_empty
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION archive_partitions TO scutum_app, scutum_archiver;
GRANT EXECUTE ON FUNCTION archive_fingerprint, archive_drop, archive_drop_empty TO scutum_archiver;
GRANT SELECT ON archives TO scutum_app;
GRANT SELECT, INSERT, UPDATE ON archive_retention TO scutum_app;
GRANT SELECT, DELETE ON archives TO scutum_archiver;
GRANT INSERT (id, table_name, month, part, state, store_url, object_key) ON archives TO scutum_archiver;
GRANT UPDATE (state, version, rows, bytes, sha256, fingerprint, first_at, last_at, chains, locked_until, error,
    verified_at) ON archives TO scutum_archiver;
GRANT SELECT ON settings TO scutum_archiver;
"""


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        for part in (TABLES, FUNCTIONS, GRANTS):
            cursor.execute(part)
