"""The embedded engine: starts, stops and restarts every service of a deploy root on this host."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence

from scutum_cli.errors import HALF_WAY, NOT_FOUND, UNREACHABLE, CliError
from scutum_cli.host import config as host_config
from scutum_cli.host import files, health, procfs, state, supervisor
from scutum_cli.host.layout import Layout
from scutum_cli.host.services import BY_NAME, NAMES, external, own

Say = Callable[[str], None]
Tick = Callable[[], None]
_HEALTHY_SECONDS = 60.0
_FATAL_ENDS = 2
# What clients see goes first, what others write to goes last.
_STOP_ORDER = (("proxy",), ("worker", "admin"), ("valkey",), ("postgres",))


def _nothing() -> None:
    return


class _Fatal:
    """Watches a start for a service that ends again and again because its settings are wrong."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._since = time.time()
        self._ends: dict[str, set[float]] = {}

    def check(self, names: Sequence[str]) -> None:
        """Gives up on a service that has ended with exit code 2 twice since the start, with its own last words."""
        for name in names:
            last = state.record(self._layout, name).get("last") or {}
            reason = str(last.get("reason", ""))
            if not reason.startswith("exit code 2") or float(last.get("at", 0)) < self._since:
                continue
            ends = self._ends.setdefault(name, set())
            ends.add(float(last["at"]))
            if len(ends) >= _FATAL_ENDS:
                raise CliError(
                    f"{name} cannot run with these settings.",
                    exit_code=UNREACHABLE,
                    code="settings_error",
                    why=reason.partition(": ")[2] or None,
                    hint=f"mend that in {self._layout.config}, then: {self._layout.says(f'restart {name}')}",
                )


