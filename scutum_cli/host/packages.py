"""Virtual environments for a release and for the supervisor, from lock files with hashes.

They are built where they will stay (an environment cannot be moved); a marker file, written last, says that one is
complete, and one without it is built anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scutum_cli.errors import HALF_WAY, CliError
from scutum_cli.host import files, process
from scutum_cli.host.layout import Layout
from scutum_cli.host.process import Tick
from scutum_cli.host.source import LOCKS, Source

_MARKER = ".complete"
# Written when the packages of a lock are in place: the slow part need not be done again after a kill.
_DEPENDENCIES = ".dependencies"
# Variables and settings that would make pip install elsewhere than into the environment named.
_NOT_PASSED = {
    "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIREMENT",
    "PIP_CONSTRAINT", "PIP_NO_DEPS", "PIP_ONLY_BINARY", "PIP_NO_BINARY", "__PYVENV_LAUNCHER__",
}  # fmt: skip


EXTRAS = ("litellm",)
"""What `--with` takes: each has a lock of its own, and an environment below the release's that `upstream` looks for."""


@dataclass(frozen=True, slots=True)
class Need:
    """What is missing of the environments; all False: they are complete and current. `extras` stand apart."""

    dependencies: bool
    package: bool
    supervisor: bool
    extras: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.dependencies or self.package or self.supervisor


def need(layout: Layout, source: Source, asked: Sequence[str] = ()) -> Need:
    """Compares the markers with the source; extras that were `asked` for once come with every later release."""
    directory = layout.release(source.version)
    release, supervisor = _marker(directory, _MARKER), _marker(layout.supervisor, _MARKER)
    dependencies = _marker(directory, _DEPENDENCIES).get("locks") != source.lock_digest("runtime.txt")
    return Need(
        dependencies,
        dependencies
        or source.digest not in (release.get("package"), release.get("wheel"))
        or not layout.command.exists(),
        supervisor.get("locks") != source.lock_digest("supervisor.txt"),
        tuple(
            name
            for name in EXTRAS
            if (name in asked or name in _kept_extras(layout))
            and (
                dependencies
                or _marker(directory / "venv" / name, _MARKER).get("locks") != source.lock_digest(f"{name}.txt")
            )
        ),
    )


def _kept_extras(layout: Layout) -> list[str]:
    try:
        return (layout.releases / "extras").read_text().split()
    except OSError:
        return []


def add_extra(layout: Layout, source: Source, python: Path, name: str, log: Path, tick: Tick) -> None:
    """An extra's environment beside a release that is there; nothing of what runs is touched."""
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=layout.releases))
    try:
        (layout.releases / "extras").write_text("\n".join(sorted({*_kept_extras(layout), name})) + "\n")
        _Builder(layout, source, python, work, log, tick).build_extra(name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def build(layout: Layout, source: Source, python: Path, log: Path, tick: Tick) -> None:
    """Builds what `need` says, in parallel, and points `current` at the release."""
    missing = need(layout, source)
    release = layout.release(source.version)
    for left in layout.releases.glob(".build*"):
        shutil.rmtree(left, ignore_errors=True)
    # Of its own: what a killed run started may still be writing to that run's.
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=layout.releases))
    try:
        _Builder(layout, source, python, work, log, tick).build(missing)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    supervise = next((release / "venv" / "lib").glob("python*/site-packages/scutum_cli/host/supervise.py"))
    library = layout.supervisor / "lib"
    library.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(supervise, library / "scutum_supervise.py")
    _point(layout.current, release)


