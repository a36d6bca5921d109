"""Drives circus: its configuration, its start, its commands."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

from scutum_cli.errors import HALF_WAY, UNREACHABLE, CliError
from scutum_cli.host import files, process, procfs
from scutum_cli.host.config import HostConfig
from scutum_cli.host.layout import Layout
from scutum_cli.host.services import PASSED_ON, PROXY_SOCKET, SERVICES, own

# Unix socket paths end at 107 bytes, so these are relative to run/, where supervisor and client both stand.
_ENDPOINT = "ipc://control.sock"
_EVENTS = "ipc://events.sock"
_LOG_BYTES = 10 * 1024 * 1024
_LOG_FILES = 5
_FILES_WANTED = 65_536
_START_SECONDS = 15.0


def config_text(config: HostConfig) -> str:
    """circus.ini: one watcher per service, the proxy's listening socket held by the supervisor itself."""
    head = (
        "[circus]\n"
        # A killed service is noticed within this many seconds.
        "check_delay = 0.3\n"
        f"endpoint = {_ENDPOINT}\npubsub_endpoint = {_EVENTS}\n"
        # Empty: no discovery over the network.
        "multicast_endpoint =\n"
        "umask = 077\n"
        f"\n[socket:{PROXY_SOCKET}]\nhost = {config.proxy_host}\nport = {config.proxy_port}\nbacklog = 2048\n"
    )
    parts = [head]
    for service in own(config):
        is_proxy = service.name == "proxy"
        descriptor = f" $(circus.sockets.{PROXY_SOCKET})" if is_proxy else ""
        parts.append(
            f"\n[watcher:{service.name}]\n"
            f"cmd = ../current/venv/bin/python -I -m scutum_cli.host.launch {service.name}{descriptor}\n"
            f"numprocesses = {config.proxy_workers if is_proxy else 1}\n"
            f"priority = {len(SERVICES) - SERVICES.index(service)}\n"
            f"stop_signal = {int(service.stop_signal)}\ngraceful_timeout = {service.grace}\n"
            f"use_sockets = {is_proxy}\ncopy_env = True\nclose_child_stdout = True\n"
            "stderr_stream.class = scutum_supervise.LineFile\n"
            f"stderr_stream.filename = ../logs/{service.name}.log\n"
            f"stderr_stream.max_bytes = {_LOG_BYTES}\nstderr_stream.backup_count = {_LOG_FILES}\n"
            "hooks.after_spawn = scutum_supervise.after_spawn,true\n"
            "hooks.before_signal = scutum_supervise.before_signal,true\n"
            "hooks.before_reap = scutum_supervise.before_reap,true\n"
            "hooks.after_reap = scutum_supervise.after_reap,true\n"
            "hooks.after_stop = scutum_supervise.after_stop,true\n"
            f"\n[env:{service.name}]\nSCUTUM_SERVICE = {service.name}\n"
        )
    return "".join(parts)


def config_file(layout: Layout) -> Path:
    return layout.run / "circus.ini"


def config_is_current(layout: Layout, config: HostConfig) -> bool:
    """Whether the running supervisor was started with what scutum.yaml says now, apart from the number of proxies."""
    try:
        running = config_file(layout).read_text(encoding="utf-8")
    except OSError:
        return False
    return _without_counts(running) == _without_counts(config_text(config))


def _without_counts(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("numprocesses")]


def pid(layout: Layout) -> int | None:
    """The running supervisor of this deploy root."""
    return next((found.pid for found in procfs.of_home(layout.home) if found.service == procfs.SUPERVISOR), None)


def start(layout: Layout, config: HostConfig) -> None:
    """Starts circus in its own session and waits until it takes commands."""
    files.private_directory(layout.services)
    files.write_private(config_file(layout), config_text(config))
    (layout.run / "control.sock").unlink(missing_ok=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, _FILES_WANTED)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    log = layout.logs / "supervisor.log"
    _rotate(log)
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    env.update(
        SCUTUM_HOME=str(layout.home),
        SCUTUM_SERVICE=procfs.SUPERVISOR,
        HOME=str(layout.run),
        PYTHONPATH=str(layout.supervisor / "lib"),
    )
    started = process.start_detached(
        [layout.supervisor_python, "-m", "circus.circusd", config_file(layout).name],
        env=env,
        cwd=layout.run,
        log=log,
    )
    deadline = time.monotonic() + _START_SECONDS
    while not (layout.run / "control.sock").exists():
        if not procfs.alive(started) or time.monotonic() > deadline:
            raise CliError(
                "The supervisor did not start.",
                exit_code=HALF_WAY,
                code="supervisor_failed",
                why=_last_line(log),
                hint=f"read {log}",
            )
        time.sleep(0.02)


def _rotate(log: Path) -> None:
    if log.is_file() and log.stat().st_size > _LOG_BYTES:
        log.rename(log.with_name(log.name + ".1"))
    if not log.exists():
        files.write_private(log, "")


def _last_line(log: Path) -> str | None:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else None


def command(verb: str, **properties: Any) -> dict[str, Any]:
    """One circus command; it answers when it is done, not when it was accepted."""
    return {"command": verb, "properties": {"waiting": True, **properties}}


def send(layout: Layout, *commands: dict[str, Any], timeout: float = 90.0) -> list[dict[str, Any]]:
    """Sends commands in order and returns their replies; the first refusal becomes an error."""
    result = process.run(
        [layout.supervisor_python, "-I", layout.supervisor / "lib" / "scutum_supervise.py", _ENDPOINT],
        text_in=json.dumps(commands),
        cwd=layout.run,
        env={"PATH": "/usr/bin:/bin", "SCUTUM_CONTROL_TIMEOUT": str(timeout)},
        timeout=timeout * len(commands) + 10,
    )
    try:
        replies: list[dict[str, Any]] = json.loads(result.out)
    except ValueError:
        replies = [{"status": "error", "reason": result.last_line}]
    if not replies or replies[-1].get("status") != "ok":
        raise CliError(
            "The supervisor did not do what it was asked.",
            exit_code=UNREACHABLE,
            code="supervisor_unreachable",
            why=str(replies[-1].get("reason", "") if replies else result.last_line)[:300],
            hint=f"{layout.says('down')}, then {layout.says('up')}",
        )
    return replies


def end(layout: Layout) -> None:
    """Ends the supervisor without its help; its services go on until they are stopped themselves."""
    running = pid(layout)
    if running is None:
        return
    procfs.send(running, signal.SIGKILL)
    while procfs.alive(running):
        time.sleep(0.01)
