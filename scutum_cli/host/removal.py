"""Takes an install away: what Scutum made and nothing else."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from scutum_cli import settings
from scutum_cli.errors import HALF_WAY, CliError
from scutum_cli.host import owner, path_link, process, procfs
from scutum_cli.host.engines.embedded import Embedded
from scutum_cli.host.layout import Layout
from scutum_cli.host.lock import host_lock

_PROGRAMS = ("current", "releases", "supervisor", "run")
# What install and the services write; anything else in these directories is an operator's.
_DATA = (
    "config/.env", "config/scutum.yaml", "data/postgres", "data/.postgres.partial", "data/valkey", "data/spill",
    "data/state", "data/archives", "config/audit-keys",
    "backups", "logs",
)  # fmt: skip


def plan(layout: Layout, *, delete_data: bool) -> list[str]:
    """The parts that would go, relative to the deploy root."""
    names = (*_PROGRAMS, *_DATA) if delete_data else _PROGRAMS
    return [name for name in names if os.path.lexists(layout.home / name)]


def remove(layout: Layout, *, delete_data: bool) -> list[str]:
    """Stops everything and removes the parts; returns what lies there and was not ours."""
    doomed = plan(layout, delete_data=delete_data)
    user = owner.of(layout.home)
    if os.geteuid() not in {0, layout.home.stat().st_uid}:
        raise CliError(f"Only {layout.home.owner()} or root can remove {layout.home}.", code="not_permitted")
    if layout.run.is_dir():
        with host_lock(layout.lock_file):
            owner.run_as(user, lambda: Embedded(layout).down(lambda _: None))
            _delete(layout, doomed)
    else:
        _delete(layout, doomed)
    path_link.remove(layout)
    _forget_context(layout.home)
    left: list[str] = []
    if delete_data:
        left = _empty_places(layout)
        if kept := _remove_user(user, layout.home):
            left.append(kept)
    return left


def _delete(layout: Layout, names: list[str]) -> None:
    for name in names:
        path = layout.home / name
        try:
            if path.is_symlink() or path.is_file():
                path.unlink()
            else:
                shutil.rmtree(path)
        except OSError as error:
            raise CliError(
                f"{path} cannot be removed: {error.strerror}.",
                exit_code=HALF_WAY,
                code="removal_failed",
                hint="mend that and run the same command again",
            ) from None


def _forget_context(home: Path) -> None:
    with settings.edit() as contexts:
        for name in [name for name, context in contexts.contexts.items() if context.home == str(home)]:
            contexts.remove(name)


def _empty_places(layout: Layout) -> list[str]:
    """Removes the directories that are empty now; names what keeps the others."""
    for directory in (layout.config, layout.data, layout.home):
        try:
            directory.rmdir()
        except OSError:
            continue
    if not layout.home.exists():
        return []
    return sorted(str(path.relative_to(layout.home)) for path in layout.home.rglob("*") if not path.is_dir())


def _remove_user(user: owner.Owner, home: Path) -> str | None:
    """Removes the system user if this install made it and nothing else is its; else says that it stays."""
    if os.geteuid() != 0 or user.name != owner.SYSTEM_USER:
        return None
    try:
        made_here = pwd.getpwnam(user.name).pw_dir == str(home)
    except KeyError:
        return None
    others = [Path(context.home) for context in settings.load().contexts.values() if context.home]
    in_use = procfs.of_user(user.uid) or any(
        (other / "config").is_dir() and (other / "config").stat().st_uid == user.uid for other in others
    )
    if made_here and not in_use and process.run(["userdel", user.name]).code == 0:
        return None
    return f"the system user {user.name}"
