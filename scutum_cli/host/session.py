"""How a host command begins: finds the install, becomes its owner, and takes the lock when it changes something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scutum_cli import output, settings
from scutum_cli.errors import CliError
from scutum_cli.host import config, owner
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
def changing(home: str | None, *, starts: bool = False) -> Iterator[Embedded]:
    """The engine of an install, under its lock and as its owner; the whole command stays that user.

    What `starts` services applies the addresses in scutum.yaml, so this user's contexts learn them as well.
    """
    layout = finished(home)
    if starts:
        _refresh_contexts(layout)
    owner.step_down(owner.of(layout.home))
    layout.run.mkdir(mode=0o700, exist_ok=True)
    with host_lock(layout.lock_file):
        yield Embedded(layout)


def _refresh_contexts(layout: Layout) -> None:
    host = config.load(layout.yaml_file)
    try:
        changed = settings.refresh(layout.home, host.admin_url, host.proxy_url)
    except CliError as error:
        # Services start whatever the command's own file looks like.
        output.say(f"The contexts keep their addresses: {error.message}")
        return
    if changed:
        output.say(f"context {', '.join(changed)} now at {host.admin_url} and {host.proxy_url}")
