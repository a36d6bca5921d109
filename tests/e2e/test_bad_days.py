"""What goes wrong on a host that runs: wrong settings, a frozen process, a second user, a lost file."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fixtures.install import Installed
from tests.fixtures.servers import wait_until

pytestmark = [pytest.mark.xdist_group("install"), pytest.mark.timeout(300)]


@contextmanager
def changed(installed: Installed, name: str, old: str, new: str) -> Iterator[None]:
    """A file of the configuration with other content, for the block."""
    path = installed.home / "config" / name
    whole = path.read_text()
    assert old in whole
    try:
        path.write_text(whole.replace(old, new))
        yield
    finally:
        path.write_text(whole)


def test_new_proxies_that_cannot_run_are_given_up_and_leave_the_old_ones(installed: Installed) -> None:
    before = installed.ps()["proxy"]["pids"]
    key = installed.secret("SCUTUM_ENCRYPTION_KEY")
    with changed(installed, ".env", f"SCUTUM_ENCRYPTION_KEY={key}", "SCUTUM_ENCRYPTION_KEY=short"):
        for _ in range(2):
            done = installed.scutum("restart", "proxy", timeout=40)
            assert done.returncode == 7, done.stderr
            assert "proxy cannot run with these settings" in done.stderr
            assert "SCUTUM_ENCRYPTION_KEY" in done.stderr and "scutum restart proxy" in done.stderr
            assert installed.ps()["proxy"]["pids"] == before
        assert installed.complete()
    installed.ok("restart", "proxy")
    after = installed.ps()["proxy"]["pids"]
    assert len(after) == 2 and not set(after) & set(before)


def test_a_service_with_a_bad_secret_is_named_at_once(installed: Installed) -> None:
    with changed(installed, ".env", f"JWT_SECRET_KEY={installed.secret('JWT_SECRET_KEY')}", "JWT_SECRET_KEY=secret"):
        done = installed.scutum("restart", "admin", timeout=40)
        assert done.returncode == 7 and "JWT_SECRET_KEY is a default" in done.stderr
        assert len(done.stderr.splitlines()) <= 4
    installed.ok("restart", "admin")


def test_a_frozen_proxy_is_a_finding(installed: Installed) -> None:
    pid = installed.ps()["proxy"]["pids"][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: installed.scutum("status").returncode == 1, what="the finding")
        said = installed.scutum("status")
        assert "proxy is frozen (1 of 2)" in said.stdout and f"kill -CONT {pid}" in said.stderr
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: installed.scutum("status").returncode == 0, what="health")


def test_a_second_user_gets_a_key_and_the_first_one_keeps_his(installed: Installed) -> None:
    mine = installed.place.user_home / ".config" / "scutum" / "contexts.json"
    key = json.loads(mine.read_text())["contexts"]["local"]["key"]
    other = installed.place.user_home / "somebody else"
    installed.place.run("mkdir", other)
    done = installed.place.run(*installed.install_argv, HOME=str(other), XDG_CONFIG_HOME=str(other / ".config"))
    assert done.returncode == 0, done.stderr
    assert "no other key is touched" in done.stderr and "database" not in done.stderr
    theirs = json.loads((other / ".config" / "scutum" / "contexts.json").read_text())["contexts"]["local"]["key"]
    assert theirs != key
    assert installed.complete(key=key) and installed.complete(key=theirs)
    again = installed.place.run(*installed.install_argv, HOME=str(other), XDG_CONFIG_HOME=str(other / ".config"))
    assert "Nothing to do" in again.stderr


def test_an_emptied_scutum_yaml_is_refused_and_install_writes_it_again(installed: Installed) -> None:
    path = installed.home / "config" / "scutum.yaml"
    whole = path.read_text()
    path.write_text("")
    try:
        done = installed.scutum("status")
        assert done.returncode == 2 and "lacks proxy.port, admin.port" in done.stderr and "install.sh" in done.stderr
        bare = installed.place.run("sh", installed.place.checkout / "install.sh", "--home", installed.home)
        assert bare.returncode == 2 and "lacks proxy.port" in bare.stderr
        mended = installed.place.run(*installed.install_argv)
        assert mended.returncode == 0, mended.stderr
        assert path.read_text() == whole
    finally:
        path.write_text(whole)
    assert installed.scutum("status").returncode == 0


def test_programs_get_objects_and_logs_are_private(installed: Installed) -> None:
    for command in (("up",), ("restart", "worker")):
        rows = json.loads(installed.ok(*command, "-o", "json"))["services"]
        assert {row["state"] for row in rows} == {"running"} and len(rows) == 5
    plan = json.loads(installed.ok("install", "--dry-run", "-o", "json"))
    assert plan["dry_run"] is True and plan["steps"] == []
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (installed.home / "logs").glob("*.log")}
    assert "postgres.log" in modes and set(modes.values()) == {0o600}, modes


def test_a_worker_that_cannot_run_is_not_called_healthy(installed: Installed) -> None:
    bad = "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318\n"
    with changed(installed, ".env", "SCUTUM_VERSION", bad + "SCUTUM_VERSION"):
        done = installed.scutum("restart", "worker", timeout=40)
        assert done.returncode == 7, done.stderr
        assert "worker cannot run with these settings" in done.stderr
        assert "must be an http or https address, such as http://127.0.0.1:4318" in done.stderr
    installed.ok("restart", "worker")