class _Builder:
    def __init__(self, layout: Layout, source: Source, python: Path, work: Path, log: Path, tick: Tick) -> None:
        self._layout, self._source, self._python, self._work, self._tick = layout, source, python, work, tick
        self._log = log
        self._env = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED}
        self._env.update(PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0", PYTHONDONTWRITEBYTECODE="1")
        for name in LOCKS:
            (work / name).write_text(source.lock_text(name))

    def build_extra(self, name: str) -> None:
        place = self._layout.release(self._source.version) / "venv" / name
        self._make_tools()
        shutil.rmtree(place, ignore_errors=True)
        self._run(f"Making {place}", [self._python, "-I", "-m", "venv", "--without-pip", place])
        lock = self._work / f"{name}.txt"
        pip = self._pip(place / "bin" / "python")
        self._run("Installing packages", _flat(pip, "install", "--no-compile", "--require-hashes", "-r", lock))
        self._compile(place)
        _mark(place, {"locks": self._source.lock_digest(lock.name)})

    def _make_tools(self) -> None:
        environment: list[str | Path] = [self._python, "-I", "-m", "venv", self._work / "venv"]
        self._run("Making the build environment", environment)

    def build(self, missing: Need) -> None:
        release, supervisor = self._layout.release(self._source.version), self._layout.supervisor
        self._make_tools()
        jobs: list[tuple[str, process.Running]] = []
        try:
            if missing.dependencies:
                jobs.append(self._dependencies(release, "runtime.txt"))
            if missing.supervisor:
                jobs.append(self._dependencies(supervisor, "supervisor.txt"))
            wheel = self._wheel()
            for what, job in jobs:
                self._finish(what, job)
            if missing.dependencies:
                _mark(release, {"locks": self._source.lock_digest("runtime.txt")}, _DEPENDENCIES)
        finally:
            for _, job in jobs:
                job.stop()
        if missing.package:
            # Until it is done the release counts as incomplete, whenever this is killed.
            (release / _MARKER).unlink(missing_ok=True)
            offline = ("--no-index", "--no-deps", "--no-compile", "--force-reinstall")
            self._run("Installing Scutum", _flat(self._pip(_python(release)), "install", *offline, wheel))
            shutil.rmtree(release / "dist", ignore_errors=True)
            (release / "dist").mkdir()
            shutil.copyfile(wheel, release / "dist" / wheel.name)
            self._compile(release / "venv")
            # A checkout and the wheel built from it are the same package: `scutum install` finds the wheel.
            _mark(
                release,
                {
                    "package": self._source.digest,
                    "wheel": hashlib.sha256(wheel.read_bytes()).hexdigest(),
                    "version": self._source.version,
                },
            )
        if missing.supervisor:
            self._compile(supervisor / "venv")
            _mark(supervisor, {"locks": self._source.lock_digest("supervisor.txt")})

    def _dependencies(self, directory: Path, lock: str) -> tuple[str, process.Running]:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        create: list[str | Path] = [self._python, "-I", "-m", "venv", "--without-pip", directory / "venv"]
        self._run(f"Making {directory / 'venv'}", create)
        install = _flat(
            self._pip(_python(directory)), "install", "--no-compile", "--require-hashes", "-r", self._work / lock
        )
        return "Installing packages", self._start(install)

    def _wheel(self) -> Path:
        """The package as a wheel; built without an index in an environment that has the build tools."""
        if self._source.is_wheel:
            return self._source.path
        pip = self._pip(_python(self._work))
        tools = _flat(pip, "install", "--no-compile", "--require-hashes", "-r", self._work / "build.txt")
        self._run("Installing the build tools", tools)
        self._run(
            "Building Scutum's package",
            _flat(pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation",
                  "--wheel-dir", self._work, self._source.path),
        )  # fmt: skip
        return next(self._work.glob("scutum_gateway-*.whl"))

    def _pip(self, python: Path) -> list[str | Path]:
        """The build environment's pip, run by another environment's Python: so those need none of their own."""
        pip = next((self._work / "venv" / "lib").glob("python*/site-packages/pip"))
        return [python, pip, "--disable-pip-version-check", "--no-input", "--quiet"]

    def _compile(self, environment: Path) -> None:
        python = environment / "bin" / "python"
        env = {name: value for name, value in self._env.items() if name != "PYTHONDONTWRITEBYTECODE"}
        # Some packages ship templates that are no valid Python: the exit code says nothing.
        self._start([python, "-I", "-m", "compileall", "-q", "-j", "0", environment / "lib"], env).result(self._tick)

    def _start(self, argv: Sequence[str | Path], env: dict[str, str] | None = None) -> process.Running:
        with files.append_to(self._log) as log:
            return process.Running(argv, self._log, log, env=env or self._env, cwd=self._work)

    def _run(self, what: str, argv: Sequence[str | Path]) -> None:
        self._finish(what, self._start(argv))

    def _finish(self, what: str, job: process.Running) -> None:
        result = job.result(self._tick)
        if result.code != 0:
            lines = [line.strip() for line in result.out.splitlines() if line.strip().startswith("ERROR:")]
            raise CliError(
                f"{what} failed.",
                exit_code=HALF_WAY,
                code="packages_failed",
                why=(lines[0] if lines else result.last_line)[:300],
                hint=f"see {self._log}; if the network is at fault, mend it and run the same command again",
            )


def _python(directory: Path) -> Path:
    return directory / "venv" / "bin" / "python"


def _flat(*parts: str | Path | list[str | Path]) -> list[str | Path]:
    return [inner for part in parts for inner in (part if isinstance(part, list) else [part])]


def _marker(directory: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((directory / name).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _mark(directory: Path, content: dict[str, str], name: str = _MARKER) -> None:
    partial = directory / f"{name}.partial"
    partial.write_text(json.dumps(content) + "\n")
    partial.rename(directory / name)


def _point(link: Path, target: Path) -> None:
    """Makes or moves `current`, relative, in one rename."""
    wanted = target.relative_to(link.parent)
    if link.is_symlink() and link.readlink() == wanted:
        return
    partial = link.with_name(f".{link.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(wanted)
    partial.rename(link)


def current_version(layout: Layout) -> str | None:
    """The version that `current` points at."""
    return layout.current.readlink().name if layout.current.is_symlink() else None
