"""The only reader of the environment. Refuses missing and default secrets before anything starts.

Names are those of `config/.env` and of the launcher, which hands each process only what it needs.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scutum_server import store_urls, trace_settings
from scutum_server.audit_settings import AuditSettings, audit_settings
from scutum_server.environment import Environment as _Env
from scutum_server.errors import SettingsError
from scutum_server.key_rotation import Rotating, rotating
from scutum_server.object_settings import ArchiveSettings, archive_settings
from scutum_server.trace_settings import TraceSettings


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where Postgres is. `password` never shows in a repr."""

    host: str
    port: int
    user: str
    dbname: str
    password: str = field(repr=False)
    options: tuple[tuple[str, str], ...] = ()
    """Such as sslmode; these win over our own."""
    pooled: bool = False
    """Whether a pooler hands out the server's connections by the transaction: no state of a session lasts there."""

    def conninfo(self, **extra: str | int) -> dict[str, str | int]:
        """Keyword arguments for psycopg's connect()."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "dbname": self.dbname,
            "password": self.password,
            "connect_timeout": 5,
            **extra,
            **dict(self.options),
        }


@dataclass(frozen=True, slots=True)
class RedisSettings:
    host: str
    port: int
    db: int
    password: str = field(repr=False)
    user: str | None = None
    tls: bool = False
    options: tuple[tuple[str, str], ...] = ()
    """Files for TLS, by redis-py's names."""


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """`direct` is the database past a pooler, for what needs a session of its own: LISTEN, jobs, temporary tables."""

    database: DatabaseSettings
    direct: DatabaseSettings
    redis: RedisSettings
    master_key: str = field(repr=False)
    internal_service_key: str | None = field(repr=False)
    encryption_key: bytes = field(repr=False)
    spill_dir: Path
    state_dir: Path
    max_stale_seconds: int
    trusted_proxies: tuple[str, ...]
    failed_per_minute: int
    tls: tuple[Path, Path] | None
    host: str
    port: int
    fd: int | None
    max_body_bytes: int
    max_upload_bytes: Mapping[str, int]
    batch_poll_seconds: int
    drain_seconds: int
    traced_share: float | None
    """From 0 to 1; None when no collector takes traces."""
    upstream_proxy: str | None = field(repr=False)
    """A forward proxy's URL, perhaps with a password, for providers that name none of their own."""
    upstream_no_proxy: str | None
    litellm_python: Path


@dataclass(frozen=True, slots=True)
class AdminSettings:
    database: DatabaseSettings
    redis: RedisSettings
    master_key: str = field(repr=False)
    encryption_key: bytes = field(repr=False)
    jwt_secret: str = field(repr=False)
    internal_service_key: str = field(repr=False)
    host: str
    port: int
    proxy_url: str
    litellm_python: Path
    upstream_proxy: str | None = field(default=None, repr=False)
    upstream_no_proxy: str | None = None
    license_key: str | None = field(default=None, repr=False)
    """The licence to begin with; once one was activated, that one counts."""
    license_trust: Path | None = None
    """The public keys of those whose licences are believed."""
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)
    jwt_keys: Rotating | None = None
    service_keys: Rotating | None = None


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    database: DatabaseSettings
    direct: DatabaseSettings
    redis: RedisSettings
    status_file: Path | None
    traces: TraceSettings | None
    audit: AuditSettings
    license_trust: Path | None = None
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)


@dataclass(frozen=True, slots=True)
class MigrateSettings:
    """The owner's connection; `superuser` is set only while roles and the database are created.

    `external`: the server may have other users, and its superuser need not be one, but may create roles.
    """

    owner: DatabaseSettings
    superuser: DatabaseSettings | None
    app_user: str
    app_password: str = field(repr=False)
    external: bool = False
    archiver_password: str | None = field(default=None, repr=False)
    """None: the archiver's role cannot log in, and nothing is archived."""


def _database(env: _Env, user_var: str, password_var: str, default_user: str) -> DatabaseSettings:
    return DatabaseSettings(
        host=env.text("POSTGRES_HOST", "127.0.0.1"),
        port=env.integer("POSTGRES_PORT", 5432, 1, 65535),
        user=env.text(user_var, default_user),
        dbname=env.text("POSTGRES_DB", "scutum"),
        password=env.secret(password_var),
    )


def _external_database(env: _Env, name: str = "DATABASE_URL") -> DatabaseSettings | None:
    url = env.optional(name)
    if url is None:
        return None
    address = store_urls.postgres(name, url)
    return DatabaseSettings(
        address.host, address.port, address.user, address.path, address.password, options=address.options
    )


