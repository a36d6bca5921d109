"""The deploy root: where everything of an install lies."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from scutum_cli.errors import NOT_FOUND, CliError

ROOT_HOME = Path("/var/lib/scutum")


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one deploy root; `home` is absolute."""

    home: Path

    @property
    def config(self) -> Path:
        return self.home / "config"

    @property
    def env_file(self) -> Path:
        return self.config / ".env"

    @property
    def yaml_file(self) -> Path:
        return self.config / "scutum.yaml"

    @property
    def license_trust(self) -> Path:
        """The public keys of those whose licences this install believes."""
        return self.config / "license-authorities.pem"

    @property
    def audit_keys(self) -> Path:
        """The key that signs the audit trail's checkpoints, which the worker makes, and the public keys."""
        return self.config / "audit-keys"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def postgres_data(self) -> Path:
        return self.data / "postgres"

    @property
    def valkey_data(self) -> Path:
        return self.data / "valkey"

    @property
    def spill(self) -> Path:
        return self.data / "spill"

    @property
    def archives(self) -> Path:
        """Old months, until the setting `archive.url` names another place for them."""
        return self.data / "archives"

    @property
    def proxy_state(self) -> Path:
        """What the proxies of this host keep for each other: the last configuration, counters."""
        return self.data / "state"

    @property
    def backups(self) -> Path:
        return self.home / "backups"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def services(self) -> Path:
        """One JSON file per service, written by the supervisor: pids, restarts, the last reason."""
        return self.run / "services"

    @property
    def lock_file(self) -> Path:
        return self.run / "lock"

    @property
    def releases(self) -> Path:
        return self.home / "releases"

    @property
    def current(self) -> Path:
        return self.home / "current"

    @property
    def python(self) -> Path:
        """The Python of the current release."""
        return self.current / "venv" / "bin" / "python"

    @property
    def command(self) -> Path:
        """The `scutum` of the current release: works whatever is on the PATH."""
        return self.current / "venv" / "bin" / "scutum"

    @property
    def supervisor(self) -> Path:
        return self.home / "supervisor"

    @property
    def supervisor_python(self) -> Path:
        return self.supervisor / "venv" / "bin" / "python"

    def release(self, version: str) -> Path:
        return self.releases / version

    def says(self, words: str) -> str:
        """`scutum …` as a hint: with --home when `scutum` alone would work on another deploy root."""
        place = "" if self.home == _bare_home() else f" --home {shlex.quote(str(self.home))}"
        return f"scutum {words}{place}"

    def exists(self) -> bool:
        """Whether an install began here: nothing else has this file."""
        return self.yaml_file.is_file()


def default_home() -> Path:
    """`~/.scutum`, or /var/lib/scutum for root."""
    return ROOT_HOME if os.geteuid() == 0 else Path.home() / ".scutum"


def chosen_home(option: str | None) -> Path:
    """The absolute deploy root from --home or SCUTUM_HOME; a relative one is refused."""
    raw = option or os.environ.get("SCUTUM_HOME")
    if not raw:
        return default_home()
    path = Path(raw).expanduser()
    if not path.is_absolute():
        raise CliError(
            f"The deploy root must be an absolute path, not {raw!r}.",
            hint=f"--home {Path.cwd() / path}",
            code="bad_home",
        )
    return Path(os.path.normpath(path))


def installed(option: str | None) -> Layout:
    """The deploy root that host commands work on; an error with the next command where there is none."""
    layout = Layout(chosen_home(option) if option or os.environ.get("SCUTUM_HOME") else _own_home() or default_home())
    try:
        # Not Layout.exists(): a root that this user may not read is not a missing one.
        layout.yaml_file.stat()
    except PermissionError:
        raise CliError(
            f"This user may not read the deploy root {layout.home}.",
            code="not_permitted",
            hint=f"run the command as root or as {_owner_name(layout.home)}",
        ) from None
    except OSError:
        raise CliError(
            f"There is no install in {layout.home}.",
            exit_code=NOT_FOUND,
            code="not_installed",
            hint="sh install.sh from a checkout, scutum install, or name the place with --home",
        ) from None
    return layout


def _bare_home() -> Path:
    """The deploy root that the `scutum` on the PATH works on when nothing is said."""
    named = os.environ.get("SCUTUM_HOME")
    if named:
        return Path(os.path.normpath(named))
    found = shutil.which("scutum")
    # home/releases/<version>/venv/bin/scutum
    parents = Path(os.path.realpath(found)).parents if found else ()
    if len(parents) > 4 and parents[3].name == "releases":
        return parents[4]
    return _own_home() or default_home()


def _own_home() -> Path | None:
    """The deploy root that this very command was installed into, if it was: home/releases/<version>/venv/lib/…"""
    for parent in Path(__file__).parents:
        if parent.name == "venv" and parent.parents[1].name == "releases":
            return parent.parents[2]
    return None


def _owner_name(home: Path) -> str:
    for path in (home / "config", home):
        try:
            return path.owner()
        except (OSError, KeyError):
            continue
    return "its owner"