class Embedded:
    """One deploy root; the caller holds its lock and is its owner."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.config = host_config.load(layout.yaml_file)
        self.names = tuple(service.name for service in own(self.config))

    def is_running(self) -> bool:
        return supervisor.pid(self.layout) is not None

    def up(self, say: Say, tick: Tick = _nothing) -> bool:
        """Starts what is not running and waits until all is healthy; whether anything had to be started."""
        for directory in (self.layout.run, self.layout.logs, self.layout.spill):
            files.private_directory(directory)
        if self.is_running() and not supervisor.config_is_current(self.layout, self.config):
            say("config/scutum.yaml changed; stopping to start with it")
            self.down(say, tick)
        if self.is_running():
            started = self._start_stopped()
        else:
            if self._processes():
                say("replacing services whose supervisor is gone")
                self._stop_directly(tick)
            self._need_ports()
            supervisor.start(self.layout, self.config)
            started = True
        self.wait_healthy(tick)
        return started

    def wait_healthy(self, tick: Tick = _nothing, only: Sequence[str] = NAMES) -> None:
        """Returns when every service runs and proxy and admin say that they are well; else says who is not and why."""
        deadline = time.monotonic() + _HEALTHY_SECONDS
        fatal = _Fatal(self.layout)
        while True:
            rows = state.all_services(self.layout, self.config)
            if (
                all(row.state == state.RUNNING for row in rows if row.name in only)
                and ("proxy" not in only or health.proxy(self.config).is_fresh)
                and ("admin" not in only or health.admin(self.config).works("database", "redis", "worker"))
                and ("worker" not in only or self._worker_tells())
            ):
                return
            fatal.check(only)
            self._give_up_after(deadline)
            time.sleep(0.1)
            tick()

    def down(self, say: Say, tick: Tick = _nothing) -> bool:
        """Stops everything, in the order proxy, worker and admin, stores; no process is left. Whether any ran."""
        ran = bool(self._processes())
        if self.is_running():
            try:
                for group in self._stop_order():
                    say(f"stopping {' and '.join(group)}")
                    supervisor.send(self.layout, *(supervisor.command("stop", name=name) for name in group))
                    tick()
                supervisor.send(self.layout, supervisor.command("quit"))
            except CliError:
                say("the supervisor does not answer; stopping the services directly")
        self._stop_directly(tick)
        return ran

    def restart(self, names: Sequence[str], say: Say, tick: Tick = _nothing) -> None:
        """Restarts services; the proxy last, through its shared socket, so that no connection is refused."""
        unknown = [name for name in names if name not in self.names]
        if unknown and unknown[0] in external(self.config):
            raise CliError(
                f"{unknown[0]} is at {external(self.config)[unknown[0]]} and is not run by this install.",
                code="external_service",
            )
        if unknown:
            raise CliError(
                f"There is no service {unknown[0]!r}.",
                exit_code=NOT_FOUND,
                code="service_not_found",
                hint=f"one of: {', '.join(self.names)}",
            )
        if not self.is_running() or not supervisor.config_is_current(self.layout, self.config):
            self.down(say, tick)
            self.up(say, tick)
            return
        chosen = [name for name in self.names if not names or name in names]
        for name in chosen:
            say(f"restarting {name}")
            if name == "proxy":
                self._roll_proxy(tick)
            else:
                supervisor.send(self.layout, supervisor.command("restart", name=name))
        self.wait_healthy(tick)

    def _roll_proxy(self, tick: Tick) -> None:
        """Starts as many new proxies on the same socket, waits for them, then lets the old ones drain and go."""
        count = self.config.proxy_workers
        old = {process.pid for process in state.mains(self._processes(), "proxy")}
        if not old:
            supervisor.send(self.layout, supervisor.command("restart", name="proxy"))
            return
        self._set_proxies(len(old) + count)
        try:
            self._wait_for_new_proxies(old, count, tick)
        except BaseException:
            self._keep_proxies(old)
            raise
        self._set_proxies(count)

    def _wait_for_new_proxies(self, old: set[int], count: int, tick: Tick) -> None:
        deadline = time.monotonic() + _HEALTHY_SECONDS
        fatal = _Fatal(self.layout)
        while True:
            new = [process for process in state.mains(self._processes(), "proxy") if process.pid not in old]
            ready = set(state.record(self.layout, "proxy").get("ready", ()))
            if sum(process.pid in ready for process in new) >= count:
                return
            fatal.check(["proxy"])
            if time.monotonic() > deadline:
                raise CliError(
                    "The new proxies did not become ready; the old ones still serve.",
                    exit_code=HALF_WAY,
                    code="proxy_not_ready",
                    why=self._reasons(),
                    hint=f"{self.layout.says('logs proxy')}, and after the repair: {self.layout.says('restart proxy')}",
                )
            time.sleep(0.1)
            tick()

    def _worker_tells(self) -> bool:
        """Whether the worker that runs now has told so itself: what Redis has may be its predecessor's word."""
        pid = state.record(self.layout, "worker-status").get("pid")
        return any(process.pid == pid for process in state.mains(self._processes(), "worker"))

    def _keep_proxies(self, old: set[int]) -> None:
        """Ends the new proxies and keeps the old ones, which circus takes for the youngest after this signal."""
        keep = [
            supervisor.command("signal", name="proxy", pid=pid, signum=int(signal.SIGCONT))
            for pid in sorted(old)
            if procfs.alive(pid)
        ]
        count = supervisor.command("set", name="proxy", options={"numprocesses": max(len(keep), 1)})
        supervisor.send(self.layout, *keep, count)

    def _set_proxies(self, count: int) -> None:
        supervisor.send(self.layout, supervisor.command("set", name="proxy", options={"numprocesses": count}))

    def _start_stopped(self) -> bool:
        status = supervisor.send(self.layout, {"command": "status"})[0].get("statuses", {})
        stopped = [name for name in self.names if status.get(name) != "active"]
        if stopped:
            supervisor.send(self.layout, *(supervisor.command("start", name=name) for name in stopped))
        proxies = len(state.mains(self._processes(), "proxy"))
        if "proxy" not in stopped and proxies != self.config.proxy_workers:
            self._set_proxies(self.config.proxy_workers)
            return True
        return bool(stopped)

    def _stop_order(self) -> list[list[str]]:
        groups = [[name for name in group if name in self.names] for group in _STOP_ORDER]
        return [group for group in groups if group]

    def _processes(self) -> list[procfs.Found]:
        return procfs.of_home(self.layout.home)

    def _stop_directly(self, tick: Tick) -> None:
        """Ends the supervisor, which would restart them, then each service with its own signal and time limit."""
        deadline = time.monotonic() + 5
        while self.is_running() and time.monotonic() < deadline and not self._services_left():
            time.sleep(0.02)
        supervisor.end(self.layout)
        for group in _STOP_ORDER:
            for name in group:
                for process in state.mains(self._processes(), name):
                    procfs.send(process.pid, BY_NAME[name].stop_signal)
            deadline = time.monotonic() + max(BY_NAME[name].grace for name in group)
            while any(process.service in group for process in self._processes()):
                if time.monotonic() > deadline:
                    for process in self._processes():
                        if process.service in group:
                            procfs.send(process.pid, signal.SIGKILL)
                    deadline = time.monotonic() + 5
                time.sleep(0.05)
                tick()

    def _services_left(self) -> bool:
        return any(process.service != procfs.SUPERVISOR for process in self._processes())

    def _need_ports(self) -> None:
        for name, host, port in (
            ("proxy", self.config.proxy_host, self.config.proxy_port),
            ("admin", self.config.admin_host, self.config.admin_port),
            ("postgres", host_config.LOOPBACK, self.config.postgres_port),
            ("valkey", host_config.LOOPBACK, self.config.valkey_port),
        ):
            if name in self.names and not health.is_free(host, port):
                raise CliError(
                    f"Port {port}, which {name} needs, is taken by another program.",
                    code="port_busy",
                    hint=f"stop that program, or change {name}.port in {self.layout.yaml_file}",
                )

    def _give_up_after(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise CliError(
                "Not every service became healthy.",
                exit_code=UNREACHABLE,
                code="unhealthy",
                why=self._reasons(),
                hint=f"{self.layout.says('ps')}, {self.layout.says('logs')}",
            )

    def _reasons(self) -> str:
        rows = state.all_services(self.layout, self.config)
        bad = [
            f"{row.name} is {row.state}" + (f" ({row.last_reason})" if row.last_reason else "")
            for row in rows
            if row.state != state.RUNNING
        ]
        if not health.proxy(self.config).ok:
            bad.append("the proxy is not ready")
        admin = health.admin(self.config)
        if not admin.ok:
            bad.append(f"admin says {admin.body.get('checks') or admin.body.get('detail') or admin.status}")
        return "; ".join(bad) or "it took too long"