def _direct_database(env: _Env) -> DatabaseSettings:
    """DATABASE_DIRECT_URL, else the one database that there is."""
    direct = _external_database(env, "DATABASE_DIRECT_URL")
    if direct is not None and env.optional("DATABASE_URL") is None:
        raise SettingsError(
            "DATABASE_DIRECT_URL is set, and DATABASE_URL is not.",
            hint="DATABASE_URL is the pooler in front of that server; without a pooler, set DATABASE_URL alone.",
        )
    return direct or _app_database(env)


def _app_database(env: _Env) -> DatabaseSettings:
    external = _external_database(env)
    if external is not None:
        return replace(external, pooled=env.optional("DATABASE_DIRECT_URL") is not None)
    return _database(env, "POSTGRES_USER", "POSTGRES_PASSWORD", "scutum_app")


def _redis(env: _Env) -> RedisSettings:
    url = env.optional("REDIS_URL")
    if url is not None:
        address = store_urls.redis("REDIS_URL", url)
        return RedisSettings(
            address.host,
            address.port,
            int(address.path or 0),
            address.password,
            user=address.user or None,
            tls=address.tls,
            options=address.options,
        )
    return RedisSettings(
        host=env.text("VALKEY_HOST", "127.0.0.1"),
        port=env.integer("VALKEY_PORT", 6379, 1, 65535),
        db=env.integer("VALKEY_DB", 0, 0, 15),
        password=env.secret("VALKEY_PASSWORD"),
    )


