"""From nothing to an answering gateway. Every step looks first: killed anywhere and run again, it finishes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from scutum_cli import settings
from scutum_cli.errors import HALF_WAY, CliError
from scutum_cli.host import (
    config,
    files,
    first_answer,
    health,
    migrate,
    owner,
    packages,
    path_link,
    postgres,
    preflight,
    process,
    procfs,
    source,
    stores,
    supervisor,
)  # fmt: skip
from scutum_cli.host.config import HostConfig
from scutum_cli.host.engines.embedded import Embedded
from scutum_cli.host.layout import Layout
from scutum_cli.host.lock import host_lock
from scutum_cli.host.progress import Progress

_MEGABYTES = 450
_EXTRA = "the LiteLLM library in an environment of its own, about 260 MB"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; None means the default or what an earlier run chose."""

    home: Path
    origin: str | None = None
    sha256: str | None = None
    proxy_port: int | None = None
    admin_port: int | None = None
    proxy_workers: int | None = None
    run_as: str | None = None
    stores: Mapping[str, str] = field(default_factory=dict)
    extras: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the plan and what it does; the action returns notes for its progress line."""

    title: str
    needed: bool
    action: Callable[[Progress], list[str]]


class Install:
    """Checks the host, then holds the plan; `run` carries it out."""

    def __init__(self, request: Request) -> None:
        preflight.machine()
        preflight.home(request.home)
        self.layout = Layout(request.home)
        self.source = source.find(request.origin, request.sha256)
        self.user = owner.choose(request.run_as, self.layout.home)
        preflight.place(self.layout, self.source, self.user)
        self.python = preflight.python_for(self.user)
        self.fresh = not self.layout.exists()
        self._written: HostConfig | None = None
        self._stores = dict(request.stores)
        self.config = self._wanted_config(request)
        self._engine_runs = not self.fresh and supervisor.pid(self.layout) is not None
        preflight.ports(self.config, held_by=(self._written or self.config) if self._engine_runs else None)
        self._package_need = packages.need(self.layout, self.source, request.extras)
        self.free_bytes = preflight.disk(self.layout) if self._package_need.dependencies else None
        self.completion: first_answer.Completion | None = None
        self.link: Path | None = None
        self.steps = self._plan()

    def _wanted_config(self, request: Request) -> HostConfig:
        asked = {
            name: value
            for name in ("proxy_port", "admin_port", "proxy_workers")
            if (value := getattr(request, name)) is not None
        }
        base = config.for_home(self.layout.home, config.default_workers())
        if not self.fresh:
            try:
                base = self._written = config.load(self.layout.yaml_file)
            except CliError as error:
                kept = config.read(self.layout.yaml_file) if error.code == config.INCOMPLETE else {}
                if error.code != config.INCOMPLETE or not {"proxy_port", "admin_port"} <= {*kept, *asked}:
                    raise
                base = replace(base, **kept)  # type: ignore[arg-type]
        base = replace(self._with_free_store_ports(base), **asked)
        return config.with_stores(base, self._wanted_stores(base)) if self._stores else base

    def _wanted_stores(self, base: HostConfig) -> dict[str, str]:
        """The URLs that config/.env will hold; refuses to leave data behind in a store of our own."""
        present = files.read_env(self.layout.env_file)
        mine = postgres.is_initialised(self.layout.postgres_data) and not base.external_database
        if stores.DATABASE in self._stores and mine:
            raise CliError(
                f"This install keeps its data in its own Postgres, {self.layout.postgres_data}.",
                code="has_data",
                hint="--home with another directory for an install on the external one",
            )
        wanted = present | self._stores
        for name in self._stores:
            problem = stores.answers(wanted, name)
            if problem is not None:
                raise CliError(f"The external store does not answer: {problem}.", code="store_unreachable")
        return wanted

    def _with_free_store_ports(self, base: HostConfig) -> HostConfig:
        """While nothing of ours runs, a store's port that another program has is exchanged for a free one."""
        if procfs.of_home(self.layout.home):
            return base
        homes = [context.home for context in settings.load().contexts.values() if context.home]
        taken = preflight.promised_ports(homes, self.layout.home)
        postgres_port = preflight.free_port(base.postgres_port, taken)
        valkey_port = preflight.free_port(base.valkey_port, {*taken, postgres_port})
        return replace(base, postgres_port=postgres_port, valkey_port=valkey_port)

    def _settle_ports(self) -> None:
        """Minutes may have passed since the plan; another install may have taken the ports meanwhile."""
        settled = self._with_free_store_ports(self.config)
        if settled != self.config:
            self.config = settled
            owner.run_as(self.user, lambda: files.write_private(self.layout.yaml_file, settled.text()))

    def _plan(self) -> list[Step]:
        layout, host = self.layout, self.config
        packages_need = bool(self._package_need)
        cluster = not host.external_database and not (
            self._readable() and postgres.is_initialised(layout.postgres_data)
        )
        same_config = self._written == host
        env_ready = not self.fresh and not self._missing_secrets() and not self._new_urls()
        answered = self._engine_runs and same_config and not packages_need
        healthy = answered and health.proxy(host).ok and health.admin(host).ok
        schema_ready = healthy and self._schema_is_current()
        finished = healthy and first_answer.is_complete(layout.home, host)
        answer = "first key and first completion, in the simulator"
        if healthy:
            answer = "context and key of its own for this user's command, no other key is touched; one completion"
        linked = path_link.is_ours(path_link.place(), layout) or not path_link.is_free(path_link.place())
        ports = f"proxy {host.proxy_host}:{host.proxy_port}, admin {host.admin_host}:{host.admin_port}"
        parts = "with its packages" if self._package_need.dependencies else "itself"
        size = f", about {_MEGABYTES} MB" if self._package_need.dependencies else ""
        what = f"Scutum {self.source.version} {parts}{size}, for {self.python}"
        return [
            Step(f"make the system user {self.user.name}", self.user.missing, self._make_user),
            Step(f"configuration and secrets in {layout.config}", not (same_config and env_ready), self._configure),
            Step(what, packages_need, self._install_packages),
            Step(_EXTRA, bool(self._package_need.extras), self._install_extras),
            Step(f"database cluster in {layout.postgres_data}", cluster, self._make_cluster),
            Step(f"database roles and schema{_at(host.external_database)}", not schema_ready, self._migrate),
            Step(f"start {_stores(host)}{ports}, {host.proxy_workers} proxy processes", not healthy, self._start),
            Step(answer, not finished, self._first_answer),
            Step(f"link {path_link.place()}", not linked, self._link),
        ]

    def _readable(self) -> bool:
        return os.access(self.layout.data, os.X_OK)

    def _missing_secrets(self) -> list[str]:
        present = files.read_env(self.layout.env_file)
        return [name for name in files.new_secrets("") if not present.get(name)]

    def _new_urls(self) -> bool:
        present = files.read_env(self.layout.env_file)
        return any(present.get(name) != url for name, url in self._stores.items())

    def _schema_is_current(self) -> bool:
        schema = health.admin(self.config).body.get("schema")
        return isinstance(schema, dict) and schema.get("current") == schema.get("expected")

    @property
    def needed(self) -> list[Step]:
        return [step for step in self.steps if step.needed]

    def run(self, progress: Progress) -> None:
        """Carries out the steps that are needed; on failure nothing half-made stays running."""
        with ExitStack() as stack:
            if self.user.missing:
                self._carry_out(self.steps[0], progress)
            self._make_place()
            stack.enter_context(host_lock(self.layout.lock_file))
            progress.log_to(self.layout.logs / "install.log")
            try:
                for step in self.needed[1:] if self.steps[0].needed else self.needed:
                    self._carry_out(step, progress)
            except BaseException:
                if not self._engine_runs:
                    self._stop_what_was_started()
                raise

    def _carry_out(self, step: Step, progress: Progress) -> None:
        with progress.step(step.title) as notes:
            try:
                notes.extend(step.action(progress))
            except OSError as error:
                place = f" ({error.filename})" if error.filename else ""
                raise CliError(
                    f"{step.title[0].upper()}{step.title[1:]} failed: {error.strerror or error}{place}.",
                    exit_code=HALF_WAY,
                    code="step_failed",
                    hint="mend that and run the same command again; it goes on where it stopped",
                ) from error

    def _stop_what_was_started(self) -> None:
        if self.layout.exists() and self.layout.supervisor_python.exists():
            owner.run_as(self.user, lambda: Embedded(self.layout).down(lambda _: None))

    def _make_user(self, progress: Progress) -> list[str]:
        del progress
        shell = next((path for path in ("/usr/sbin/nologin", "/sbin/nologin") if Path(path).exists()), "/bin/false")
        made = process.run(
            ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", self.layout.home,
             "--shell", shell, self.user.name]
        )  # fmt: skip
        process.check(
            f"Making the system user {self.user.name}",
            made,
            hint="make it yourself, or name another with --run-as USER",
        )
        self.user = owner.choose(None, self.layout.home)
        return []

    def _make_place(self) -> None:
        """Directories: what is run belongs to the installer, what is written to belongs to the services' user."""
        layout = self.layout
        private = (layout.config, layout.data, layout.backups, layout.logs, layout.run)
        try:
            if not layout.home.exists():
                layout.home.mkdir(parents=True, mode=0o755 if self.user.is_other else 0o700)
            for directory in private:
                directory.mkdir(mode=0o700, exist_ok=True)
                if self.user.is_other and directory.stat().st_uid != self.user.uid:
                    os.chown(directory, self.user.uid, self.user.gid)
            for shared in (layout.releases, layout.supervisor):
                shared.mkdir(exist_ok=True)
            owner.run_as(self.user, self._make_shared_files)
        except OSError as error:
            raise CliError(
                f"{error.filename or layout.home} cannot be made: {error.strerror}.",
                code="bad_home",
                hint="--home with a directory of your own",
            ) from None

    def _make_shared_files(self) -> None:
        """What root and the services' user both write to belongs to the user."""
        for path in (self.layout.lock_file, self.layout.logs / "install.log"):
            path.touch(mode=0o600)

    def _configure(self, progress: Progress) -> list[str]:
        del progress

        def write() -> list[str]:
            layout = self.layout
            if self._written != self.config:
                files.write_private(layout.yaml_file, self.config.text())
            present = files.read_env(layout.env_file)
            fresh = files.new_secrets(self.source.version)
            missing = [name for name in fresh if not present.get(name)]
            lost = [name for name in missing if name not in files.LATER]
            if present and lost and postgres.is_initialised(layout.postgres_data):
                raise CliError(
                    f"{layout.env_file} lacks {', '.join(lost)}, and the data was made with the old values.",
                    code="secrets_lost",
                    hint=f"put them back from a copy of {layout.env_file.name}, then run the same command again",
                )
            if missing or self._new_urls():
                present |= self._stores
                files.write_private(
                    layout.env_file, files.env_text(fresh | {name: value for name, value in present.items() if value})
                )
            return []

        return list(owner.run_as(self.user, write))

    def _install_packages(self, progress: Progress) -> list[str]:
        before = os.umask(0o022)
        try:
            log = self.layout.logs / "install.log"
            packages.build(self.layout, self.source, self.python, log, progress.tick)
        finally:
            os.umask(before)
        version = postgres.programs(migrate.site_packages(self.layout)) / "postgres"

        def attempt() -> str:
            result = process.run([version, "--version"], cwd=self.layout.run, timeout=30)
            return process.check(f"Running Postgres as {self.user.name}", result).out.strip()

        progress.note(str(owner.run_as(self.user, attempt)))
        if not self.fresh:
            owner.run_as(
                self.user,
                lambda: files.set_env_value(self.layout.env_file, "SCUTUM_VERSION", self.source.version),
            )
        return []

    def _install_extras(self, progress: Progress) -> list[str]:
        before = os.umask(0o022)
        try:
            for name in self._package_need.extras:
                log = self.layout.logs / "install.log"
                packages.add_extra(self.layout, self.source, self.python, name, log, progress.tick)
        finally:
            os.umask(before)
        return []

    def _make_cluster(self, progress: Progress) -> list[str]:
        progress.tick()
        programs = postgres.programs(migrate.site_packages(self.layout))
        password = files.read_env(self.layout.env_file)["POSTGRES_SUPERUSER_PASSWORD"]
        owner.run_as(self.user, lambda: postgres.initialise(self.layout, programs, password))
        return []

    def _migrate(self, progress: Progress) -> list[str]:
        self._settle_ports()
        try:
            revision = owner.run_as(self.user, lambda: migrate.migrate(self.layout, self.config, progress.tick))
        except CliError as error:
            # Another program was quicker to take the port that was free a moment ago.
            if error.code != "postgres_failed" or health.is_free(config.LOOPBACK, self.config.postgres_port):
                raise
            self._settle_ports()
            revision = owner.run_as(self.user, lambda: migrate.migrate(self.layout, self.config, progress.tick))
        return [f"revision {revision}"]

    def _start(self, progress: Progress) -> list[str]:
        self._settle_ports()

        def start() -> None:
            engine = Embedded(self.layout)
            if self._engine_runs and self._package_need:
                # The stores come with the dependencies: as long as those stay, they need not stop.
                names = () if self._package_need.dependencies else ("admin", "worker", "proxy")
                engine.restart(names, progress.note, progress.tick)
            else:
                engine.up(progress.note, progress.tick)

        owner.run_as(self.user, start)
        return ["healthy"]

    def _first_answer(self, progress: Progress) -> list[str]:
        progress.tick()
        context = first_answer.ensure_context(self.layout.home, self.config)
        first_answer.ensure_key(context, self.config)
        self.completion = first_answer.complete(self.config, context.key or "", self.layout.says("logs proxy"))
        return [f"{self.completion.milliseconds} ms"]

    def _link(self, progress: Progress) -> list[str]:
        progress.tick()
        self.link = path_link.make(self.layout)
        return []


def _stores(host: HostConfig) -> str:
    """The stores that the plan will start, each with a comma."""
    own = "" if host.external_database else f"Postgres 18 on port {host.postgres_port}, "
    return own if host.external_redis else f"{own}Valkey on port {host.valkey_port}, "


def _at(place: str) -> str:
    return f" at {place}" if place else ""
