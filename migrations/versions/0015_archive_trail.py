"""That a month has left the database is on the audit trail, in the transaction in which it goes.

Revision: 0015, after 0014. The previous release calls the function as before.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"

DROP = """
CREATE OR REPLACE FUNCTION archive_drop(archive_id text) RETURNS bigint
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
    -- Before the detaching, since whoever appends holds the head of a chain and waits for the table.
    PERFORM audit_append(
        'aud_' || left(replace(gen_random_uuid()::text, '-', ''), 16), 'global', 'system', 'system', NULL, NULL,
        'archive.drop', 'archive', archive_id,
        jsonb_build_object('before', NULL, 'after', jsonb_build_object(
            'table', archive.table_name, 'month', to_char(archive.month, 'YYYY-MM'), 'part', archive.part,
            'rows', archive.rows, 'sha256', archive.sha256, 'store_url', archive.store_url, 'key', archive.object_key
        )),
        NULL, 'success', 'system'
    );
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %s', archive.table_name, child);
    EXECUTE format('DROP TABLE %s', child);
    UPDATE archives SET dropped_at = clock_timestamp() WHERE id = archive_id;
    RETURN found_rows;
END $$;
"""


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(DROP)