def _encryption_key(env: _Env) -> bytes:
    raw = env.secret("SCUTUM_ENCRYPTION_KEY")
    try:
        key = base64.b64decode(raw, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise SettingsError(
            "SCUTUM_ENCRYPTION_KEY is not 32 bytes in base64.",
            hint="Put the key that this data was written with into config/.env; another key cannot read it.",
        )
    return key


def _rotating(env: _Env, name: str) -> Rotating:
    former = env.secret(f"{name}_PREVIOUS") if env.optional(f"{name}_PREVIOUS") else None
    return rotating(name, env.secret(name), former, env.optional(f"{name}_PREVIOUS_UNTIL"))


def _networks(env: _Env, name: str) -> tuple[str, ...]:
    networks = tuple(part.strip() for part in (env.optional(name) or "").split(",") if part.strip())
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise SettingsError(
                f"{name} has an entry that is no address or network: {network[:50]}.",
                hint=f"{name}=10.0.0.0/8,2001:db8::/32",
            ) from None
    return networks


def _tls(env: _Env) -> tuple[Path, Path] | None:
    certificate, key = env.optional("SCUTUM_TLS_CERTIFICATE"), env.optional("SCUTUM_TLS_KEY")
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise SettingsError(
            "SCUTUM_TLS_CERTIFICATE and SCUTUM_TLS_KEY are needed together.",
            hint="Set both in config/.env, or neither.",
        )
    return Path(certificate), Path(key)


def _traced_share(env: _Env) -> float | None:
    share = trace_settings.ratio(env.optional("OTEL_TRACES_SAMPLER_ARG"))
    return share if env.optional("OTEL_EXPORTER_OTLP_ENDPOINT") else None


_UPLOADS = {
    "/v1/files": ("SCUTUM_MAX_FILE_BYTES", 512),
    "/v1/images/edits": ("SCUTUM_MAX_IMAGE_BYTES", 64),
    "/v1/images/variations": ("SCUTUM_MAX_IMAGE_BYTES", 64),
    "/v1/audio/transcriptions": ("SCUTUM_MAX_AUDIO_BYTES", 32),
    "/v1/audio/translations": ("SCUTUM_MAX_AUDIO_BYTES", 32),
}
"""Setting and default in MiB by route: a little above what OpenAI takes, so that its own refusal is the one seen."""


def _litellm_python(env: _Env) -> Path:
    """The interpreter of the environment that has the LiteLLM library, which may not be there."""
    return Path(env.text("SCUTUM_LITELLM_PYTHON", str(Path(sys.prefix) / "litellm" / "bin" / "python")))


def _license_trust(env: _Env) -> Path | None:
    file = env.optional("SCUTUM_LICENSE_TRUST")
    return None if file is None else Path(file)


def proxy_settings(environ: Mapping[str, str] = os.environ) -> ProxySettings:
    env = _Env(environ)
    fd = env.integer("SCUTUM_PROXY_FD", -1, -1)
    spill_dir = Path(env.text("SCUTUM_SPILL_DIR"))
    return ProxySettings(
        database=_app_database(env),
        direct=_direct_database(env),
        redis=_redis(env),
        master_key=env.secret("SCUTUM_API_KEY"),
        internal_service_key=env.secret("INTERNAL_SERVICE_KEY") if env.optional("INTERNAL_SERVICE_KEY") else None,
        encryption_key=_encryption_key(env),
        spill_dir=spill_dir,
        state_dir=Path(env.text("SCUTUM_STATE_DIR", str(spill_dir / "state"))),
        trusted_proxies=_networks(env, "SCUTUM_TRUSTED_PROXIES"),
        failed_per_minute=env.integer("SCUTUM_FAILED_KEYS_PER_MINUTE", 60),
        tls=_tls(env),
        max_stale_seconds=env.integer("SCUTUM_MAX_STALE_SECONDS", 0),
        host=env.text("SCUTUM_PROXY_HOST", "127.0.0.1"),
        port=env.integer("SCUTUM_PROXY_PORT", 4000, 1, 65535),
        fd=None if fd < 0 else fd,
        max_body_bytes=env.integer("SCUTUM_MAX_BODY_BYTES", 10 * 1024 * 1024, 1024),
        batch_poll_seconds=env.integer("SCUTUM_BATCH_POLL_SECONDS", 300, 1, 86400),
        max_upload_bytes={
            route: env.integer(name, mib * 1024 * 1024, 1024, 2**40) for route, (name, mib) in _UPLOADS.items()
        },
        drain_seconds=env.integer("SCUTUM_DRAIN_SECONDS", 30, 0, 3600),
        traced_share=_traced_share(env),
        upstream_proxy=env.optional("UPSTREAM_PROXY"),
        upstream_no_proxy=env.optional("UPSTREAM_NO_PROXY"),
        litellm_python=_litellm_python(env),
    )


def admin_settings(environ: Mapping[str, str] = os.environ) -> AdminSettings:
    env = _Env(environ)
    return AdminSettings(
        database=_app_database(env),
        redis=_redis(env),
        master_key=env.secret("SCUTUM_API_KEY"),
        encryption_key=_encryption_key(env),
        jwt_secret=env.secret("JWT_SECRET_KEY"),
        internal_service_key=env.secret("INTERNAL_SERVICE_KEY"),
        jwt_keys=_rotating(env, "JWT_SECRET_KEY"),
        service_keys=_rotating(env, "INTERNAL_SERVICE_KEY"),
        host=env.text("SCUTUM_ADMIN_HOST", "127.0.0.1"),
        port=env.integer("SCUTUM_ADMIN_PORT", 8086, 1, 65535),
        proxy_url=env.text("SCUTUM_PROXY_URL", "http://127.0.0.1:4000"),
        upstream_proxy=env.optional("UPSTREAM_PROXY"),
        upstream_no_proxy=env.optional("UPSTREAM_NO_PROXY"),
        litellm_python=_litellm_python(env),
        license_key=env.optional("LICENSE_KEY"),
        license_trust=_license_trust(env),
        archive=archive_settings(env.optional),
    )


def worker_settings(environ: Mapping[str, str] = os.environ) -> WorkerSettings:
    env = _Env(environ)
    status = env.text("SCUTUM_WORKER_STATUS_FILE", "-")
    return WorkerSettings(
        database=_app_database(env),
        direct=_direct_database(env),
        redis=_redis(env),
        status_file=None if status == "-" else Path(status),
        traces=trace_settings.traces(env.optional),
        audit=audit_settings(env.optional, env.integer),
        license_trust=_license_trust(env),
        archive=archive_settings(env.optional),
    )


def migrate_settings(environ: Mapping[str, str] = os.environ) -> MigrateSettings:
    env = _Env(environ)
    superuser = _external_database(env, "DATABASE_DIRECT_URL") or _external_database(env)
    if superuser is not None:
        owner = replace(
            superuser,
            user=env.text("POSTGRES_OWNER", "scutum_owner"),
            password=env.secret("POSTGRES_OWNER_PASSWORD"),
        )
        return MigrateSettings(
            owner,
            superuser,
            env.text("POSTGRES_USER", "scutum_app"),
            env.secret("POSTGRES_PASSWORD"),
            external=True,
            archiver_password=env.optional("POSTGRES_ARCHIVER_PASSWORD"),
        )
    if environ.get("POSTGRES_SUPERUSER_PASSWORD"):
        base = _database(env, "POSTGRES_SUPERUSER", "POSTGRES_SUPERUSER_PASSWORD", "postgres")
        superuser = DatabaseSettings(base.host, base.port, base.user, "postgres", base.password)
    return MigrateSettings(
        owner=_database(env, "POSTGRES_OWNER", "POSTGRES_OWNER_PASSWORD", "scutum_owner"),
        superuser=superuser,
        app_user=env.text("POSTGRES_USER", "scutum_app"),
        app_password=env.secret("POSTGRES_PASSWORD"),
        archiver_password=env.optional("POSTGRES_ARCHIVER_PASSWORD"),
    )
