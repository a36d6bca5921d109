"""How a host command begins: finds the install, becomes its owner, and takes the lock when it changes something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scutum_cli.errors import CliError
from scutum_cli.host import owner
from scutum_cli.host.engines.embedded import Embedded
from scutum_cli.host.layout import Layout, installed
from scutum_cli.host.lock import host_lock


def finished(home: str | None) -> Layout:
    """An install that was carried to its end at least as far as programs to run."""
    layout = installed(home)
    if not layout.python.exists() or not layout.supervisor_python.exists():
        raise CliError(
            f"The install in {layout.home} is not finished.",
            code="not_installed",
            hint=f"sh install.sh --home {layout.home}: it goes on where it stopped",
        )
    return layout


@contextmanager
def changing(home: str | None) -> Iterator[Embedded]:
    """The engine of an install, under its lock and as its owner; the whole command stays that user."""
    layout = finished(home)
    owner.step_down(owner.of(layout.home))
    layout.run.mkdir(mode=0o700, exist_ok=True)
    with host_lock(layout.lock_file):
        yield Embedded(layout)
