"""For which period of a budget it was told that the soft cap is passed.

Revision: 0005, after 0004. The previous release reads and writes the table as before.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute("ALTER TABLE budgets ADD COLUMN soft_told timestamptz")
