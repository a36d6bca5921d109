"""The launcher: how long it waits, what a service gets to know."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from scutum_cli.errors import CliError
from scutum_cli.host import config, files, launch, services, stores, supervisor
from scutum_cli.host.config import HostConfig
from scutum_cli.host.layout import Layout

SECRETS = {name: f"{name.lower()}-is-a-long-secret" for name in files.GENERATED}
ENV_FILE = {
    "SCUTUM_VERSION": "0.1.0",
    "POSTGRES_USER": "scutum_app",
    "POSTGRES_DB": "scutum",
    "SCUTUM_MAX_BODY_BYTES": "1000000",
    **SECRETS,
}
INHERITED = {
    "PATH": "/usr/bin",
    "LANG": "C.UTF-8",
    "AWS_SECRET_ACCESS_KEY": "of the operator",
    "SCUTUM_API_KEY": "stale",
}


def test_the_first_restart_is_at_once_and_later_ones_wait_longer_up_to_half_a_minute() -> None:
    assert [launch.delay(streak) for streak in range(6)] == [0, 0, 0.5, 1, 2, 4]
    assert launch.delay(9) == 30
    assert launch.delay(10**9) == 30


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"streak": "many"}', '{"restarts": 3}'])
def test_a_broken_record_costs_no_start(tmp_path: Path, broken: str) -> None:
    record = tmp_path / "proxy.json"
    assert launch.pending_delay(record) == 0
    record.write_text(broken)
    assert launch.pending_delay(record) == 0
    record.write_text(json.dumps({"streak": 3}))
    assert launch.pending_delay(record) == 1


def known_to(name: str, env_file: dict[str, str] = ENV_FILE) -> dict[str, str]:
    layout = Layout(Path("/deploy"))
    return services.environment(services.BY_NAME[name], layout, HostConfig(proxy_port=4100), env_file, INHERITED)


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        ("postgres", set()),
        ("valkey", set()),
        ("worker", {"POSTGRES_PASSWORD", "POSTGRES_ARCHIVER_PASSWORD", "VALKEY_PASSWORD"}),
        (
            "proxy",
            {
                "POSTGRES_PASSWORD", "VALKEY_PASSWORD", "SCUTUM_API_KEY", "SCUTUM_ENCRYPTION_KEY",
                "INTERNAL_SERVICE_KEY",
            },
        ),
        (
            "admin",
            {
                "POSTGRES_PASSWORD", "VALKEY_PASSWORD", "SCUTUM_API_KEY", "SCUTUM_ENCRYPTION_KEY",
                "JWT_SECRET_KEY", "INTERNAL_SERVICE_KEY",
            },
        ),
        (
            "migrate",
            {
                "POSTGRES_PASSWORD", "POSTGRES_OWNER_PASSWORD", "POSTGRES_ARCHIVER_PASSWORD",
                "POSTGRES_SUPERUSER_PASSWORD",
            },
        ),
    ],
)  # fmt: skip
def test_each_service_knows_its_own_secrets_and_no_others(name: str, secrets: set[str]) -> None:
    env = known_to(name)
    assert {key for key in files.GENERATED if key in env} == secrets
    assert all(env[key] == SECRETS[key] for key in secrets), "the file wins over the environment"
    assert "AWS_SECRET_ACCESS_KEY" not in env


def test_the_licence_is_known_to_the_control_plane_alone() -> None:
    given = {name: known_to(name, ENV_FILE | {"LICENSE_KEY": "eyJ"}) for name in ("proxy", "worker", "admin", "migrate")}
    assert {name for name, env in given.items() if "LICENSE_KEY" in env} == {"admin"}
    assert {name for name, env in given.items() if "SCUTUM_LICENSE_TRUST" in env} == {"admin", "worker"}
    assert given["admin"]["SCUTUM_LICENSE_TRUST"].endswith("/config/license-authorities.pem")


def test_the_collectors_key_is_known_to_the_worker_alone() -> None:
    traces = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_SAMPLER_ARG": "0.1",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=key", "OTEL_SERVICE_NAME": "gateway",
    }  # fmt: skip
    given = {name: known_to(name, ENV_FILE | traces) for name in ("proxy", "worker", "admin")}
    assert {name: {key for key in traces if key in env} for name, env in given.items()} == {
        "proxy": {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER_ARG"},
        "worker": set(traces),
        "admin": set(),
    }


def test_the_forward_proxy_is_known_to_who_calls_providers() -> None:
    way_out = {"UPSTREAM_PROXY": "http://gw:password@proxy:3128", "UPSTREAM_NO_PROXY": ".corp"}
    given = {name: known_to(name, ENV_FILE | way_out) for name in ("proxy", "admin", "worker")}
    assert {name for name, env in given.items() if way_out.items() <= env.items()} == {"proxy", "admin"}
    assert not way_out.keys() & given["worker"].keys()


def test_a_server_learns_its_addresses_and_the_operators_settings() -> None:
    env = known_to("proxy")
    assert env["SCUTUM_PROXY_PORT"] == "4100"
    assert env["SCUTUM_PROXY_URL"] == "http://127.0.0.1:4100"
    assert env["SCUTUM_SPILL_DIR"] == "/deploy/data/spill"
    assert env["SCUTUM_MAX_BODY_BYTES"] == "1000000"


def test_past_a_pooler_the_services_have_their_own_role_too() -> None:
    env_file = ENV_FILE | {
        "DATABASE_URL": "postgresql://dba:of-the-operator@pool.example.com:6432/gw",
        "DATABASE_DIRECT_URL": "postgresql://dba:of-the-operator@db.example.com/gw",
    }
    host, layout = config.with_stores(HostConfig(), env_file), Layout(Path("/deploy"))
    worker, migrate = (
        services.environment(services.BY_NAME[name], layout, host, env_file, {}) for name in ("worker", "migrate")
    )
    password = SECRETS["POSTGRES_PASSWORD"]
    assert worker["DATABASE_URL"] == f"postgresql://scutum_app:{password}@pool.example.com:6432/gw"
    assert worker["DATABASE_DIRECT_URL"] == f"postgresql://scutum_app:{password}@db.example.com/gw"
    assert migrate["DATABASE_DIRECT_URL"] == env_file["DATABASE_DIRECT_URL"]
    with pytest.raises(CliError, match="DATABASE_DIRECT_URL and no DATABASE_URL"):
        known_to("worker", ENV_FILE | {"DATABASE_DIRECT_URL": env_file["DATABASE_DIRECT_URL"]})


def test_of_an_external_database_only_the_migration_knows_the_operators_role() -> None:
    env_file = ENV_FILE | {
        "DATABASE_URL": "postgresql://dba:of-the-operator@db.example.com/gw?sslmode=require",
        "REDIS_URL": "rediss://:of-redis@cache.example.com:6380",
    }
    host = config.with_stores(HostConfig(), env_file)
    assert services.external(host) == {"postgres": "db.example.com:5432", "valkey": "cache.example.com:6380"}
    assert [service.name for service in services.own(host)] == ["admin", "worker", "proxy"]
    assert "watcher:postgres" not in supervisor.config_text(host)
    layout = Layout(Path("/deploy"))
    proxy, migrate = (
        services.environment(services.BY_NAME[name], layout, host, env_file, {}) for name in ("proxy", "migrate")
    )
    password = SECRETS["POSTGRES_PASSWORD"]
    assert proxy["DATABASE_URL"] == f"postgresql://scutum_app:{password}@db.example.com/gw?sslmode=require"
    assert proxy["REDIS_URL"] == env_file["REDIS_URL"]
    assert migrate["DATABASE_URL"] == env_file["DATABASE_URL"]
    assert "REDIS_URL" not in migrate
    assert "POSTGRES_HOST" not in proxy and "VALKEY_HOST" not in proxy


@pytest.mark.parametrize("flag", [("postgresql://u:sesame@h/d", None), (None, "redis://:sesame@h")])
def test_a_password_is_not_taken_from_the_command_line(flag: tuple[str | None, str | None]) -> None:
    with pytest.raises(CliError, match="holds a password") as caught:
        stores.asked(*flag)
    assert "sesame" not in str(caught.value) and "standard input" in str(caught.value.hint)


def test_urls_come_from_standard_input_a_line_each_or_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "postgresql://u:one@h/d\nredis://:two@h\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    both = {"DATABASE_URL": "postgresql://u:one@h/d", "REDIS_URL": "redis://:two@h"}
    assert stores.asked("-", "-") == both
    for name, url in both.items():
        monkeypatch.setenv(f"SCUTUM_{name}", url)
    assert stores.asked(None, None) == both
    assert stores.asked("postgresql://u@other/d", None)["DATABASE_URL"] == "postgresql://u@other/d"


def test_every_server_setting_that_is_secret_is_given_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What settings.py reads and what the launcher hands over cannot drift apart."""
    from scutum_server import settings

    real = {**ENV_FILE, "SCUTUM_ENCRYPTION_KEY": files.new_secrets("1")["SCUTUM_ENCRYPTION_KEY"]}
    layout = Layout(Path("/deploy"))
    for name, read in (
        ("proxy", settings.proxy_settings),
        ("admin", settings.admin_settings),
        ("worker", settings.worker_settings),
        ("migrate", settings.migrate_settings),
    ):
        read(services.environment(services.BY_NAME[name], layout, HostConfig(), real, {}))
