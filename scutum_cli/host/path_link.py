"""The one link outside the deploy root: `scutum` on the PATH. It never replaces anything that is not ours."""

from __future__ import annotations

import os
from pathlib import Path

from scutum_cli.host.layout import Layout


def place() -> Path:
    """/usr/local/bin for root, ~/.local/bin for anybody else."""
    return Path("/usr/local/bin/scutum") if os.geteuid() == 0 else Path.home() / ".local" / "bin" / "scutum"


def is_ours(link: Path, layout: Layout) -> bool:
    """Whether the link leads into this deploy root."""
    return link.is_symlink() and os.readlink(link) == str(layout.command)  # noqa: PTH115  (compared as written)


def is_free(link: Path) -> bool:
    """Whether a link may be put there: nothing is there, or a link that leads nowhere and was an install's."""
    if link.is_symlink():
        return not link.exists() and str(link.readlink()).endswith("/current/venv/bin/scutum")
    return not link.exists()


def make(layout: Layout) -> Path | None:
    """Makes the link where that is possible; returns it if it is ours afterwards."""
    link = place()
    if is_ours(link, layout):
        return link
    if not is_free(link):
        return None
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(layout.command)
    except OSError:
        return None
    return link


def remove(layout: Layout) -> bool:
    """Removes the link if it is ours."""
    link = place()
    if not is_ours(link, layout):
        return False
    link.unlink()
    return True


def advice(layout: Layout) -> str | None:
    """The one line that makes `scutum` work in this shell; None when it already does."""
    link = place()
    on_path = os.environ.get("PATH", "").split(os.pathsep)
    if is_ours(link, layout):
        return None if str(link.parent) in on_path else f'export PATH="{link.parent}:$PATH"'
    return f"alias scutum='{layout.command}'"
