"""For which period of a budget it was told that the hard cap is reached.

Revision: 0017, after 0016. The previous release reads and writes the table as before.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute("ALTER TABLE budgets ADD COLUMN hard_told timestamptz")
