"""Roles, database and schema: what `scutum-server migrate` does, alone and safely repeatable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql

from scutum_server.errors import ScutumError
from scutum_server.infra import jobs
from scutum_server.settings import DatabaseSettings, MigrateSettings

_LOCK = 0x5C07_0B1E
_ARCHIVER = "scutum_archiver"
_ROLES = ("scutum_owner", "scutum_app", _ARCHIVER)


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
    """As superuser: create roles, database and the vector extension where they are missing, and set passwords.

    On an external server the superuser may be any role that can create roles. Raises MigrationError when it cannot, or
    when the roles belong to another install: roles are the whole server's, and a new password would lock that one out.
    """
    if settings.superuser is None:
        return
    owner = settings.owner
    passwords = [(owner.user, owner.password), (settings.app_user, settings.app_password)]
    if settings.archiver_password is not None:
        passwords.append((_ARCHIVER, settings.archiver_password))
    with _administer(settings.superuser, external=settings.external) as conn:
        missing = {role for role in _ROLES if not _can_log_in(conn, role, exists=True)}
        if settings.external:
            _may_create_roles(conn, missing)
            for role, password in passwords:
                if _can_log_in(conn, role) and not _opens(settings.superuser, role, password):
                    raise MigrationError(
                        f"The role {role} exists on this server with another password.",
                        hint="Take the POSTGRES_… passwords of the install that made it, or drop the role.",
                    )
        for role in sorted(missing):
            conn.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        if settings.external and missing:
            # Who is no superuser must be a member of a role to give something to it.
            conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(owner.user)))
        for role, password in passwords:
            verifier = conn.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
            conn.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier)))
        if not conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (owner.dbname,)).fetchone():
            conn.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(owner.dbname), sql.Identifier(owner.user))
            )
    with psycopg.connect(**replace(settings.superuser, dbname=owner.dbname).conninfo(), autocommit=True) as conn:  # type: ignore[arg-type]
        _create_extension(conn)
        conn.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        grant = sql.SQL("GRANT CREATE, CONNECT, TEMPORARY ON DATABASE {} TO {}")
        conn.execute(grant.format(sql.Identifier(owner.dbname), sql.Identifier(owner.user)))
        conn.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(owner.user)))


def _create_extension(conn: _Connection) -> None:
    try:
        conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.errors.InsufficientPrivilege:
        hint = f"Have a superuser run CREATE EXTENSION vector in the database {conn.info.dbname}, then again."
        raise MigrationError("The role of DATABASE_URL may not create the extension vector.", hint=hint) from None
    except (psycopg.errors.UndefinedFile, psycopg.errors.FeatureNotSupported):
        raise MigrationError(
            "This PostgreSQL lacks the extension vector.", hint="Install pgvector on the database's host."
        ) from None


_Connection = psycopg.Connection[tuple[Any, ...]]


def _administer(settings: DatabaseSettings, *, external: bool) -> _Connection:
    """A connection to the settings' database, or to `postgres` while that does not exist."""
    try:
        return psycopg.connect(**settings.conninfo(), autocommit=True)  # type: ignore[arg-type]
    except psycopg.OperationalError as error:
        if "does not exist" in str(error) and settings.dbname in str(error) and settings.dbname != "postgres":
            return _administer(replace(settings, dbname="postgres"), external=external)
        if not external:
            raise
        raise MigrationError(
            f"PostgreSQL at {settings.host}:{settings.port} does not let {settings.user} in: {_reason(error)}.",
            hint="Mend DATABASE_URL in config/.env, or the server's rules for this host.",
        ) from None


def _reason(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].rpartition("FATAL:")[2].strip().rstrip(".") if lines else type(error).__name__


def _can_log_in(conn: _Connection, role: str, *, exists: bool = False) -> bool:
    """Whether the role may log in, or (`exists`) is there at all."""
    row = conn.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    return row is not None and (exists or bool(row[0]))


def _opens(settings: DatabaseSettings, role: str, password: str) -> bool:
    try:
        psycopg.connect(**replace(settings, user=role, password=password).conninfo()).close()  # type: ignore[arg-type]
    except psycopg.OperationalError as error:
        # A database that does not exist, or that the role may not enter, is said after the password was right.
        return "password authentication failed" not in str(error)
    return True


def _may_create_roles(conn: _Connection, missing: set[str]) -> None:
    row = conn.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user").fetchone()
    if missing and not (row and row[0]):
        raise MigrationError(
            f"The role of DATABASE_URL may not create roles, and {', '.join(sorted(missing))} are missing.",
            hint="Use a role with CREATEROLE: it serves for the schema only, the services get roles of their own.",
        )


def upgrade(owner: DatabaseSettings) -> tuple[str | None, str]:
    """Bring the schema to `head()`; returns the revision before and after.

    One process at a time (advisory lock, 60 s); a statement that waits 5 s for a table lock gives up.
    """

    def connect() -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(**owner.conninfo(application_name="scutum-migrate"))  # type: ignore[arg-type]

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=connect, poolclass=sqlalchemy.NullPool)
    with connect() as guard, engine.connect() as connection:
        # An open transaction here would be one that CREATE INDEX CONCURRENTLY waits for.
        guard.autocommit = True
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
        with connect() as own:
            own.execute("SET lock_timeout = '5s'")
            jobs.apply(own)
    return before, head()
