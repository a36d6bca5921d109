"""Alembic's entry: runs on the connection that `scutum_server.migrate` opened, locked and gave a timeout."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
