"""An index for each column by which the audit trail is filtered, so that a page costs the same for whatever value.

Revision: 0013, after 0012. Safe on live tables: each partition's index is made while others write.
"""

from __future__ import annotations

from alembic import op
from psycopg import sql

revision = "0013"
down_revision = "0012"

# Nobody's address is in most rows of machines: these rows cost nothing.
INDEXES = {
    "audit_logs_by_actor": "(actor_id, timestamp)",
    "audit_logs_by_email": "(actor_email, timestamp) WHERE actor_email IS NOT NULL",
    "audit_logs_by_action": "(action, timestamp)",
    "audit_logs_by_type": "(resource_type, timestamp)",
    "audit_logs_by_resource": "(resource_id, timestamp)",
    "audit_logs_by_source": "(source, timestamp)",
    "audit_logs_by_outcome": "(outcome, timestamp)",
}
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass ORDER BY 1"
ATTACHED = """
SELECT 1 FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid
WHERE inhparent = %s::regclass AND indrelid = %s::regclass
"""


def upgrade() -> None:
    with op.get_context().autocommit_block(), op.get_bind().connection.cursor() as cursor:
        cursor.execute(PARTITIONS)
        partitions = [row[0] for row in cursor.fetchall()]
        for name, columns in INDEXES.items():
            # The parent's index is only a frame until every partition's one hangs in it.
            frame = "CREATE INDEX IF NOT EXISTS {} ON ONLY audit_logs " + columns
            cursor.execute(sql.SQL(frame).format(sql.Identifier(name)))
            for partition in partitions:
                cursor.execute(ATTACHED, (name, partition))
                if cursor.fetchone() is not None:
                    continue
                own = sql.Identifier(partition + name.removeprefix("audit_logs"))
                cursor.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(own))
                made = "CREATE INDEX CONCURRENTLY {} ON {} " + columns
                cursor.execute(sql.SQL(made).format(own, sql.Identifier(partition)))
                cursor.execute(sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(sql.Identifier(name), own))
