"""install.sh and the host commands, driven as a newcomer and a bad day would."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from scutum_cli.host import procfs
from tests.fixtures.install import Installed, Place
from tests.fixtures.servers import free_port, wait_until

pytestmark = [pytest.mark.xdist_group("install"), pytest.mark.timeout(300)]
SERVICES = ("postgres", "valkey", "admin", "worker", "proxy")


def snapshot(home: Path) -> dict[str, tuple[int, str]]:
    """Every file that an install writes once: its time of change and, for small ones, its content."""
    kept = {}
    for part in ("config", "releases", "supervisor"):
        for path in (home / part).rglob("*"):
            if path.is_file():
                text = path.read_text() if part == "config" else ""
                kept[str(path.relative_to(home))] = (path.stat().st_mtime_ns, text)
    return kept


def main_pids(installed: Installed, service: str) -> list[int]:
    return list(installed.ps()[service]["pids"])


def test_it_ends_with_a_healthy_stack_an_answer_and_what_to_do_next(installed: Installed) -> None:
    said = installed.output
    assert "First answer" in said and "(simulated)" in said
    assert "scutum status" in said and 'scutum chat "Hello"' in said and "scutum providers add" in said
    assert "export PATH=" in said or str(installed.place.user_home) in os.environ["PATH"]
    status = json.loads(installed.ok("status", "-o", "json"))
    assert status["status"] == "healthy" and status["findings"] == []
    assert {row["service"]: row["state"] for row in status["services"]} == dict.fromkeys(SERVICES, "running")
    assert installed.complete()["choices"][0]["message"]["content"]
    link = installed.place.user_home / ".local" / "bin" / "scutum"
    assert installed.place.run(link, "version").stdout.startswith("scutum ")


def test_secrets_are_private_and_never_on_a_command_line(installed: Installed) -> None:
    env_file = installed.home / "config" / ".env"
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    values = [line.partition("=")[2] for line in env_file.read_text().splitlines() if "=" in line]
    secrets = [value for value in values if len(value) > 20]
    assert len(secrets) == 9
    told = installed.output + installed.ok("config", "show") + installed.ok("logs", "-n", "500")
    told += (installed.home / "logs" / "install.log").read_text()
    for process in installed.processes():
        told += Path(f"/proc/{process.pid}/cmdline").read_text()
    assert [secret for secret in secrets if secret in told] == []
    postgres = next(process for process in installed.processes() if process.service == "postgres")
    worker = next(process for process in installed.processes() if process.service == "worker")
    assert installed.secret("SCUTUM_API_KEY") not in Path(f"/proc/{worker.pid}/environ").read_text()
    assert installed.secret("POSTGRES_PASSWORD") not in Path(f"/proc/{postgres.pid}/environ").read_text()


def test_the_stores_ask_for_passwords(installed: Installed) -> None:
    import psycopg
    import redis

    config = installed.ok("config", "show", "-o", "json")
    ports = json.loads(config)
    for user in ("postgres", "scutum_owner", "scutum_app"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host="127.0.0.1", port=ports["postgres.port"], user=user, dbname="scutum", password="wrong")
    with redis.Redis(port=ports["valkey.port"]) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_a_second_run_changes_nothing_and_says_so(installed: Installed) -> None:
    before = snapshot(installed.home)
    pids = {process.pid for process in installed.processes() if process.service != "postgres"}
    done = installed.place.run(*installed.install_argv)
    assert done.returncode == 0
    assert "Nothing to do" in done.stderr
    assert snapshot(installed.home) == before
    assert {process.pid for process in installed.processes() if process.service != "postgres"} == pids


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_is_back_by_itself_and_ps_says_why(installed: Installed, service: str) -> None:
    before = installed.ps()[service]
    victim = before["pids"][0]
    os.kill(victim, signal.SIGKILL)

    def back() -> bool:
        row = installed.ps()[service]
        return row["state"] == "running" and row["restarts"] > before["restarts"] and victim not in row["pids"]

    wait_until(back, seconds=40, what=f"{service} to be back")
    after = installed.ps()[service]
    assert after["restarts"] == before["restarts"] + 1
    assert after["last_restart"]["reason"] == "killed by signal 9 (SIGKILL)"
    wait_until(lambda: installed.scutum("status").returncode == 0, what="health")
    wait_until(lambda: bool(_try_completion(installed)), what="a completion")


def _try_completion(installed: Installed) -> object:
    try:
        return installed.complete()
    except (OSError, AssertionError, http.client.HTTPException):
        return None


def test_a_service_with_a_missing_secret_says_so_in_ps(installed: Installed) -> None:
    env_file = installed.home / "config" / ".env"
    whole = env_file.read_text()
    owner = env_file.stat()
    try:
        env_file.write_text(whole.replace(f"JWT_SECRET_KEY={installed.secret('JWT_SECRET_KEY')}", "JWT_SECRET_KEY=secret"))
        os.kill(main_pids(installed, "admin")[0], signal.SIGKILL)
        wait_until(
            lambda: "JWT_SECRET_KEY" in ((installed.ps()["admin"]["last_restart"] or {}).get("reason") or ""),
            what="the reason in ps",
        )
        assert installed.ps()["admin"]["last_restart"]["reason"].startswith("exit code 2: JWT_SECRET_KEY is a default")
        assert installed.scutum("status").returncode == 1
        assert installed.complete(), "the data plane does not care"
    finally:
        env_file.write_text(whole)
        assert env_file.stat().st_uid == owner.st_uid
    installed.ok("restart", "admin")
    assert installed.scutum("status").returncode == 0


def test_restarting_the_proxy_refuses_no_connection(installed: Installed) -> None:
    failures: list[str] = []
    answered = 0
    stop = threading.Event()

    def client() -> None:
        nonlocal answered
        while not stop.is_set():
            try:
                installed.complete()
                answered += 1
            except Exception as error:
                failures.append(repr(error))

    before = main_pids(installed, "proxy")
    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    try:
        installed.ok("restart", "proxy")
    finally:
        stop.set()
        for thread in clients:
            thread.join()
    assert failures == []
    assert answered > 0
    after = main_pids(installed, "proxy")
    assert len(after) == 2 and not set(after) & set(before)


def test_down_leaves_no_process_and_up_brings_everything_back(installed: Installed) -> None:
    installed.ok("down")
    assert installed.processes() == []
    status = installed.scutum("status")
    assert status.returncode == 7 and "scutum up" in status.stderr
    assert installed.scutum("down").returncode == 0
    installed.ok("up")
    pids = {process.pid for process in installed.processes() if process.service != "postgres"}
    installed.ok("up")
    assert {process.pid for process in installed.processes() if process.service != "postgres"} == pids
    assert installed.complete()


def test_up_after_a_power_cut(installed: Installed) -> None:
    installed.complete("before the lights went out")
    installed.kill_everything()
    # After a reboot the number in the pid file belongs to somebody else.
    pid_file = installed.home / "data" / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    installed.ok("up")
    assert installed.scutum("status").returncode == 0
    assert installed.complete()


def test_up_replaces_services_whose_supervisor_died(installed: Installed) -> None:
    supervisor = next(found.pid for found in installed.processes() if found.service == procfs.SUPERVISOR)
    old = {name: row["pids"] for name, row in installed.ps().items()}
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not procfs.alive(supervisor), what="the supervisor to die")
    assert installed.complete(), "clients do not notice"
    assert {row["state"] for row in installed.ps().values()} == {"unsupervised"}
    installed.ok("up")
    new = installed.ps()
    assert all(row["state"] == "running" and not set(row["pids"]) & set(old[name]) for name, row in new.items())


def test_the_lock_names_its_holder(installed: Installed) -> None:
    import fcntl

    with (installed.home / "run" / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate()
        lock.write("scutum backup (pid 4711)\n")
        lock.flush()
        done = installed.scutum("restart", "worker")
    assert done.returncode == 5
    assert "scutum backup (pid 4711)" in done.stderr


@pytest.mark.parametrize(
    ("home", "words"),
    [
        ("relative/place", "absolute path"),
        ("/proc/scutum", "may not write"),
        ("{checkout}/root", "inside the checkout"),
        ("{user}/full", "is not a deploy root"),
        ("{user}/file", "is a file"),
    ],
)
def test_a_bad_place_is_one_sentence(install_place: Place, home: str, words: str) -> None:
    made = install_place.run("sh", "-c", "mkdir -p full && touch full/thesis.txt file")
    assert made.returncode == 0
    where = home.format(checkout=install_place.checkout, user=install_place.user_home)
    done = install_place.run("sh", install_place.checkout / "install.sh", "--home", where)
    assert done.returncode == 2
    assert words in done.stderr and "next: " in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 3


def test_a_busy_port_is_named_before_anything_is_written(install_place: Place) -> None:
    root = install_place.new_root("busy")
    with socket.create_server(("127.0.0.1", root.proxy_port)):
        done = root.install()
    assert done.returncode == 2
    assert str(root.proxy_port) in done.stderr and "--proxy-port" in done.stderr
    assert not root.home.exists()


def test_dry_run_shows_the_plan_and_writes_nothing(install_place: Place) -> None:
    root = install_place.new_root("dry")
    done = install_place.run(*root.install_argv, "--dry-run")
    assert done.returncode == 0
    assert "database cluster" in done.stderr and str(root.proxy_port) in done.stderr
    assert not root.home.exists()


def test_the_installed_command_installs_too_and_asks_first(installed: Installed, install_place: Place) -> None:
    same = installed.scutum("install")
    assert same.returncode == 0 and "Nothing to do" in same.stderr
    root = install_place.new_root("third")
    ports = ("--proxy-port", str(root.proxy_port), "--admin-port", str(root.admin_port))
    done = installed.scutum("install", "--home", str(root.home), *ports)
    assert done.returncode == 2 and "--yes" in done.stderr
    assert "Scutum 0.1.0 with its packages" in done.stderr
    assert not root.home.exists()


def test_a_wheel_with_another_sum_runs_nothing(install_place: Place, tmp_path: Path) -> None:
    wheel = install_place.user_home / "scutum_gateway-9.9.9-py3-none-any.whl"
    wheel.write_bytes(b"not what was promised")
    wheel.chmod(0o644)
    script = install_place.checkout / "install.sh"
    done = install_place.run("sh", script, "--from", wheel, "--sha256", "0" * 64)
    assert done.returncode == 2 and "nothing of it was run" in done.stderr
    piped = install_place.run("sh", "-c", f"sh -s -- --yes < '{script}'")
    assert piped.returncode == 2 and "--from URL --sha256 HEX" in piped.stderr
    unsummed = install_place.run("sh", script, "--from", f"http://127.0.0.1:{free_port()}/x.whl")
    assert unsummed.returncode == 2 and "--sha256" in unsummed.stderr


def test_host_commands_without_an_install_say_what_to_do(installed: Installed, tmp_path: Path) -> None:
    for command in ("status", "ps", "up", "down", "restart", "logs", "uninstall"):
        done = installed.scutum(command, "--home", str(installed.place.user_home / "nowhere"))
        assert done.returncode == 3, command
        assert "no install" in done.stderr and "next: " in done.stderr
    wrong = installed.scutum("restart", "proxies")
    assert wrong.returncode == 3 and "postgres, valkey, admin, worker, proxy" in wrong.stderr


def test_logs_of_all_services_in_one_stream(installed: Installed) -> None:
    lines = [json.loads(line) for line in installed.ok("logs", "--since", "1h", "-o", "json").splitlines()]
    assert {"postgres", "valkey", "proxy", "admin"} <= {line["service"] for line in lines}
    times = [line["ts"] for line in lines]
    assert times == sorted(times)
    only = [json.loads(line) for line in installed.ok("logs", "-n", "3", "proxy", "-o", "json").splitlines()]
    assert len(only) == 3 and {line["service"] for line in only} == {"proxy"}
