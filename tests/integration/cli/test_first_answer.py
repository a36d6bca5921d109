"""The end of an install: the command's context and its key."""

from __future__ import annotations

import json
import pwd
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scutum_cli import settings
from scutum_cli.host import first_answer
from scutum_cli.host.config import HostConfig
from tests.integration.cli.conftest import Cli, Gateway


@pytest.fixture
def host(gateway: Gateway) -> HostConfig:
    return HostConfig(
        proxy_port=urlsplit(gateway.proxy_url).port or 0, admin_port=urlsplit(gateway.admin_url).port or 0
    )


def use_config(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(directory))


def test_another_configuration_gets_a_key_of_its_own_and_revokes_none(
    gateway: Gateway, host: HostConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, names = [], []
    for place in ("first", "second", "third"):
        use_config(monkeypatch, tmp_path / place)
        context = first_answer.ensure_context(gateway.home, host)
        names.append(first_answer.ensure_key(context, host))
        keys.append(context.key or "")
        first_answer.complete(host, keys[-1])
        assert first_answer.ensure_key(context, host) is None, "a key that works stays"
    own = f"cli-{pwd.getpwuid(os.geteuid()).pw_name}"
    assert names == ["default", own, f"{own}-2"]
    assert len(set(keys)) == 3
    for key in keys:
        assert first_answer.complete(host, key).text
    assert json.loads(settings.path().read_text())["contexts"]["local"]["key"] == keys[-1]


def test_without_the_simulator_the_first_answer_comes_from_fast(
    gateway: Gateway, host: HostConfig, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.ok("aliases", "set", "fast", "sim")
    use_config(monkeypatch, tmp_path / "first")
    context = first_answer.ensure_context(gateway.home, host)
    first_answer.ensure_key(context, host)
    assert first_answer.complete(host, context.key or "", model="removed").provider == "sim"


def test_a_second_install_leaves_the_context_in_use_alone(
    host: HostConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_config(monkeypatch, tmp_path)
    first, second = tmp_path / "first", tmp_path / "second"
    for home in (first, second):
        (home / "config").mkdir(parents=True)
        (home / "config" / "scutum.yaml").touch()
    assert first_answer.ensure_context(first, host).name == "local"
    assert first_answer.other_context(first) is None
    assert first_answer.ensure_context(second, host).name == "local-2"
    assert settings.load().current_name == "local"
    assert first_answer.other_context(second) == "local-2"
    (first / "config" / "scutum.yaml").unlink()
    first_answer.ensure_context(second, host)
    assert settings.load().current_name == "local-2", "the one in use led nowhere"
