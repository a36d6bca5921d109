"""config/.env and config/scutum.yaml."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest
import yaml

from scutum_cli.errors import CliError
from scutum_cli.host import config, files
from scutum_cli.host.config import HostConfig


def test_a_private_file_has_its_mode_before_it_has_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    real = os.open

    def spy(path: object, flags: int, mode: int = 0o777, **more: int) -> int:
        descriptor = real(path, flags, mode, **more)  # type: ignore[arg-type]
        if flags & os.O_CREAT:
            modes.append((stat.S_IMODE(os.fstat(descriptor).st_mode), os.fstat(descriptor).st_size))
        return descriptor

    monkeypatch.setattr(os, "open", spy)
    before = os.umask(0)
    try:
        files.write_private(tmp_path / ".env", "A=secret\n")
    finally:
        os.umask(before)
    assert modes == [(0o600, 0)]
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_a_failed_write_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    files.write_private(path, "A=old\n")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        files.write_private(path, "A=new\n")
    assert path.read_text() == "A=old\n"
    assert [found.name for found in tmp_path.iterdir()] == [".env"]


def test_secrets_are_new_every_time_and_pass_the_servers_own_check(tmp_path: Path) -> None:
    first, second = files.new_secrets("0.1.0"), files.new_secrets("0.1.0")
    assert all(first[name] != second[name] and len(first[name]) >= 32 for name in files.GENERATED)
    assert len(base64.b64decode(first["SCUTUM_ENCRYPTION_KEY"])) == 32
    files.write_private(tmp_path / ".env", files.env_text(first))
    assert files.read_env(tmp_path / ".env") == first


def test_an_env_file_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# note\n\nexport A=1\nB = 'two words'\nC=\"x=y\"\nD=\n")
    assert files.read_env(path) == {"A": "1", "B": "two words", "C": "x=y", "D": ""}
    assert files.set_env_value(path, "C", "new")
    assert not files.set_env_value(path, "C", "new")
    assert path.read_text().splitlines() == ["# note", "", "export A=1", "B = 'two words'", "C=new", "D="]
    path.write_text("A=1\nthis is no setting\n")
    with pytest.raises(CliError, match="line 2"):
        files.read_env(path)


def test_a_link_is_not_followed_when_root_appends_to_a_users_log(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("root\n")
    (tmp_path / "install.log").symlink_to(tmp_path / "passwd")
    with pytest.raises(OSError):
        files.append_to(tmp_path / "install.log")
    assert (tmp_path / "passwd").read_text() == "root\n"


def test_the_host_file_reads_back_and_is_yaml(tmp_path: Path) -> None:
    wanted = HostConfig(proxy_port=4100, admin_port=8186, postgres_port=1, valkey_port=65535, proxy_workers=7)
    path = tmp_path / "scutum.yaml"
    path.write_text(wanted.text())
    assert config.load(path) == wanted
    real = yaml.safe_load(wanted.text())
    mine = config.parse(wanted.text())
    assert real["proxy"] == {"host": "127.0.0.1", "port": 4100, "workers": 7}
    assert mine == {
        name: {key: str(value) for key, value in part.items()} if isinstance(part, dict) else part
        for name, part in real.items()
    }


def test_an_edited_host_file(tmp_path: Path) -> None:
    path = tmp_path / "scutum.yaml"
    path.write_text(
        "---\nproxy:   # clients\n  port: 4200 # new\n  host: '0.0.0.0'\nadmin:\n  port: \"8200\"\n"
        "postgres:\n  port: 1\nvalkey:\n  port: 2\n"
    )
    read = config.load(path)
    assert (read.proxy_port, read.admin_port, read.proxy_host) == (4200, 8200, "0.0.0.0")
    assert read.proxy_url == "http://127.0.0.1:4200"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("proxy:\n  port: many\n", "proxy.port must be a number from 1 to 65535, not 'many'"),
        ("proxy:\n  port: 70000\n", "not '70000'"),
        ("proxy:\n  workers: 0\n", "from 1 to 256"),
        ("proxy:\n  prot: 4000\n", "unknown setting: proxy.prot"),
        ("engine: kubernetes\n", "unknown setting: engine"),
        ("proxy: [1, 2]\n", "line 1"),
        ("proxy:\n  deep:\n    er: 1\n", "line 2"),
        ("  port: 1\n", "line 1"),
        ("just words\n", "line 1"),
    ],
)
def test_a_broken_host_file_names_the_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "scutum.yaml"
    path.write_text(text)
    with pytest.raises(CliError) as caught:
        config.load(path)
    assert words in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks proxy.port, admin.port, postgres.port, valkey.port."),
        ("engine: embedded\nproxy:\nadmin:\n", "lacks proxy.port, admin.port, postgres.port, valkey.port."),
        ("proxy:\n  port: 1\nadmin:\n  port: 2\nvalkey:\n  port: 3\n", "lacks postgres.port."),
    ],
)
def test_a_host_file_without_its_ports_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config" / "scutum.yaml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(CliError) as caught:
        config.load(path)
    assert caught.value.message == f"{path} {words}"
    assert f"--home {tmp_path} " in (caught.value.hint or "")
