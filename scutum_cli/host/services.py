"""The services of the embedded engine, in the order in which they start, and what each may know."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass

from scutum_cli.errors import CliError
from scutum_cli.host import stores
from scutum_cli.host.config import LOOPBACK, HostConfig
from scutum_cli.host.files import GENERATED
from scutum_cli.host.layout import Layout

_DATABASE = ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB")
# Settings of the machine that an upstream call may need.
PASSED_ON = (
    "LANG", "LC_ALL", "TZ", "PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
PROXY_SOCKET = "proxy"
_LICENSED = frozenset({"admin", "worker"})
"""Who looks at the licence: never the data plane."""
_UPSTREAM = ("UPSTREAM_PROXY", "UPSTREAM_NO_PROXY")
_SAMPLING = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER_ARG")
_OBJECTS = (
    "S3_ENDPOINT_URL", "S3_REGION", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_CA_BUNDLE", "S3_ADDRESSING",
)  # fmt: skip
_EXPORT = (
    *_SAMPLING, "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Service:
    """`secrets`: the names in config/.env that it is given; `grace`: seconds that a clean stop may take."""

    name: str
    secrets: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    grace: int = 15

    @property
    def is_ours(self) -> bool:
        """Whether it is a `scutum-server` process rather than a store."""
        return bool(self.secrets)


_ROTATED = tuple(
    name + part for name in ("JWT_SECRET_KEY", "INTERNAL_SERVICE_KEY") for part in ("", "_PREVIOUS", "_PREVIOUS_UNTIL")
)
# Postgres: SIGINT is its fast shutdown; SIGTERM would wait for every client to leave.
SERVICES: tuple[Service, ...] = (
    Service("postgres", stop_signal=signal.SIGINT, grace=60),
    Service("valkey", grace=30),
    Service(
        "admin",
        (
            *_DATABASE, "VALKEY_PASSWORD", "SCUTUM_API_KEY", "SCUTUM_ENCRYPTION_KEY",
            *_ROTATED, "LICENSE_KEY", *_UPSTREAM, *_OBJECTS,
        ),
    ),
    Service("worker", (*_DATABASE, "VALKEY_PASSWORD", "POSTGRES_ARCHIVER_PASSWORD", *_EXPORT, *_OBJECTS)),
    # A little longer than the proxy's own drain limit.
    Service(
        "proxy",
        (
            *_DATABASE, "VALKEY_PASSWORD", "SCUTUM_API_KEY", "SCUTUM_ENCRYPTION_KEY", "INTERNAL_SERVICE_KEY",
            *_SAMPLING, *_UPSTREAM,
        ),
        grace=40,
    ),
)  # fmt: skip
MIGRATE = Service(
    "migrate", (*_DATABASE, "POSTGRES_OWNER_PASSWORD", "POSTGRES_ARCHIVER_PASSWORD", "POSTGRES_SUPERUSER_PASSWORD")
)
BY_NAME = {service.name: service for service in (*SERVICES, MIGRATE)}
NAMES = tuple(service.name for service in SERVICES)


def external(config: HostConfig) -> dict[str, str]:
    """HOST:PORT of the stores that this install does not run itself, by service name."""
    places = {"postgres": config.external_database, "valkey": config.external_redis}
    return {name: place for name, place in places.items() if place}


def own(config: HostConfig) -> tuple[Service, ...]:
    """The services that this install runs, in starting order."""
    return tuple(service for service in SERVICES if service.name not in external(config))


def environment(
    service: Service, layout: Layout, config: HostConfig, env_file: Mapping[str, str], inherited: Mapping[str, str]
) -> dict[str, str]:
    """Everything that a service's process gets: its own secrets, addresses, and no more of the caller's environment."""
    env = {name: inherited[name] for name in PASSED_ON if name in inherited}
    env.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    env.update(SCUTUM_HOME=str(layout.home), SCUTUM_SERVICE=service.name, HOME=str(layout.run))
    if not service.is_ours:
        return env
    if service.name in _LICENSED:
        env["SCUTUM_LICENSE_TRUST"] = str(layout.license_trust)
    env["SCUTUM_ARCHIVE_URL"] = layout.archives.as_uri()
    # What an operator adds to config/.env reaches the servers; a secret only those that use it.
    env.update(
        {name: value for name, value in env_file.items() if name.startswith("SCUTUM_") and name not in GENERATED}
    )
    env.update({name: env_file[name] for name in service.secrets if name in env_file})
    env.update(_stores(service, config, env_file))
    env.update(
        PYTHONUNBUFFERED="1",
        SCUTUM_PROXY_HOST=config.proxy_host,
        SCUTUM_PROXY_PORT=str(config.proxy_port),
        SCUTUM_ADMIN_HOST=config.admin_host,
        SCUTUM_ADMIN_PORT=str(config.admin_port),
        SCUTUM_PROXY_URL=config.proxy_url,
        SCUTUM_SPILL_DIR=str(layout.spill),
        SCUTUM_STATE_DIR=str(layout.proxy_state),
        SCUTUM_WORKER_STATUS_FILE=str(layout.services / "worker-status.json"),
        SCUTUM_AUDIT_KEYS=str(layout.audit_keys),
    )
    return env


def _stores(service: Service, config: HostConfig, env_file: Mapping[str, str]) -> dict[str, str]:
    """Where the stores are. Of an external database only `migrate` gets the URL as it is: the others have a role of
    their own there, which may not change the schema nor rewrite the audit log.
    """
    env: dict[str, str] = {}
    if config.external_database:
        user, password = env_file.get("POSTGRES_USER", "scutum_app"), env_file.get("POSTGRES_PASSWORD", "")
        for name in (stores.DATABASE, stores.DIRECT):
            if url := env_file.get(name):
                env[name] = url if service is MIGRATE else stores.as_user(url, user, password)
    elif env_file.get(stores.DIRECT):
        raise CliError(
            f"config/.env has {stores.DIRECT} and no {stores.DATABASE}.",
            code="bad_url",
            hint=f"{stores.DATABASE} is the pooler in front of that server; without one, set it alone",
        )
    else:
        env.update(POSTGRES_HOST=LOOPBACK, POSTGRES_PORT=str(config.postgres_port))
    if service is MIGRATE:
        return env
    if config.external_redis:
        env["REDIS_URL"] = env_file[stores.REDIS]
    else:
        env.update(VALKEY_HOST=LOOPBACK, VALKEY_PORT=str(config.valkey_port))
    return env
