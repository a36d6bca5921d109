"""The launcher: how long it waits, what a service gets to know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scutum_cli.host import files, launch, services
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


def known_to(name: str) -> dict[str, str]:
    layout = Layout(Path("/deploy"))
    return services.environment(services.BY_NAME[name], layout, HostConfig(proxy_port=4100), ENV_FILE, INHERITED)


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        ("postgres", set()),
        ("valkey", set()),
        ("worker", {"POSTGRES_PASSWORD", "VALKEY_PASSWORD"}),
        ("proxy", {"POSTGRES_PASSWORD", "VALKEY_PASSWORD", "SCUTUM_API_KEY", "SCUTUM_ENCRYPTION_KEY"}),
        (
            "admin",
            {
                "POSTGRES_PASSWORD", "VALKEY_PASSWORD", "SCUTUM_API_KEY", "SCUTUM_ENCRYPTION_KEY",
                "JWT_SECRET_KEY", "INTERNAL_SERVICE_KEY",
            },
        ),
        ("migrate", {"POSTGRES_PASSWORD", "POSTGRES_OWNER_PASSWORD", "POSTGRES_SUPERUSER_PASSWORD"}),
    ],
)  # fmt: skip
def test_each_service_knows_its_own_secrets_and_no_others(name: str, secrets: set[str]) -> None:
    env = known_to(name)
    assert {key for key in files.GENERATED if key in env} == secrets
    assert all(env[key] == SECRETS[key] for key in secrets), "the file wins over the environment"
    assert "AWS_SECRET_ACCESS_KEY" not in env


def test_a_server_learns_its_addresses_and_the_operators_settings() -> None:
    env = known_to("proxy")
    assert env["SCUTUM_PROXY_PORT"] == "4100"
    assert env["SCUTUM_PROXY_URL"] == "http://127.0.0.1:4100"
    assert env["SCUTUM_SPILL_DIR"] == "/deploy/data/spill"
    assert env["SCUTUM_MAX_BODY_BYTES"] == "1000000"


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
