"""Once a day each context's commands say when its licence is missing, wrong or about to end."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scutum_cli import output
from scutum_cli.errors import CliError

if TYPE_CHECKING:
    from scutum_cli.client.http import AdminClient
    from scutum_cli.client.types import License

SECONDS = 2.0
_MOST = 200
"""Contexts that are remembered."""
_client: list[AdminClient] = []


def watch(client: AdminClient) -> None:
    """The server that this run talks to: it is asked at the end, if that is due."""
    _client[:] = [client]


def due() -> AdminClient | None:
    """Whom to ask: nobody when this run talked to no server, when its output is for programs, or when it was today."""
    client = _client[0] if _client else None
    if client is None or not client.talked or output.style.format != "table" or output.style.quiet:
        return None
    return None if _read().get(_slot(client.context.name)) == _today() else client


def ask(client: AdminClient) -> License | None:
    """The licence; None when the server does not tell, which it is not asked for again today."""
    seen(client.context.name)
    try:
        found: License = client.public("/api/v1/license", seconds=SECONDS)
    except CliError as error:
        output.verbose(f"The licence is not known: {error.message}")
        return None
    return found if isinstance(found, dict) and "days_remaining" in found and "error" in found else None


def seen(context: str) -> None:
    """Notes that this context's licence was looked at today; a cache that cannot be written costs a look."""
    known = {**_read(), _slot(context): _today()}
    file = _file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.{os.getpid()}.tmp")
        partial.write_text(json.dumps(dict(list(known.items())[-_MOST:])), encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        output.verbose(f"{file} cannot be written: {error.strerror}")


def _slot(context: str) -> str:
    """People and scripts are told apart: what only a log has seen was not told."""
    return context if sys.stderr.isatty() else f"{context}|unattended"


def _file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "scutum" / "license.json"


def _read() -> dict[str, str]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _today() -> str:
    return dt.datetime.now().astimezone().date().isoformat()
