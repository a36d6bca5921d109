"""Roles, database and schema: what `scutum-server migrate` does, alone and safely repeatable."""

from __future__ import annotations

from pathlib import Path

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql

from scutum_server.errors import ScutumError
from scutum_server.settings import DatabaseSettings, MigrateSettings

_LOCK = 0x5C07_0B1E
_ROLES = ("scutum_owner", "scutum_app", "scutum_archiver")


class MigrationError(ScutumError):
    code = "migration_failed"


def _script_location() -> Path:
    installed = Path(__file__).parents[1] / "migrations"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_script_location()).replace("%", "%%"))
    return config


def head() -> str:
    """The schema revision that this code was written for."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise MigrationError("This build carries no migrations.", hint="Install the release again.")
    return revision


def prepare_cluster(settings: MigrateSettings) -> None:
    """As superuser: create roles, database and the vector extension where they are missing, and set passwords."""
    if settings.superuser is None:
        return
    owner, app = settings.owner, settings.app_user
    with psycopg.connect(**settings.superuser.conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        for role in _ROLES:
            if not conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                conn.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        for role, password in ((owner.user, owner.password), (app, settings.app_password)):
            verifier = conn.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
            conn.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier)))
        if not conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (owner.dbname,)).fetchone():
            conn.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(owner.dbname), sql.Identifier(owner.user))
            )
    base = settings.superuser
    inside = DatabaseSettings(base.host, base.port, base.user, owner.dbname, base.password)
    with psycopg.connect(**inside.conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
        conn.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        conn.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(owner.user)))


def upgrade(owner: DatabaseSettings) -> tuple[str | None, str]:
    """Bring the schema to `head()`; returns the revision before and after.

    One process at a time (advisory lock, 60 s); a statement that waits 5 s for a table lock gives up.
    """

    def connect() -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(**owner.conninfo(application_name="scutum-migrate"))  # type: ignore[arg-type]

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=connect, poolclass=sqlalchemy.NullPool)
    with connect() as guard, engine.connect() as connection:
        guard.execute("SET lock_timeout = '60s'")
        guard.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        connection.execute(sqlalchemy.text("SET lock_timeout = '5s'"))
        connection.execute(sqlalchemy.text("SET statement_timeout = '10min'"))
        connection.commit()
        before = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
        if before is not None and before not in known:
            raise MigrationError(
                f"The database is at schema {before}, which this release does not know.",
                hint="Run the release that wrote it, or restore a backup.",
            )
        config = _config()
        config.attributes["connection"] = connection
        connection.rollback()
        command.upgrade(config, "head")
        connection.commit()
    return before, head()
