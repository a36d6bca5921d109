"""Which proxy worker a spend record is from: what a lost host had leased of a budget is reconciled by it.

Revision: 0004, after 0003. The previous release writes the table without the column.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute("ALTER TABLE spend_logs ADD COLUMN worker text")
