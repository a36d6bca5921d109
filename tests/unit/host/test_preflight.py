"""What stops an install before it writes anything, and the small parts around it."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from scutum_cli.errors import CliError
from scutum_cli.host import owner, path_link, postgres, preflight, process, source, supervisor
from scutum_cli.host.config import HostConfig
from scutum_cli.host.layout import Layout, chosen_home
from scutum_cli.host.lock import host_lock
from tests.fixtures.servers import free_port

Usage = namedtuple("Usage", "total used free")


def test_too_little_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**10, 10**10, 100 << 20))
    with pytest.raises(CliError, match="100 MB free") as caught:
        preflight.disk(Layout(tmp_path / "not" / "yet"))
    assert caught.value.exit_code == 2 and "make room" in (caught.value.hint or "")


def test_a_python_without_venv(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = process.Result(1, "", "Traceback\nModuleNotFoundError: No module named 'ensurepip'")
    monkeypatch.setattr(preflight, "_try", lambda python, user: missing)
    with pytest.raises(CliError, match="lacks the venv module") as caught:
        preflight.python_for(owner.myself())
    assert "python3" in (caught.value.hint or "") and "-venv" in (caught.value.hint or "")


def test_no_python_that_the_services_user_may_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_try", lambda python, user: process.Result(127, "", f"{python}: Permission denied"))
    user = owner.Owner("scutum", 4711, 4711, "/nonexistent", missing=True)
    with pytest.raises(CliError, match="can be run by the user scutum") as caught:
        preflight.python_for(user)
    assert "--run-as" in (caught.value.hint or "")


def test_a_free_port_skips_what_is_taken_and_what_is_promised() -> None:
    first = free_port()
    with socket.create_server(("127.0.0.1", first)):
        assert preflight.free_port(first, {first + 1}) > first + 1


def test_proxy_and_admin_cannot_share_a_port() -> None:
    with pytest.raises(CliError, match="share"):
        preflight.ports(HostConfig(proxy_port=29_999, admin_port=29_999))


def test_a_relative_home_names_the_absolute_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CliError) as caught:
        chosen_home("srv/../here")
    assert str(tmp_path) in (caught.value.hint or "")
    assert chosen_home("/srv//scutum/") == Path("/srv/scutum")


def wheel(directory: Path, name: str = "scutum_gateway-1.2.3-py3-none-any.whl", *, locks: bool = True) -> Path:
    path = directory / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scutum_cli/__init__.py", "")
        for lock in source.LOCKS if locks else ():
            archive.writestr(f"scutum_cli/host/requirements/{lock}", f"# {lock}\n")
    return path


def test_a_wheel_is_taken_with_its_own_sum_only(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    found = source.find(str(path), digest.upper())
    assert (found.version, found.digest) == ("1.2.3", digest)
    assert found.lock_text("runtime.txt") == "# runtime.txt\n"
    with pytest.raises(CliError, match="nothing of it was run"):
        source.find(str(path), "0" * 64)


@pytest.mark.parametrize("name", ["scutum-1.2.3-py3-none-any.whl", "requests-2.0-py3-none-any.whl"])
def test_another_projects_wheel_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CliError, match="is not a wheel of scutum-gateway"):
        source.find(str(wheel(tmp_path, name)), None)


def test_a_wheel_without_locks_an_empty_directory_and_an_address_without_a_sum(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="lacks its lock files"):
        source.find(str(wheel(tmp_path, locks=False)), None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CliError, match="not a checkout"):
        source.find(str(tmp_path / "empty"), None)
    with pytest.raises(CliError, match="needs its sum"):
        source.find("https://example.invalid/scutum_gateway-1.2.3-py3-none-any.whl", None)


def test_the_path_link_never_replaces_a_foreign_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "bin" / "scutum"
    monkeypatch.setattr(path_link, "place", lambda: link)
    ours, other = Layout(tmp_path / "a"), Layout(tmp_path / "b")
    assert path_link.make(ours) == link
    assert path_link.make(ours) == link and not path_link.remove(other)
    for layout in (ours, other):
        layout.command.parent.mkdir(parents=True)
        layout.command.touch()
    assert path_link.make(other) is None, "the first install keeps the name"
    assert path_link.remove(ours) and not link.exists()
    link.write_text("#!/bin/sh\n")
    assert path_link.make(ours) is None
    assert link.read_text() == "#!/bin/sh\n"


def test_the_lock_is_free_again_after_its_holder(tmp_path: Path) -> None:
    with (
        host_lock(tmp_path / "lock"),
        pytest.raises(CliError, match=f"pid {os.getpid()}"),
        host_lock(tmp_path / "lock"),
    ):
        pass
    with host_lock(tmp_path / "lock"):
        pass


@pytest.mark.parametrize(("gigabytes", "shared"), [(0.5, 64), (2, 256), (16, 2048), (512, 2048)])
def test_postgres_memory_follows_the_host(gigabytes: float, shared: int) -> None:
    assert f"shared_buffers = {shared}MB" in postgres.tuning(int(gigabytes * (1 << 30)))


def test_the_supervisor_reaches_out_to_no_network_and_gets_no_secret() -> None:
    text = supervisor.config_text(HostConfig(proxy_workers=3))
    assert "tcp://" not in text and "udp://" not in text
    assert "\nmulticast_endpoint =\n" in text
    assert "numprocesses = 3" in text
    assert text.count("[watcher:") == 5
